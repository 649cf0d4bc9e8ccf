"""Programs that read their standard input: they see an interpreter as it is started by a shell."""

from typing import Any

import pytest
from sandboxes import SHORT

from eval.sandbox.answers import same_output
from eval.sandbox.runner import Limits, Program, Runner
from eval.sandbox.verdict import Verdict


def run(runner: Runner, source: str, *examples: tuple[str, str], **limits: Any) -> Verdict:
    return runner.run(Program(source, examples=examples), Limits(**{"seconds": 3.0, **limits}))


READER = "a, b = map(float, input().split())\nprint(a + b if (a + b) % 1 else int(a + b))"
EXAMPLES = (("2 3\n", "5\n"), ("10 -4", "6"), ("0.5 0.25", "0.75"))


def test_a_program_is_run_on_each_example_until_one_fails(runner: Runner) -> None:
    verdict = run(runner, READER, *EXAMPLES)
    assert (verdict, verdict.kind, verdict.printed) == ("passed", "passed", "")
    verdict = run(runner, READER, *EXAMPLES, ("1 1", "3"), ("x", "3"))
    assert (verdict, verdict.kind) == ("failed: example 4", "failed")
    assert run(runner, "print(5)", *EXAMPLES) == "failed: example 2"
    assert run(runner, "", *EXAMPLES) == "failed: example 1"
    assert run(runner, "print(5", ("", "5")) == "failed: example 1"


def test_the_exit_status_counts(runner: Runner) -> None:
    for end, passes in (("sys.exit()", True), ("sys.exit(0)", True), ("raise SystemExit", True),
                        ("sys.exit(1)", False), ("sys.exit('x')", False), ("1 / 0", False),
                        ("raise KeyboardInterrupt", False)):  # fmt: skip
        verdict = run(runner, f"import sys\nprint(5)\n{end}", ("", "5"))
        assert verdict == ("passed" if passes else "failed: example 1"), end


# Programs, each with its input, that print the output 5.
# fmt: off
USUAL: dict[str, tuple[str, str]] = {
    "input": ("print(int(input()) + int(input()))", "2\n3\n"),
    "no end of line": ("print(input())", "5"),
    "read": ("import sys\nprint(sum(map(int, sys.stdin.read().split())))", "2 3\n"),
    "lines": ("import sys\nfor line in sys.stdin: print(line, end='')", "5\n"),
    "readline": ("import sys\ninput = sys.stdin.readline\nprint(int(input()))", "5\n"),
    "bytes": ("import sys\nprint(sys.stdin.buffer.readline().decode())", "5\n"),
    "bytes at once": ("import sys\nprint(int(sys.stdin.buffer.read().split()[0]))", "5 6"),
    "written bytes": ("import sys\nsys.stdout.buffer.write(b'5\\n')", ""),
    "a buffer of one's own": ("import io, os\nprint(io.BytesIO(os.read(0, os.fstat(0).st_size)) "
                              ".readline().decode())", "5\n"),
    "the descriptor opened": ("print(open(0).read())", "5"),
    "a main function": ("def main():\n    print(5)\nif __name__ == '__main__':\n    main()", ""),
    "the end of the input": ("try:\n    input()\nexcept EOFError:\n    print(5)", ""),
    "a thread": ("import sys, threading\nsys.setrecursionlimit(10**6)\n"
                 "threading.stack_size(1 << 27)\ndef f(n): return n and f(n - 1)\n"
                 "def main(): print(f(50_000) + 5)\n"
                 "t = threading.Thread(target=main)\nt.start()\nt.join()", ""),
    "a file": ("open('a', 'w').write('5')\nprint(open('a').read())", ""),
    "removes a file": ("import os\nopen('a', 'w').close()\nos.remove('a')\nprint(5)", ""),
    "resource": ("import resource\nprint(5)", ""),
    "asyncio": ("import asyncio\nasync def f(): print(5)\nasyncio.run(f())", ""),
    "dataclasses": ("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: 'int'\n"
                    "print(A(5).x)", ""),
    "a class of a name that is asked for": ("class A: pass\nprint(5 if A.__module__ == "
                                            "'__main__' else 6)", ""),
    "stderr": ("import sys\nprint('why', file=sys.stderr)\nprint(5)", ""),
    "flush": ("import sys\nprint(5, flush=True)\nsys.stdout.flush()", ""),
    "exit": ("print(5)\nexit()\nprint(6)", ""),
    "quit with a status": ("print(5)\nquit(0)\nprint(6)", ""),
    "a new stdout": ("import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\n"
                     "print(5)", ""),
    "a new stdin": ("import io, sys\nsys.stdin = io.TextIOWrapper(sys.stdin.buffer)\n"
                    "print(input())", "5\n"),
    "a stdout of one's own": ("import io, sys\nsys.stdout = io.StringIO()\nprint(5)\n"
                              "sys.__stdout__.write(sys.stdout.getvalue())", ""),
    "a closed stdout": ("import sys\nprint(5)\nsys.stdout.close()", ""),
    "at the end": ("import atexit\natexit.register(print, 5)", ""),
    "a thread that is not awaited": ("import threading, time\ndef main():\n    time.sleep(0.05)\n"
                                     "    print(5)\nthreading.Thread(target=main).start()", ""),
    "read1 and peek": ("import sys\nsys.stdin.buffer.peek(1)\n"
                       "print(sys.stdin.buffer.read1(9).decode())", "5\n"),
    "leaves at once": ("import os\nprint(5, flush=True)\nos._exit(0)", ""),
    "pickle": ("import pickle\nclass A: x = 5\nprint(pickle.loads(pickle.dumps(A())).x)", ""),
    "its own module": ("x = 5\nimport __main__\nprint(__main__.x)", ""),
}
# fmt: on


