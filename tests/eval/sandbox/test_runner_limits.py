"""What a program may use: time, memory, output, descriptors and threads."""

import json
import resource
import time

import pytest
from sandboxes import SHORT, run_alone, run_function

from eval.sandbox.judge import REASON_BYTES
from eval.sandbox.runner import Limits, Program, Runner


def test_a_program_that_computes_is_stopped(thorough: Runner) -> None:
    verdict = run_alone(thorough, "while True: pass", SHORT)
    assert (verdict, verdict.kind, verdict.ran_out) == ("timed out", "timed_out", True)
    assert verdict.seconds >= SHORT.seconds
    verdict = run_function(
        thorough, "def f(x):\n    while x: pass", "candidate(0); candidate(1)", SHORT
    )
    assert (verdict, verdict.ran_out) == ("timed out", True)
    assert run_alone(thorough, "x = 1", SHORT) == "passed"  # and the next one is not


WAITS = {
    "sleeps": "import time; time.sleep(1000)",
    "waits for a thread": "import threading; threading.Event().wait()",
    "reads": "import os; os.read(os.pipe()[0], 1)",
}


@pytest.mark.medium
@pytest.mark.parametrize(
    "how", ["sleeps", *(pytest.param(how, marks=pytest.mark.slow) for how in list(WAITS)[1:])]
)
def test_a_program_that_waits_is_stopped(thorough: Runner, how: str) -> None:
    start = time.monotonic()
    verdict = run_alone(thorough, WAITS[how], Limits(0.1))
    assert (verdict, verdict.kind, verdict.ran_out) == ("timed out", "timed_out", True)
    assert time.monotonic() - start < 30
    assert verdict.seconds < 0.1


def test_the_tests_own_time_counts(thorough: Runner) -> None:
    verdict = run_function(thorough, "def f(x): return x", "while True: pass", SHORT)
    assert (verdict, verdict.ran_out) == ("timed out", True)
    slow = "total = 0\nfor n in range(10**7): total += n\nassert candidate(total) == total"
    verdict = run_function(thorough, "def f(x): return x", slow, Limits(30.0))
    assert verdict == "passed"
    assert verdict.seconds > 0.1


def test_threads_share_one_limit(thorough: Runner) -> None:
    source = """
import threading
def work():
    while True: pass
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
work()
"""
    verdict = run_alone(thorough, source, SHORT)
    assert (verdict, verdict.ran_out) == ("timed out", True)
    assert verdict.seconds < 10


@pytest.mark.medium
def test_memory(thorough: Runner) -> None:
    def verdict(source: str, memory_mb: int = 1024, seconds: float = 20.0) -> tuple[str, str]:
        found = run_alone(thorough, source, Limits(seconds, memory_mb << 20))
        return str(found), found.kind

    assert verdict("x = bytearray(2 << 30)") == ("failed: ", "memory")
    assert verdict("x = bytearray(200 << 20)", 160) == ("failed: ", "memory")
    assert verdict("x = bytearray(200 << 20)", 400) == ("passed", "passed")
    assert verdict("x = []\nwhile True: x.append([0] * 1000)", 96) == ("failed: ", "memory")
    assert verdict("try:\n    bytes(1 << 40)\nexcept MemoryError: pass") == ("passed", "passed")
    # What the next one may use is not less.
    assert verdict("x = bytearray(800 << 20)") == ("passed", "passed")


def test_memory_in_a_call(thorough: Runner) -> None:
    source = "def f(n):\n    return len(bytes(n))\n"
    assert run_function(thorough, source, "assert candidate(1 << 20) == 1 << 20") == "passed"
    verdict = run_function(thorough, source, "candidate(2 << 30)")
    assert (verdict, verdict.kind) == ("failed: ", "memory")
    verdict = run_function(thorough, "def f(n): return 'x' * n", "candidate(30 << 20)")
    assert (verdict, verdict.kind) == ("failed: too many bytes", "failed")


def test_output_of_any_kind_is_swallowed(thorough: Runner) -> None:
    source = "import os\nprint('x' * 400_000)\nprint('\\xff\\udcff')\n" + "".join(
        f"os.write({stream}, b'\\xff' * 400_000)\n" for stream in (1, 2)
    )
    verdict = run_alone(thorough, source)
    assert (verdict, verdict.printed) == ("passed", "")
    # 40 MB through print, in 160 MiB of memory.
    flood = "for _ in range(40): print('x' * 1_000_000)"
    assert run_alone(thorough, flood, Limits(20.0, 160 << 20)) == "passed"


