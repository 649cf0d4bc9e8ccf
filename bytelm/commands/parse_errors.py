"""One-line errors, with a suggestion, for arguments that tyro does not accept."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

# tyro calls these hooks experimental, so its version is pinned. Its public interface prints errors
# as a box of several lines.
from tyro import _errors

from bytelm.base.errors import InputError
from bytelm.base.options import kind_of, suggestion


@dataclass(frozen=True)
class Known:
    """A command as errors describe it.

    `command`: how it is begun. `flags`: returns its options. `elsewhere`: for a field that is no
    option of this command, the option that sets it.
    """

    command: str
    flags: Callable[[], list[str]]
    elsewhere: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def one_line_errors(known: Known) -> Iterator[None]:
    """Inside the block, raise InputError for arguments that tyro does not accept."""

    def complain(event: _errors.ParseErrorEvent) -> None:
        text = _text(event, known)
        # None means an error that no command here can cause. Then tyro prints its own message.
        if text is not None:
            told = any(words in text for words in ("did you mean", "is now", "is set by"))
            raise InputError(text if told else f"{text}; see {known.command} --help")

    with _errors.on_parse_error(complain):
        yield


def _text(event: _errors.ParseErrorEvent, known: Known) -> str | None:
    match event:
        case _errors.UnrecognizedArgs(tokens=tokens):
            return _unknown(tokens, known)
        case _errors.MissingArgs(unrecognized_tokens=tokens) if tokens:
            return _unknown(tokens, known)
        case _errors.MissingArgs(missing_arguments=missing):
            return f"{' and '.join(_flag(entry.arg) for entry in missing)} must be given"
        case _errors.InvalidChoice(argument=argument, value=value, choices=choices):
            return f"{_flag(argument)} must be one of {', '.join(choices)}, not {value!r}"
        case _errors.BadValue(argument=argument, reason="too_few_values"):
            return f"{_flag(argument)} needs a value"
        case _errors.InstantiationFailure(argument=None, message=message):
            # The message comes from a dataclass, which names its options itself.
            return message
        case _errors.InstantiationFailure(argument=argument, message=message):
            return _not_a_value(argument, message)
    return None


def _flag(argument: Any) -> str:
    """The name of an option. Its aliases come before the name."""
    return str(argument.lowered.name_or_flags[-1])


def _not_a_value(argument: Any, message: str) -> str:
    said = message.partition("\n")[0]
    kind, values = kind_of(argument.field.type), re.findall(r"'([^']*)'", said)
    if kind is None:
        return f"{_flag(argument)}: {said}"
    wrong = next((value for value in values if not _NUMBER.fullmatch(value)), "".join(values[-1:]))
    return f"{_flag(argument)} must be {kind}" + (f", not {wrong!r}" if values else "")


_NUMBER = re.compile(r"[+-]?\d+")


def _unknown(tokens: list[str], known: Known) -> str:
    first = next((token for token in tokens if token.startswith("--")), tokens[0])
    if not first.startswith("--"):
        return f"{first!r} is a word too many"
    if first.partition("=")[0] == "--set":
        return _set_is_gone(tokens, known)
    return _no_option(first.partition("=")[0].replace("_", "-"), known)


def _no_option(name: str, known: Known) -> str:
    last = name.rpartition(".")[2].replace("-", "_")
    if last in known.elsewhere:
        return f"{name} is set by {known.elsewhere[last]} here"
    return f"there is no option {name}{_suggestion(name, known.flags())}"


def _suggestion(name: str, known: Sequence[str]) -> str:
    # Often only the table is missing: --matrix-lr for --train.matrix-lr.
    last = name.lstrip("-").rpartition(".")[2]
    same = [flag for flag in known if flag.lstrip("-").rpartition(".")[2] == last]
    return suggestion(name, same[:1] or known)


def _set_is_gone(tokens: list[str], known: Known) -> str:
    """The new form of `--set model.width=64`, which versions up to 0.1 had."""
    at = next(index for index, token in enumerate(tokens) if token.startswith("--set"))
    text = tokens[at].partition("=")[2] or "".join(tokens[at + 1 : at + 2])
    name, equals, value = text.partition("=")
    if not equals:
        return "--set NAME=VALUE is now --NAME VALUE, as in --model.width 64"
    flag = f"--{name.strip().replace('_', '-')}"
    if flag not in known.flags():
        return f"--set is gone, and {_no_option(flag, known)}"
    table, _, last = flag.rpartition(".")
    values = re.sub(r"[\[\],\"']", " ", value).split()
    switches = {"true": flag, "false": f"{table}.no-{last}"}
    new = switches.get("".join(values)) or " ".join([flag, *values])
    return f"--set {text} is now {new}"
