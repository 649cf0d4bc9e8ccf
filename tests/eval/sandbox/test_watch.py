"""Time that counts where it is used, and output that is counted and mostly forgotten."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import wait_until

from eval.sandbox import watch
from eval.sandbox.watch import KEPT_BYTES, KEPT_JSON_BYTES, Clock, Output, cpu_s, waited_for_cpu_s


class Machine:
    """A clock on the wall, and processes with times of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.used: dict[int, float] = {}
        self.waited: dict[int, float] = {}
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(watch, "cpu_s", lambda pid: self.used.get(pid, 0.0))
        monkeypatch.setattr(watch, "waited_for_cpu_s", lambda pid: self.waited.get(pid, 0.0))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_each_process_has_the_whole_limit(machine: Machine) -> None:
    clock = Clock(3.0, 1.0)
    machine.used = {1: 2.9, 2: 2.9}
    assert not clock.is_over([1, 2])
    machine.used[1] = 3.0
    assert clock.is_over([1, 2])
    machine.used = {1: 0.0, 2: 3.0}
    assert clock.is_over([1, 2])
    assert clock.judge_s == 3.0
    machine.used[2] = 0.0  # it is dead
    assert not clock.is_over([1, 2])
    assert clock.judge_s == 3.0


def test_who_sleeps_is_stopped_by_the_wall_clock(machine: Machine) -> None:
    clock = Clock(3.0, 1.0)
    machine.now += 3.9
    assert not clock.is_over([1, 2])
    machine.now += 0.1
    assert clock.is_over([1, 2])


@pytest.mark.parametrize(("waited", "over"), [(6.5, False), (5.5, True)])
def test_who_waits_for_a_processor_is_not(machine: Machine, waited: float, over: bool) -> None:
    clock = Clock(3.0, 1.0)
    machine.now += 20.0
    machine.waited = {1: 10.0, 2: waited}
    assert clock.is_over([1, 2]) is over
    machine.waited = {}  # what they have waited counts when they are gone
    assert clock.is_over([1, 2]) is over
    machine.now += 20.0  # ten times as long: that ends it all the same
    machine.waited = {1: 40.0, 2: 40.0}
    assert clock.is_over([1, 2])


def test_time_begins_with_the_program(machine: Machine) -> None:
    clock = Clock(3.0, 1.0)
    machine.now += 50.0
    clock.start()
    machine.now += 3.9
    assert not clock.is_over([1])
    machine.now += 0.2
    assert clock.is_over([1])


@contextmanager
def process(code: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-S", "-c", code]) as running:
        try:
            yield running.pid
        finally:
            running.kill()


def test_the_time_of_a_real_process() -> None:
    work = (
        "import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f).start(); f()"
    )
    with process(work) as pid:
        wait_until(lambda: cpu_s(pid) > 0.2)
        first = cpu_s(pid)
        wait_until(lambda: cpu_s(pid) > first)
        assert waited_for_cpu_s(pid) >= 0.0
    assert cpu_s(pid) == 0.0
    assert waited_for_cpu_s(pid) == 0.0
    with process("import time; time.sleep(60)") as pid:
        time.sleep(0.2)
        assert cpu_s(pid) < 60


@contextmanager
def outputs(most_bytes: int = 1 << 30, keep_bytes: int = 0) -> Iterator[tuple[Output, int, int]]:
    """An output, and the descriptors that a program writes to."""
    (out, out_w), (err, err_w) = os.pipe(), os.pipe()
    try:
        yield Output(out, err, most_bytes, keep_bytes), out_w, err_w
    finally:
        for descriptor in (out, err):
            os.close(descriptor)


def ends(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def test_little_output_is_kept_whole() -> None:
    with outputs() as (output, out, err):
        os.write(out, b"one ")
        assert output.take(output._stdout)
        os.write(err, b"two ")
        os.write(out, "\u20ac".encode())
        ends(out, err)
        output.drain()
        assert output.kept() in ("one two \u20ac", "one \u20actwo ")
        assert not output.too_much
        assert not output.take(output._stdout)


def test_of_much_output_the_beginning_and_the_end_are_kept() -> None:
    with outputs() as (output, out, err):
        for number in range(100):
            os.write(out, b"%04d" % number + b"x" * 996)
            assert output.take(output._stdout)
        ends(out, err)
        output.drain()
        head, words, tail = output.kept().split("\n")
        assert head == "0000" + "x" * 996 + "0001" + "x" * 996 + "0002" + "x" * 44
        assert len(tail) == KEPT_BYTES
        assert tail.endswith("0099" + "x" * 996)
        assert words == f"... {100_000 - 2 * KEPT_BYTES} bytes ..."
        assert len(output._head) + len(output._tail) + len(output._all) == 2 * KEPT_BYTES


@pytest.mark.parametrize("size", [2 * KEPT_BYTES - 1, 2 * KEPT_BYTES, 2 * KEPT_BYTES + 1])
def test_what_fits_exactly_is_whole(size: int) -> None:
    text = (b"0123456789" * 500)[:size]
    with outputs() as (output, out, err):
        os.write(out, text)
        ends(out, err)
        output.drain()
        whole = output.kept()
        assert (whole == text.decode()) == (size <= 2 * KEPT_BYTES)
        assert ("... 1 bytes ..." in whole) == (size > 2 * KEPT_BYTES)


@pytest.mark.parametrize("piece", [b"\xff", b"\0", "\U0001f600".encode(), b'"', b"a"])
def test_what_is_kept_is_not_long_as_json_either(piece: bytes) -> None:
    with outputs() as (output, out, err):
        os.write(out, piece * (20_000 // len(piece)))
        ends(out, err)
        output.drain()
        kept = output.kept()
        assert len(json.dumps(kept)) <= 2 * KEPT_JSON_BYTES + 50
        assert "bytes ..." in kept


def test_output_is_counted_over_both_streams() -> None:
    with outputs(most_bytes=10) as (output, out, err):
        os.write(out, b"x" * 6)
        output.take(output._stdout)
        assert not output.too_much
        os.write(err, b"x" * 5)
        ends(out, err)
        output.drain()
        assert output.too_much


def test_stdout_can_be_kept_whole_and_stderr_is_not() -> None:
    with outputs(keep_bytes=1 << 20) as (output, out, err):
        os.write(out, b"a" * 30_000)
        os.write(err, b"b" * 30_000)
        ends(out, err)
        output.drain()
        assert output.all_stdout() == b"a" * 30_000


def test_draining_waits_for_nobody() -> None:
    with outputs() as (output, out, err):
        os.write(out, b"left")
        output.drain()  # though the other ends are open still
        assert output.kept() == "left"
        ends(out, err)
