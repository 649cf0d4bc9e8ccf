"""Every number that a command takes has a range; what lies outside is refused before its work."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from support import one_line, python

import bytelm.__main__
import data.__main__
import eval.__main__
from bytelm.base.errors import InputError, options_written
from bytelm.base.options import CheckedBy, check_options, kind_of, range_of
from bytelm.commands.parsing import parse
from bytelm.decode.options import DecodeOptions
from bytelm.training.cost import CostOptions
from eval.measure.bench import Bench
from eval.measure.divergence import DivergenceOptions
from eval.measure.peers.compare import PeersOptions
from eval.measure.speed import SpeedOptions
from eval.measure.step import StepOptions
from eval.suites.complete import CompleteOptions

COMMANDS: dict[tuple[str, str], Callable[..., Any]] = {
    (program, name): command
    for program, commands in (
        ("bytelm", bytelm.__main__.COMMANDS),
        ("data", data.__main__.COMMANDS),
        ("eval", eval.__main__.COMMANDS),
    )
    for name, command in commands.items()
}
# Options of Python calls that are no commands.
CALLS = (
    DecodeOptions, SpeedOptions, StepOptions, DivergenceOptions, PeersOptions, CompleteOptions,
    CostOptions,
)  # fmt: skip
# Arguments without which a command's other arguments are not looked at.
REQUIRED = {
    "train": "--data x --run y", "plan": "--gpus 8", "generate": "--checkpoint x",
    "export": "--checkpoint x --format hf --out y", "build": "--out y", "suite": "--out y",
    "prompts": "--data x --out y", "complete": "--checkpoint x --out y", "grade": "--samples x",
    "bits": "x --checkpoint x", "speed": "--checkpoint x", "sweep": "--runs x --data x",
    "peers": "--checkpoint x --data x", "divergence": "--checkpoint x --prompts x",
    "report": "--run x", "table1": "--results x", "functions": "--out y",
}  # fmt: skip


@dataclass(frozen=True)
class Option:
    """A field of a command: its flag, its name and its type."""

    flag: str
    name: str
    hint: Any


def bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def options_of(kind: Any, prefix: str = "--") -> Iterator[Option]:
    """The fields of a dataclass and of those inside it."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        names = [getattr(entry, "name", None) for entry in getattr(hint, "__metadata__", ())]
        if is_dataclass(bare(hint)):
            inside = prefix if "" in names else f"{prefix}{field.name}."
            yield from options_of(bare(hint), inside)
        else:
            yield Option(f"{prefix}{field.name.replace('_', '-')}", field.name, hint)


def numbers(kind: Any) -> list[Option]:
    return [option for option in options_of(kind) if kind_of(option.hint)]


EVERY = [*COMMANDS.values(), *CALLS]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_number_has_a_range_that_ends(kind: Any) -> None:
    for option in numbers(kind):
        limits = range_of(option.hint)
        assert limits is not None, f"{kind.__name__}: {option.flag} has no Range"
        assert limits.low > -math.inf, option.flag
        whole = "whole" in str(kind_of(option.hint))
        assert not (whole and 10**20 in limits), f"{kind.__name__}: {option.flag} takes 10^20"
        if not limits.infinite:
            assert min(limits.high, limits.most) < math.inf, option.flag


def test_there_are_numbers_to_check() -> None:
    assert sum(len(numbers(kind)) for kind in EVERY) > 150


def wrong_values(option: Option) -> Iterator[Any]:
    limits = range_of(option.hint)
    assert limits is not None
    high = min(limits.high, limits.most)
    whole = "whole" in str(kind_of(option.hint))
    yield from (math.nan, -math.inf, True, "5", np.int64(5), 10**5000, -(10**5000))
    if not limits.infinite or whole:
        yield math.inf
    if whole:
        yield from (limits.low - 1, high + 1, 10**20, 2.5)
    else:
        yield from (limits.low - 1e-9, np.float32(0.5), np.nextafter(limits.low, -math.inf))
        if high < math.inf:
            yield np.nextafter(float(high), math.inf)
    if -1 not in limits:
        yield -1


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_what_is_no_number_of_the_range_is_refused_in_one_line(kind: Any) -> None:
    for option in numbers(kind):
        one: Any = make_dataclass("One", [(option.name, option.hint)])
        many = get_origin(bare(option.hint)) is tuple
        for value in wrong_values(option):
            with pytest.raises(InputError, match=f"^{option.name} must be ") as caught:
                check_options(one((value,) if many else value))
            line = one_line(str(caught.value))
            assert len(line) < 200, line


