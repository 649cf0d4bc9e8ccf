"""Read prompts from JSON lines."""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bytelm.base.errors import InputError
from bytelm.files.jsonl import read_jsonl, text_of


@dataclass(frozen=True)
class Prompts:
    """The prompts of a file, and their ids. `sha256`: of the file's bytes."""

    ids: list[object]
    texts: list[bytes]
    sha256: str


def read_prompts(path: Path, ids: bool = True) -> Prompts:
    """Read a file of prompts: each row has "prompt" or "prompt_base64", and "id" if `ids` is set.

    Raises InputError that names the line of a wrong row, or if there is no row.
    """
    lines = read_jsonl(path)
    if not lines.rows:
        raise InputError(f"{path} holds no prompts")
    texts = [_text(row, f"{path}:{number}") for number, row in lines.rows]
    for number, row in lines.rows if ids else []:
        if "id" not in row:
            raise InputError(f'{path}:{number}: a row must be an object with "id" and "prompt"')
    return Prompts([row.get("id") for _, row in lines.rows], texts, lines.sha256)


def _text(row: dict[str, Any], where: str) -> bytes:
    if ("prompt" in row) == ("prompt_base64" in row):
        raise InputError(f'{where}: a row has either "prompt" or "prompt_base64"')
    if "prompt" in row:
        return text_of(row, "prompt", where).encode()
    try:
        return base64.b64decode(text_of(row, "prompt_base64", where), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{where}: prompt_base64 cannot be read: {error}") from error