@pytest.mark.medium
@pytest.mark.parametrize(
    "source",
    ["while True: print('x' * 65536)", "import os\nwhile True: os.write(1, b'x' * 65536)",
     "import sys\nwhile True: sys.stderr.write('x' * 65536)",
     "print('x' * 4_000_000)\nwhile True: pass"],
    ids=["print", "write", "stderr", "at once"],
)  # fmt: skip
def test_too_much_output_ends_the_program_and_fills_nothing(thorough: Runner, source: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict = run_alone(thorough, source, Limits(20.0, output_bytes=1 << 20))
    assert (verdict, verdict.kind) == ("failed: more output than is allowed", "output_limit")
    assert verdict.printed.startswith("x" * 2048)
    assert len(verdict.printed) < 10_000
    assert not verdict.ran_out
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_what_a_stopped_program_printed_is_kept(thorough: Runner) -> None:
    """Its beginning and end, of 2 kB each."""
    source = """
import os
os.write(1, b"begin " + b"a" * 4000)
os.write(1, b"b" * 100_000)
os.write(1, b"c" * 4000 + b" end\\xff")
while True: pass
"""
    verdict = run_alone(thorough, source, SHORT)
    assert verdict == "timed out"
    head, words, tail = verdict.printed.split("\n")
    assert head == "begin " + "a" * 2042
    assert tail == "c" * 2043 + " end\ufffd"
    assert words == f"... {6 + 4000 + 100_000 + 4000 + 5 - 4096} bytes ..."
    few = run_alone(thorough, "import os\nos.write(1, b'few')\nwhile True: pass", SHORT)
    assert few.printed == "few"
    assert few.told == {"result": "timed out", "printed": "few"}
    odd = "import os\nos.write(1, bytes(range(256)) * 40)\nwhile True: pass"
    assert len(json.dumps(run_alone(thorough, odd, SHORT).told)) < 10_000


@pytest.mark.parametrize("flush", ["", ", flush=True"])
def test_the_last_word_of_a_stopped_program_is_kept(thorough: Runner, flush: str) -> None:
    """It is what shows where a program hangs."""
    source = f"for n in range(5):\n    print('step', n{flush})\nwhile True: pass"
    verdict = run_alone(thorough, source, SHORT)
    assert verdict.printed == "".join(f"step {n}\n" for n in range(5))


def test_long_texts_of_errors_are_cut(thorough: Runner) -> None:
    verdict = run_alone(thorough, "raise Exception('x' * 10**6)")
    assert verdict == "failed: " + "x" * REASON_BYTES
    verdict = run_alone(thorough, "raise Exception('\\u20ac' * 10**6)")
    assert verdict == "failed: " + "\u20ac" * (REASON_BYTES // 3)
    verdict = run_alone(thorough, "raise Exception('a\\ud800' * 1000)")
    assert verdict.startswith("failed: a\ud800a\ud800")
    assert len(verdict) < 600


def test_descriptors(thorough: Runner) -> None:
    source = """
opened = []
try:
    while True:
        opened.append(open(__import__('os').__file__))
except OSError as error:
    assert error.errno == 24, error
assert 40 < len(opened) < 64, len(opened)
"""
    assert run_alone(thorough, source, Limits(files=64)) == "passed"


def test_threads(namespaces: Runner) -> None:
    source = """
import threading
stop, started = threading.Event(), []
try:
    for _ in range(100):
        thread = threading.Thread(target=stop.wait)
        thread.start()
        started.append(thread)
except RuntimeError as error:
    assert "can't start new thread" in str(error)
stop.set()
for thread in started:
    thread.join()
assert {} <= len(started) <= {}, len(started)
"""
    for _ in range(3):  # threads of the programs before do not count
        assert run_alone(namespaces, source.format(5, 20), Limits(threads=20)) == "passed"
    assert run_alone(namespaces, source.format(100, 100), Limits(threads=200)) == "passed"


@pytest.mark.medium
def test_deep_recursion_without_a_limit_is_a_programs_own_loss(thorough: Runner) -> None:
    source = "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x) + 1\nf(1)"
    assert run_alone(thorough, source, Limits(memory_bytes=128 << 20)).kind != "passed"
    assert run_alone(thorough, "x = 1") == "passed"


def test_values_without_end(thorough: Runner) -> None:
    source = """
import itertools
def f(x):
    if x == "count":
        return itertools.count()
    if x == "nested":
        value = []
        for _ in range(100_000):
            value = [value]
        return value
    if x == "cycle":
        value = []
        value.append(value)
        return value
    return list(range(x))
"""
    for name in ("count", "nested", "cycle", 1_100_000):
        verdict = run_function(thorough, source, f"candidate({name!r})", Limits(10.0))
        assert verdict.kind == "failed", name
    assert run_function(thorough, source, "assert len(candidate(100_000)) == 100_000") == "passed"


@pytest.mark.parametrize("depth", [100, 240, 300, 390])
def test_nested_answers(thorough: Runner, depth: int) -> None:
    source = """
def f(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value
"""
    test = f"""
value = candidate({depth})
for _ in range({depth}):
    [value] = value
assert value == []
"""
    assert run_function(thorough, source, test) == "passed"


def test_a_large_source_and_a_large_test(thorough: Runner) -> None:
    source = "def f(x):\n    return x\n" + "# a comment\n" * 100_000
    test = "assert candidate(1) == 1\n" * 2_000
    assert run_function(thorough, source, test, Limits(20.0)) == "passed"
    assert thorough.run(Program("x" * 3_000_000, check=False), Limits(20.0)).kind == "failed"