def test_bounds_that_are_far_are_named_only_where_they_are_broken() -> None:
    with pytest.raises(InputError, match=r"^max_bytes must be at least 1, not 0$"):
        check_options(DecodeOptions(max_bytes=0))
    with pytest.raises(InputError, match=r"^samples must be at most 10\^6, not 100000000000000"):
        check_options(DecodeOptions(samples=10**20))
    # A number of numpy's is not taken for one of Python's, and the message shows why.
    with pytest.raises(InputError, match=r"whole number, not np\.int64\(5\)$"):
        check_options(DecodeOptions(max_bytes=np.int64(5)))  # type: ignore[arg-type]


@pytest.mark.medium
@pytest.mark.parametrize(("program", "name"), COMMANDS, ids=" ".join)
def test_a_command_refuses_each_number_before_its_work(program: str, name: str) -> None:
    """`parse` makes the command, and does not run it."""
    seen: set[tuple[str, str]] = set()
    base = [name, *REQUIRED.get(name, "").split()]
    # Model and training have the same options in every command that has them.
    skip = ("--model.", "--train.") if name != "train" else ()
    for option in numbers(COMMANDS[program, name]):
        if option.flag.startswith(skip) if skip else False:
            continue
        word = "nan" if kind_of(option.hint) == "a number" else f"1{'0' * 20}"
        flag = re.sub(r"--train\.(optimizer|schedule|guard)\.", "--train.", option.flag)
        seen.add((flag, word))
        with options_written("command line"), pytest.raises(InputError) as caught:
            parse(program, "", {name: COMMANDS[program, name]}, [*base, flag, word])
        assert one_line(str(caught.value)).startswith(f"{flag} must be "), flag
    assert seen or not numbers(COMMANDS[program, name])


def with_device() -> list[tuple[str, str]]:
    return [
        key
        for key, command in COMMANDS.items()
        if any(option.name == "device" for option in options_of(command))
    ]


def test_every_device_is_checked() -> None:
    assert len(with_device()) >= 10
    for key in with_device():
        [device] = [o for o in options_of(COMMANDS[key]) if o.name == "device"]
        checks = [entry for entry in device.hint.__metadata__ if isinstance(entry, CheckedBy)]
        assert checks, f"{key}: --device is not checked before the work"


@pytest.mark.medium
@pytest.mark.parametrize(("program", "name"), with_device(), ids=" ".join)
def test_a_device_that_is_not_there_is_refused_before_the_work(program: str, name: str) -> None:
    words = [name, *REQUIRED.get(name, "").split()]
    gone = ["tpu", "cuda:99", "cpu:1", "cuda:-1", "cuda:01", "cuda:" + "9" * 5000, ""]
    for device in gone if torch.cuda.is_available() else [*gone, "cuda"]:
        with options_written("command line"), pytest.raises(InputError) as caught:
            parse(program, "", {name: COMMANDS[program, name]}, [*words, "--device", device])
        assert "--device" in one_line(str(caught.value))


@pytest.mark.medium
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("generate --checkpoint x --prompts y --samples 100000000000000000000",
         "--samples must be at most 10^6"),
        ("generate --checkpoint x --prompts y --top-k 9223372036854775808",
         "--top-k must be 0 to 2^63 - 1"),
        ("generate --checkpoint x --prompts y --heads 0", "--heads must be 1 to 32, not 0"),
        ("generate --checkpoint x --prompts y --heads 99", "--heads must be 1 to 32, not 99"),
        ("generate --checkpoint x --prompts y --device tpu",
         "--device must be cpu, cuda or cuda:N"),
        ("train --data x --run y --train.warmup 5", "--train.warmup must be 0 to 1"),
        ("train --data x --run y --train.momentum 2", "--train.momentum must be at least 0 and"),
        ("train --data x --run y --model.rope-base 0", "--model.rope-base must be at least 1"),
        ("train --data x --run y --train.table-lr 0", "--train.table-lr must be above 0"),
        ("train --data x --run y --train.seed -1", "--train.seed must be 0 to 2^63 - 1"),
    ],
)  # fmt: skip
def test_a_wrong_number_ends_the_command_before_torch_is_imported(words: str, says: str) -> None:
    code = (
        "import sys; from bytelm.__main__ import COMMANDS; from bytelm.commands.cli import main; "
        f"status = main('bytelm', '', COMMANDS, {words.split()!r}); "
        "sys.exit(99 if 'torch' in sys.modules else status)"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr).startswith(f"error: {says}")


def test_bench_is_checked_when_python_calls_it() -> None:
    with pytest.raises(InputError, match="rounds must be at least 1"):
        Bench(rounds=0).run()
