"""A function as a problem: its two halves, its test, and why some are none."""

from typing import Any

import pytest

from data.exercises.clean import checks_of
from data.functions.module import Module
from data.functions.problem import MOST_BYTES, Home, NoProblemError, has_examples, problem

HOME = Home("pack/mod.py", "pack", "pack.mod", "MIT")


def made(text: str, name: str = "f") -> dict[str, Any]:
    module = Module(text)
    functions = {getattr(one.node, "name", ""): one for one in module.functions()}
    return problem(functions[name], module, HOME)


WHOLE = r'''
import functools
import re, os
from typing import Iterable, Sized

LIMIT = 3

def halve(x):
    return x // 2


@functools.lru_cache(maxsize=LIMIT)
def f(x: int,
      y: Sized = "") -> Iterable[int]:
    r"""Return things, "quoted" \d.

    >>> f(2)
    [1]
    >>> from pack.mod import f, other
    >>> other(4) == f(4)
    True
    """

    # A comment.
    return [halve(x)]

def other(x):
    return [x // 2]
'''
PROMPT = r'''import functools
from typing import Iterable, Sized

LIMIT = 3


def halve(x):
    return x // 2


@functools.lru_cache(maxsize=LIMIT)
def f(x: int,
      y: Sized = "") -> Iterable[int]:
    r"""Return things, "quoted" \d.

    >>> f(2)
    [1]
    >>> from pack.mod import f, other
    >>> other(4) == f(4)
    True
    """
'''


def test_a_function_with_all_that_it_needs() -> None:
    row = made(WHOLE)
    assert row["prompt"] == PROMPT
    assert row["canonical_solution"] == "\n    # A comment.\n    return [halve(x)]\n"
    assert row["doctest"] == (
        ">>> def other(x):\n...     return [x // 2]\n>>> f(2)\n[1]\n>>> other(4) == f(4)\nTrue\n"
    )
    assert {name: row[name] for name in ("task_id", "entry_point", "package", "licence")} == {
        "task_id": "pack/mod.py:13", "entry_point": "f", "package": "pack", "licence": "MIT",
    }  # fmt: skip


def test_the_test_is_human_evals_too() -> None:
    """For other graders: it passes the function, and no other."""
    row = made(WHOLE)
    for body, right in ((row["canonical_solution"], True), ("    return [0]\n", False)):
        space: dict[str, Any] = {}
        exec(f"{row['prompt']}{body}\n{row['test']}", space)
        if right:
            space["check"](space["f"])
        else:
            with pytest.raises(AssertionError, match="Failed example"):
                space["check"](space["f"])


def test_no_command_of_ours_runs_the_test() -> None:
    """Benchmarks' tests are run in our process: this one, of strangers, is not taken for one."""
    assert list(checks_of([made(WHOLE)])) == []


def test_annotations_stay_unread_where_they_were() -> None:
    text = (
        "from __future__ import annotations\ndef f(x{}):\n    '''\n    >>> f(1)\n    1\n    '''\n"
    )
    text += "    return x\n"
    assert made(text.format(": Nothing"))["prompt"].startswith(
        "from __future__ import annotations\n\n\ndef f(x: Nothing"
    )
    assert made(text.format(""))["prompt"].startswith("def f(x)")


@pytest.mark.parametrize(
    "docstring",
    [
        "'''\n    >>> f(1)\n    1\n    '''",
        '"""\n\t>>> f(1)\n\t1\n    """',
        'R"""\\\n    >>> f(1)\n    1\n\n    \\""" \\\\"""',
        '"\\n>>> f(1)\\n1\\n"',
        '"""One"""    """\n    >>> f(1)\n    1\n    """',
        'u"""\n    >>> f(1)\n    1\n\n\f é\'\'\'"""  # comment',
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_halves_join_to_the_text(docstring: str, end: str) -> None:
    text = f"def f(x):\n    {docstring}\n    if x:\n    \treturn x\n    return 0\n"
    row = made(text.replace("\n", end))
    assert row["prompt"] + row["canonical_solution"] == text
    assert row["canonical_solution"].startswith("    if x:\n    \t")
    assert row["doctest"] == ">>> f(1)\n1\n"


DOC = '    """\n    >>> f(1)\n    1\n    """\n'
SURROGATE = DOC.replace("1\n", "\\ud800\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"async def f(x):\n{DOC}    return x\n", "async function"),
        (f"def f(x):\n{DOC}    return x\n" * 2, "defined twice"),
        (f"def f(x):\n{DOC}    return x\nf = print(f)\n", "defined twice"),
        (f"if 1:\n    def f(): pass\ndef f(x):\n{DOC}    return x\n", "defined twice"),
        (f"def f(x):\n{DOC}", "only a docstring"),
        ("def f(x): '>>> f(1)'; return x\n", "one line"),
        (f"def f(x):\n{DOC[:-1]}; return x\n", "one line"),
        (f"def f(x):\n{DOC}    from . import y\n    return x\n", "needs its package"),
        (f"from pack.other import y\ndef f(x):\n{DOC}    return y\n", "needs its package"),
        (f"from . import y\n@y\ndef f(x):\n{DOC}    return x\n", "needs its package"),
        (f"def f(x):\n{DOC}    return '{'y' * MOST_BYTES}'\n", "too large"),
        (f"def f(x):\n{DOC.replace('f(1)', 'g(1)')}    return x\n", "no usable example"),
        (f"def f(x):\n{DOC.replace('>>> ', '>>>')}    return x\n", "broken examples"),
        (f"def f(x):\n{DOC.replace('(1)', chr(92) + 'ud800')}    return x\n", "broken examples"),
        (f"def g():\n    nonlocal x\ndef f(x):\n{DOC}    return x\n", "not Python"),
        (f"def f(x):\n{SURROGATE}    return x\n", "not UTF-8"),
    ],
)
def test_why_a_function_is_none(text: str, reason: str) -> None:
    with pytest.raises(NoProblemError, match=reason):
        made(text)


def test_names_of_the_test_itself() -> None:
    text = f"def check(x):\n{DOC.replace('f(1)', 'check(1)')}    return x\n"
    with pytest.raises(NoProblemError, match="needs a name check"):
        made(text, "check")
    for name in ("candidate", "examples", "names", "test", "said"):
        row = made(text.replace("check", name), name)
        space: dict[str, Any] = {}
        exec(f"{row['prompt']}{row['canonical_solution']}\n{row['test']}", space)
        space["check"](space[name])


def test_only_docstrings_with_prompts_count() -> None:
    [one, two, three, four] = Module(
        f"def a():\n{DOC}\ndef b():\n    'text'\ndef c():\n    return '>>> c()'\n"
        "def d():\n    b'>>> d()'\n    f'>>> {1}'\n"
    ).functions()
    assert [has_examples(function.node) for function in (one, two, three, four)] == [
        True, False, False, False,
    ]  # fmt: skip
