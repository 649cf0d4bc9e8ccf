"""JSON files as typed records, with a reader that checks every key and names the wrong one.

Importing pydantic takes a while, so commands import this module only when they read a file.
"""

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails

from bytelm.base.errors import InputError

RUN_AGAIN = "run its stage again"


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number is needed")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError("a finite number is needed")
    return value


# An int stays an int: a record is written with the digits it was read with.
Number = Annotated[int | float, PlainValidator(_number)]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """A JSON object with known keys. Values are not converted: the text "1" is not a number."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    def to_dict(self, without: tuple[str, ...] = ()) -> dict[str, Any]:
        """The keys that were given, in the order of the fields; unknown keys come last."""
        return self.model_dump(exclude_unset=True, exclude=set(without))


R = TypeVar("R", bound=Record)


def parsed(content: bytes) -> object:
    """The value of JSON text. NaN and infinity, which JSON does not know, are read as None.

    Raises ValueError, with a reason in one line, if `content` is not JSON.
    """
    try:
        return finite(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error


def fitted(value: object, kind: type[R]) -> R:
    """`value`, a parsed JSON value, as a record.

    Raises ValueError, with a reason in one line that names the key, if it is not a JSON object, or
    if a key is missing or wrong.
    """
    if not isinstance(value, dict):
        raise ValueError("a JSON object is needed")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ValueError(_misfit(error.errors()[0])) from error


def read_record(path: Path, kind: type[R], remedy: str = RUN_AGAIN) -> R:
    """Read a file that holds one record. NaN and infinity are read as None.

    Raises InputError where the file cannot be read, is not a JSON object, or a key of it is
    missing or wrong. The message names the file and the key, and ends with `remedy`.
    """
    try:
        value = parsed(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; is the path right?") from error
    except ValueError as error:
        raise InputError(f"{path}: damaged, {error}; {remedy}") from error
    return as_record(value, kind, str(path), remedy)


def as_record(value: object, kind: type[R], where: str, remedy: str = RUN_AGAIN) -> R:
    """`value`, a parsed JSON object, as a record; `where` is its file (and line).

    Raises InputError as `read_record` does.
    """
    try:
        return fitted(value, kind)
    except ValueError as error:
        raise InputError(f"{where}: {error}; {remedy}") from error


def finite(value: object) -> object:
    """`value` with every NaN and infinity, which JSON does not know, replaced by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value


def _misfit(error: ErrorDetails) -> str:
    """The key that is wrong, such as 'rows[0].k', and how."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    key = "".join(steps).removeprefix(".")
    if error["type"] == "missing":
        return f"{key!r} is missing"
    reason = error["msg"].removeprefix("Value error, ")
    return f"{key!r} is not what it should be ({reason[:1].lower()}{reason[1:]})"
