"""The process that waits for a program tells how it ended, and kills it when told to."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from eval.sandbox.inside.cell import await_end
from eval.sandbox.talk.channel import GONE, KILL


@pytest.fixture
def control() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def child(run: Callable[[], object]) -> int:
    """A process that does this, and then ends with status 3."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(3)
    return pid


def killed_by_the_kernel() -> None:
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("run", "status"),
    [(killed_by_the_kernel, signal.SIGKILL), (lambda: time.sleep(0.05), 3 << 8)],
)
@pytest.mark.parametrize("told", [b"", GONE])
def test_it_tells_how_a_program_ended(
    control: tuple[socket.socket, socket.socket],
    told: bytes,
    run: Callable[[], object],
    status: int,
) -> None:
    """Its channel closes before its end can be seen: it was then killed, and its status lost."""
    ours, theirs = control
    if told:
        ours.send(told)
    end = await_end(child(run), theirs.fileno())
    assert (end["ended"], end["killed"]) == (status, False)


@pytest.mark.parametrize("told", [KILL, GONE, None])
def test_it_kills(control: tuple[socket.socket, socket.socket], told: bytes | None) -> None:
    ours, theirs = control
    if told:
        ours.send(told)
    else:
        ours.close()
    end = await_end(child(lambda: time.sleep(3600)), theirs.fileno())
    assert (end["ended"], end["killed"]) == (signal.SIGKILL, True)


def test_a_warden_that_left_without_reading(
    control: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = control
    theirs.send(b"started")
    ours.close()
    end = await_end(child(lambda: time.sleep(3600)), theirs.fileno())
    assert end["killed"]