@pytest.mark.parametrize("name", USUAL)
def test_what_programs_usually_do(namespaces: Runner, name: str) -> None:
    source, given = USUAL[name]
    assert run(namespaces, source, (given, "5")) == "passed"


def test_texts_of_any_kind(runner: Runner) -> None:
    echo = "import sys\nsys.stdout.write(sys.stdin.read())"
    for text in ("", "\u20ac \U0001f600\n", "\0\x1b", "a\r\nb", " " * 1000, "x" * 50_000):
        assert run(runner, echo, (text, text)) == "passed"
    odd = "import os\nos.write(1, b'\\xff\\xfe')"
    assert run(runner, odd, ("", "\ufffd\ufffd")) == "passed"


@pytest.mark.parametrize("size", [60_000, 70_000, 300_000, 3_000_000])
def test_long_inputs_and_outputs(namespaces: Runner, size: int) -> None:
    long = "1 " * (size // 2)
    source = "import sys\nprint(len(sys.stdin.read()), '1 ' * {})"
    verdict = run(namespaces, source.format(size // 2), (long, f"{size} {long}"))
    assert verdict == "passed"


def test_bytes_are_read_line_by_line_as_fast_as_text(namespaces: Runner) -> None:
    """The usual way to read fast. Far within four times the time, if it is not a call a byte."""
    source = "import sys\nread = sys.stdin{}.readline\nfor _ in range(7_000):\n    int(read())"
    text = "1234567\n" * 7_000
    texts = min(run(namespaces, source.format(""), (text, "")).seconds for _ in range(3))
    verdicts = [run(namespaces, source.format(".buffer"), (text, "")) for _ in range(3)]
    assert set(verdicts) == {"passed"}
    assert min(verdict.seconds for verdict in verdicts) < 4 * texts


def test_each_example_starts_anew(runner: Runner) -> None:
    source = """
import os, sys
print(os.path.exists('left'), flush=True)
open('left', 'w').close()
sys.stdout.buffer.write(sys.stdin.buffer.read())
"""
    assert run(runner, source, ("1", "False 1"), ("2", "False 2"), ("3", "False\n3")) == "passed"


def test_a_program_is_stopped_on_any_example(runner: Runner) -> None:
    source = "x = input()\nprint(x, flush=True)\nwhile x == 'b': pass"
    verdict = runner.run(Program(source, examples=(("a", "a"), ("b", "b"))), SHORT)
    assert (verdict, verdict.kind, verdict.ran_out) == ("timed out", "timed_out", True)
    assert verdict.printed == "b\n"
    flood = "while True: print('x' * 10_000)"
    verdict = run(runner, flood, ("", ""), output_bytes=1 << 20)
    assert (verdict, verdict.kind) == ("failed: more output than is allowed", "output_limit")


def test_a_problem_without_examples_is_no_crash(namespaces: Runner) -> None:
    assert run(namespaces, "print(5)") != "passed"


@pytest.mark.parametrize(
    ("wanted", "printed", "same"),
    [
        ("", "", True), ("", " \n", True), ("5", "", False), ("5\n", "5", True),
        ("1 2\n3", "1\n2 3\n", True), ("1 2", "12", False), ("Yes", "yes", False),
        ("0.5", "0.50", True), ("0.5", "0.5000004", True), ("0.5", "0.50001", False),
        ("1000000", "1000000.4", True), ("1e6", "1000000.4", True), ("1e6", "1000002", False),
        ("5", "5.0", True), ("5", "05", False), ("-5", "-5.0000000001", True), ("5", "+5", False),
        ("12345678901234567890", "12345678901234567891", False), ("nan", "nan", True),
        ("nan", "NaN", False), ("inf", "Infinity", False), ("inf", "1e999", False),
        ("inf", "5", False), ("INF", "-5", False), ("-inf", "1e300", False), ("INF", "inf", False),
        ("1", "nan", False), ("1e300", "inf", False), ("a b", "b a", False), ("1_0", "10", False),
    ],
)  # fmt: skip
def test_the_same_output(wanted: str, printed: str, same: bool) -> None:
    assert same_output(wanted, printed) is same
