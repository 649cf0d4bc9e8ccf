"""Examples of doctest: run behind the walls, and compared outside as the module does."""

import contextlib
import doctest
import io
from pathlib import Path

import pytest

from eval.sandbox.examples import check_examples, count_examples
from eval.sandbox.inside.candidate import show
from eval.sandbox.runner import Limits, Program, Runner

FUNCTION = """\
class Thing:
    pass

def f(x):
    if x == "print":
        print("a\\n\\nb")
    elif x == "error":
        print("before")
        raise ValueError("no\\nuse")
    elif x == "import":
        import json
        return json.loads("{")
    elif x == "leave":
        raise SystemExit(3)
    elif x == "generate":
        return (n for n in range(3))
    elif x == "none":
        return None
    elif x == "thing":
        return Thing()
    else:
        return x
"""
# The text of examples, and whether doctest is content with FUNCTION.
CASES = [
    (">>> f(2)\n2\n", True),
    (">>> f(2)\n3\n", False),
    (">>> f(2)\n2.0\n", False),
    (">>> f('print')\na\n<BLANKLINE>\nb\n", True),
    (">>> f('print')\na\n", False),
    (">>> f('none')\n", True),
    (">>> f('none')\nNone\n", False),
    (">>> f('none') is None\n1\n", True),  # doctest takes 1 for True, as long ago
    (">>> x = f(3)\n>>> for n in range(x):\n...     print(n, end=' ')\n...\n0 1 2\n", False),
    (">>> x = f(3)\n>>> for n in range(x):\n...     print(n)\n0\n1\n2\n", True),
    (">>> print(f('one'), end='')\none\n", True),
    (">>> f('error')\nTraceback (most recent call last):\n    ...\nValueError: no\nuse\n", True),
    (">>> f('error')\nTraceback (most recent call last):\nValueError: other\n", False),
    (">>> f('error')\nTraceback (most recent call last):\nTypeError: no\nuse\n", False),
    (">>> f('error')\nbefore\n", False),
    (">>> f(1)\nTraceback (most recent call last):\nValueError: no\n", False),
    (">>> f('import')  # doctest: +IGNORE_EXCEPTION_DETAIL\n"
     "Traceback (most recent call last):\nJSONDecodeError: whatever\n", True),
    (">>> f('import')\nTraceback (most recent call last):\n    ...\n"
     "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: "
     "line 1 column 2 (char 1)\n", True),
    (">>> f('leave')\nTraceback (most recent call last):\nSystemExit: 3\n", True),
    (">>> f('leave')\n", False),
    (">>> list(f('generate'))\n[0, 1, 2]\n", True),
    (">>> f('thing')  # doctest: +ELLIPSIS\n<...Thing object at 0x...>\n", True),
    (">>> f('thing')\n<...Thing object at 0x...>\n", False),
    (">>> f([1,\n...    2])  # doctest: +NORMALIZE_WHITESPACE\n[1,\n   2]\n", True),
    (">>> f(1)  # doctest: +SKIP\n7\n>>> f(1)\n1\n", True),
    (">>> f('€\\n')\n'€\\n'\n", True),
    (">>> f(1); f(2)\n1\n2\n", True),
    (">>> _ = f(1)\n>>> _\n1\n", True),
    (">>> f(1)\n1\n>>> nothing\n", False),
    (">>> f(\n", False),
]  # fmt: skip


def judged_by_doctest(text: str) -> bool:
    space: dict[str, object] = {}
    exec(FUNCTION, space)
    test = doctest.DocTestParser().get_doctest(text, space, "t", None, None)
    with contextlib.redirect_stdout(io.StringIO()):
        return doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize(("text", "right"), CASES)
def test_examples_hold_where_doctest_says_so(namespaces: Runner, text: str, right: bool) -> None:
    assert judged_by_doctest(text) == right
    program = Program(FUNCTION, text, "f", joined=FUNCTION, doctest=True)
    verdict = namespaces.run(program, Limits())
    assert (verdict == "passed") == right, verdict


def test_what_an_example_shows_is_said(runner: Runner) -> None:
    program = Program("def f(x): return x\n", ">>> f(2)\n3\n", "f", doctest=True)
    assert runner.run(program, Limits()) == "failed: f(2) shows '2'"
    program = Program("def g(x): return x\n", ">>> g(2)\n2\n", "f", doctest=True)
    assert runner.run(program, Limits()) == "failed: name 'f' is not defined"


def test_nothing_of_the_problem_runs_outside(walled: Runner, tmp_path: Path) -> None:
    """Neither program nor examples reach a file of ours."""
    target = tmp_path / "reached"
    write = f"open({str(target)!r}, 'w').write('x')"
    tries = [
        Program("def f(): pass\n", f">>> {write}\n1\n", "f", doctest=True),
        Program(f"{write}\ndef f(): pass\n", ">>> f()\n", "f", doctest=True),
        Program(f"def f(): {write}\n", ">>> f()\n", "f", joined="", doctest=True),
    ]
    assert all(walled.run(program, Limits()) != "passed" for program in tries)
    assert not target.exists()


@pytest.mark.medium
def test_examples_that_never_end_or_take_all_are_ended(namespaces: Runner) -> None:
    # Long where memory has to end first, on a busy machine too.
    source, short, long = "def f(): pass\n", Limits(0.5, 200 << 20), Limits(60.0, 200 << 20)
    for text, kind in [
        (">>> while True: f()\n", "timed_out"),
        (">>> while True: print('x' * 1000)\n", "memory"),
        (">>> x = 'x' * (1 << 40)\n", "memory"),
        (">>> print('x' * (20 << 20))\n", "failed"),
        (">>> import os; os._exit(0)\n", "timed_out"),
    ]:
        limits = short if kind == "timed_out" else long
        verdict = namespaces.run(Program(source, text, "f", doctest=True), limits)
        assert verdict.kind == kind, (text, verdict)


def test_a_program_that_answers_nonsense_fails(namespaces: Runner) -> None:
    """It may write to its channel: a verdict is not what can be written there."""
    answer = b'{"shown": "2\\\\n", "error": 0}'
    message = len(answer).to_bytes(4, "little") + answer
    source = f"def f():\n    import os\n    os.write(3, {message!r})\n    os._exit(0)\n"
    assert namespaces.run(Program(source, ">>> f()\n2\n", "f", doctest=True), Limits()) != "passed"


def test_examples_are_counted() -> None:
    assert count_examples("no example") == 0
    assert count_examples(">>> 1\n1\n\n>>> 2 # doctest: +SKIP\n>>> 3\n") == 2
    with pytest.raises(ValueError, match="lacks blank"):
        count_examples(">>>1\n")


def test_a_broken_text_fails_and_stdout_comes_back() -> None:
    space: dict[str, object] = {}
    with pytest.raises(ValueError, match="lacks blank"):
        check_examples(">>>1\n", lambda source: show(source, space))
    with pytest.raises(AssertionError, match="1 shows '1'"):
        check_examples(">>> 1\n2\n", lambda source: show(source, space))
