"""From words to a command, by tyro: nested dataclasses become options, and errors one line.

tyro reads a command's fields, and those of dataclasses inside: `--model.width 256`. Two things are
added. Help shows the range that a field's `Range` gives. And the default of a nested dataclass may
depend on another option, as those of model and training depend on `--preset`: a command class says
so by a class method `defaults`.
"""

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Union

import tyro

# tyro calls these hooks experimental, so its version is pinned. The public way is a box of text.
from tyro import _errors
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo

from bytelm.base.errors import InputError
from bytelm.base.options import check_options, kind_of, range_of, suggestion


@dataclass(frozen=True)
class Defaults:
    """The default of a nested dataclass, found when the words are known."""

    value: Any
    """An instance."""
    source: str
    """Where it comes from; help names it."""
    fixed: frozenset[str] = frozenset()
    """Fields that are no options of this command: they keep the default's value."""


DefaultsByType = Mapping[type, Defaults]


def parse(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Any]],
    words: Sequence[str],
) -> Any:
    """The command that `words` ask for, its fields checked against their ranges.

    Raises InputError for words that are wrong, and SystemExit after help. Of `commands` only the
    one that is named is looked up.
    """
    chosen = {name: commands[name] for name in words[:1] if name in commands}
    if words and not chosen and not words[0].startswith("-"):
        known = ", ".join(commands)
        like = _suggestion(words[0], list(commands))
        raise InputError(f"there is no command {words[0]!r}{like}; known: {known}")
    with _one_line_errors(program, commands, chosen):
        found = [getattr(command, "defaults", None) for command in chosen.values()]
        defaults: DefaultsByType = found[0](words[1:]) if found and found[0] else {}
        options = chosen or {name: commands[name] for name in commands}
        command = _cli(program, description, options, words, defaults)
    if dataclasses.is_dataclass(command):
        check_options(command)
    return command


def peek(words: Sequence[str], name: str, default: str) -> str:
    """The value of the option `name` among `words`, before the others can be understood."""
    kind: Any = dataclasses.make_dataclass("Peek", [(name, str, default)])
    found, _ = tyro.cli(kind, args=words, return_unknown_args=True, add_help=False)
    return str(getattr(found, name))


def _cli(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Any]],
    words: Sequence[str],
    defaults: DefaultsByType,
) -> Any:
    subcommands = [
        Annotated[Any, tyro.conf.subcommand(name=name, constructor=command)]
        for name, command in commands.items()
    ]
    # A union needs two members.
    padding = [Annotated[None, tyro.conf.Suppress]]
    one_of: Any = Union[tuple(subcommands + padding)]  # noqa: UP007
    return tyro.cli(
        one_of,
        prog=f"python -m {program}",
        description=description,
        args=words,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.DisallowNone),
        registry=_registry(defaults),
    )


def _registry(defaults: DefaultsByType) -> ConstructorRegistry:
    """tyro's rules, and for dataclasses the defaults given and ranges in the help."""
    registry = ConstructorRegistry()
    inside: list[Any] = []

    @registry.struct_rule
    def with_defaults_and_ranges(info: StructTypeInfo) -> StructConstructorSpec | None:
        if inside or not dataclasses.is_dataclass(info.type):
            return None
        known = defaults.get(info.type)
        if known is not None:
            info = dataclasses.replace(info, default=known.value)
        # tyro's own rule, which this one must not take the place of.
        inside.append(info.type)
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            inside.pop()
        if not isinstance(spec, StructConstructorSpec):
            return None
        fixed = known.fixed if known else frozenset()
        fields = [_shown(field, known) for field in spec.fields if field.name not in fixed]
        make = partial(dataclasses.replace, known.value) if known else spec.instantiate
        return StructConstructorSpec(instantiate=make, fields=tuple(fields))

    return registry


def _shown(field: Any, known: Defaults | None) -> Any:
    """The field with its range in the help, and with the source of its default."""
    limits, text = range_of(field.type), field.helptext
    if limits is not None:

        def with_range() -> str:
            about = text() if callable(text) else text
            return f"{about or ''} Range: {limits}.".lstrip()

        field = dataclasses.replace(field, helptext=with_range)
    if known is not None:
        hint = tyro.conf.arg(help_behavior_hint=partial("(default of {}: {})".format, known.source))
        field = dataclasses.replace(field, type=Annotated[field.type, hint])
    return field


