"""Parse a command line by tyro: fields of dataclasses become options, and errors are one line.

tyro reads a command's fields and those of nested dataclasses: `--model.width 256`. This module adds
two things. The help shows the `Range` of a field. And the defaults of a nested dataclass may depend
on another option, as those of model and training depend on `--preset`. A command class provides
such defaults by a static method `defaults`.
"""

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Union

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo

from bytelm.base.errors import InputError, door
from bytelm.base.options import check_here, check_options, range_of, suggestion
from bytelm.commands.parse_errors import Known, one_line_errors


@dataclass(frozen=True)
class Defaults:
    """The default of a nested dataclass, which depends on other arguments."""

    value: Any
    """The default: an instance of the dataclass."""
    source: str
    """Where the default comes from, for the help."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Fields that are no options of this command, and for each the option that sets it."""


DefaultsByType = Mapping[type, Defaults]


def parse(
    program: str,
    description: str,
    commands: Mapping[str, Callable[..., Any]],
    words: Sequence[str],
) -> Any:
    """Make the command that the arguments `words` ask for, and check its fields.

    Raises InputError for wrong arguments, and SystemExit after printing help. Of `commands` only
    the named one is looked up.
    """
    name = next(iter(words), None)
    if name is None:
        raise InputError(f"name a command: {', '.join(commands)}")
    if name not in commands and not name.startswith("-"):
        like = suggestion(name, commands)
        raise InputError(f"there is no command {name!r}{like}; known: {', '.join(commands)}")
    if name in ("-h", "--help"):
        return _cli(program, description, commands, words, {})
    if name not in commands:
        raise InputError(f"name a command before {name}: {', '.join(commands)}")
    command = commands[name]
    known = Known(f"{door(program)} {name}", partial(_flags, program, name, command))
    with one_line_errors(known):
        find = getattr(command, "defaults", None)
        defaults: DefaultsByType = find(words[1:]) if find else {}
        for entry in defaults.values():
            known.elsewhere.update(entry.fixed)
        made = _cli(program, description, {name: command}, words, defaults)
    if dataclasses.is_dataclass(made):
        check_options(made)
        check_here(made)
    return made


def peek(words: Sequence[str], name: str, default: str) -> str:
    """The value of the option `name` in `words`, ignoring all other arguments."""
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
    # tyro makes subcommands of a union, and a union needs two members.
    padding = [Annotated[None, tyro.conf.Suppress]]
    one_of: Any = Union[tuple(subcommands + padding)]  # noqa: UP007
    return tyro.cli(
        one_of,
        prog=door(program),
        description=description,
        args=words,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.DisallowNone),
        registry=_registry(defaults),
    )


def _registry(defaults: DefaultsByType) -> ConstructorRegistry:
    """tyro's own rules, with the given defaults and with ranges in the help."""
    registry = ConstructorRegistry()
    inside: list[Any] = []

    @registry.struct_rule
    def with_defaults_and_ranges(info: StructTypeInfo) -> StructConstructorSpec | None:
        if inside or not dataclasses.is_dataclass(info.type):
            return None
        known = defaults.get(info.type)
        if known is not None:
            info = dataclasses.replace(info, default=known.value)
        # Look up tyro's own rule. `inside` keeps this rule from being found again.
        inside.append(info.type)
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            inside.pop()
        if not isinstance(spec, StructConstructorSpec):
            return None
        fixed = known.fixed if known else {}
        fields = [_shown(entry, known) for entry in spec.fields if entry.name not in fixed]
        make = partial(dataclasses.replace, known.value) if known else spec.instantiate
        return StructConstructorSpec(instantiate=make, fields=tuple(fields))

    return registry


def _shown(entry: Any, known: Defaults | None) -> Any:
    """The field as help shows it: with its range, and with the source of its default."""
    limits, text = range_of(entry.type), entry.helptext

    def about() -> str | None:
        # tyro keeps some of the line breaks in a docstring, which leaves ragged lines in the help.
        words = ((text() if callable(text) else text) or "").split()
        if limits is not None:
            words += ["Range:", f"{limits}."]
        return " ".join(words) or None

    entry = dataclasses.replace(entry, helptext=about)
    if known is not None:
        source = known.source
        hint = tyro.conf.arg(
            help_behavior_hint=lambda label: f"(default of {source}: {label or 'none'})"
        )
        entry = dataclasses.replace(entry, type=Annotated[entry.type, hint])
    return entry


def _flags(program: str, name: str, command: Callable[..., Any]) -> list[str]:
    """The options of a command, taken from its help."""
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        find = getattr(command, "defaults", None)
        _cli(program, "", {name: command}, [name, "--help"], find([]) if find else {})
    return re.findall(r"--[a-z][\w.-]*", text.getvalue())