@contextlib.contextmanager
def _one_line_errors(
    program: str, commands: Mapping[str, object], chosen: Mapping[str, Callable[..., Any]]
) -> Iterator[None]:
    """Turn what tyro has to say of wrong words into an InputError."""
    name = next(iter(chosen), None)
    more = f"; see python -m {program} {f'{name} ' if name else ''}--help"

    def complain(event: _errors.ParseErrorEvent) -> None:
        known = partial(_flags, program, chosen)
        text = _text(event, list(commands), known)
        # tyro's own words for what is not known here.
        if text is not None:
            raise InputError(text + ("" if "did you mean" in text or " is now " in text else more))

    with _errors.on_parse_error(complain):
        yield


def _text(
    event: _errors.ParseErrorEvent, commands: list[str], flags: Callable[[], list[str]]
) -> str | None:
    match event:
        case _errors.UnrecognizedArgs(tokens=tokens):
            return _unknown(tokens, flags())
        case _errors.MissingArgs(unrecognized_tokens=tokens) if tokens:
            return _unknown(tokens, flags())
        case _errors.MissingArgs(missing_arguments=missing):
            return f"{' and '.join(_flag(entry.arg) for entry in missing)} must be given"
        case _errors.MissingSubcommand():
            return f"name a command: {', '.join(commands)}"
        case _errors.InvalidChoice(argument=argument, value=value, choices=choices):
            return f"{_flag(argument)} must be one of {', '.join(choices)}, not {value!r}"
        case _errors.BadValue(argument=argument, reason="too_few_values"):
            return f"{_flag(argument)} needs a value"
        case _errors.InstantiationFailure(argument=None, message=message):
            # Said by a dataclass itself, which names its options.
            return message
        case _errors.InstantiationFailure(argument=argument, message=message):
            return _not_a_value(argument, message)
    return None


def _flag(argument: Any) -> str:
    """An option's name; what stands before it are aliases."""
    return str(argument.lowered.name_or_flags[-1])


def _not_a_value(argument: Any, message: str) -> str:
    said = message.partition("\n")[0]
    kind, values = kind_of(argument.field.type), re.findall(r"'([^']*)'", said)
    if kind is None:
        return f"{_flag(argument)}: {said}"
    wrong = next((value for value in values if not _NUMBER.fullmatch(value)), "".join(values[-1:]))
    return f"{_flag(argument)} must be {kind}" + (f", not {wrong!r}" if values else "")


_NUMBER = re.compile(r"[+-]?\d+")


def _unknown(tokens: list[str], flags: list[str]) -> str:
    first = next((token for token in tokens if token.startswith("--")), tokens[0])
    if not first.startswith("--"):
        return f"{first!r} is a word too many"
    if first.partition("=")[0] == "--set":
        return _set_is_gone(tokens, flags)
    name = first.partition("=")[0].replace("_", "-")
    return f"there is no option {name}{_suggestion(name, flags)}"


def _suggestion(name: str, known: Sequence[str]) -> str:
    # Often it is only the table that is missing: --matrix-lr, --train.matrix-lr.
    last = name.lstrip("-").rpartition(".")[2]
    same = [flag for flag in known if flag.lstrip("-").rpartition(".")[2] == last]
    return suggestion(name, same[:1] or known)


def _set_is_gone(tokens: list[str], flags: list[str]) -> str:
    """What `--set model.width=64`, of versions before 0.2, is now."""
    at = next(index for index, token in enumerate(tokens) if token.startswith("--set"))
    text = tokens[at].partition("=")[2] or "".join(tokens[at + 1 : at + 2])
    name, equals, value = text.partition("=")
    flag = f"--{name.strip().replace('_', '-')}"
    if not equals:
        return "--set NAME=VALUE is now --NAME VALUE, as in --model.width 64"
    if flag not in flags:
        return f"--set {text} is no option here{_suggestion(flag, flags)}"
    value = re.sub(r"[\[\],\"']", " ", value).strip()
    table, _, last = flag.rpartition(".")
    new = {"true": flag, "false": f"{table}.no-{last}"}.get(value, " ".join([flag, *value.split()]))
    return f"--set {text} is now {new}"


def _flags(program: str, chosen: Mapping[str, Callable[..., Any]]) -> list[str]:
    """The options of a command, read from its help."""
    [name] = list(chosen) or [""]
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        defaults = getattr(chosen.get(name), "defaults", None)
        _cli(program, "", chosen, [name, "--help"], defaults([]) if defaults else {})
    return re.findall(r"--[a-z][\w.-]*", text.getvalue())
