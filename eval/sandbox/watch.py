"""What a warden watches of a program: the time that it uses, and what it prints."""

import contextlib
import json
import os
import time

KEPT_BYTES = 2048
KEPT_JSON_BYTES = 4096
_CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED: Linux, include/linux/posix-timers.h
_MOST_WAIT = 10.0  # times the limit: even where every moment is one of waiting, this ends it


class Clock:
    """The time of a program and its judge against one limit, in seconds."""

    def __init__(self, limit_s: float, slack_s: float) -> None:
        self._limit_s, self._slack_s = limit_s, slack_s
        self._start = time.monotonic()
        self.judge_s = 0.0
        self._waited_s: dict[int, float] = {}

    def start(self) -> None:
        """The program's process is there: its time begins now, however long that took."""
        self._start = time.monotonic()

    def is_over(self, pids: list[int]) -> bool:
        """Whether one of the processes has used up its time; the judge's is the last."""
        used = [cpu_s(pid) for pid in pids]
        self.judge_s = max(self.judge_s, used[-1])
        if max(used) >= self._limit_s:
            return True
        wall_s = time.monotonic() - self._start
        if wall_s < self._limit_s + self._slack_s:
            return False
        for pid in pids:
            # What a process has waited counts when it is gone, too.
            self._waited_s[pid] = max(self._waited_s.get(pid, 0.0), waited_for_cpu_s(pid))
        if wall_s - sum(self._waited_s.values()) >= self._limit_s + self._slack_s:
            return True
        return wall_s >= _MOST_WAIT * (self._limit_s + self._slack_s)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, all its threads together; 0 where it is gone."""
    try:
        return time.clock_gettime(~pid << 3 | _CLOCK_OF_PROCESS)
    except OSError:
        return 0.0


def waited_for_cpu_s(pid: int) -> float:
    """Seconds that the threads of a process stood ready and had no processor."""
    total = 0
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with (
                contextlib.suppress(OSError, IndexError, ValueError),
                open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file,
            ):
                total += int(file.read().split()[1])
    return total / 1e9


class Output:
    """What a program prints: counted, and its beginning and end kept.

    `keep_bytes`: keep so much of stdout besides.
    """

    def __init__(self, stdout: int, stderr: int, most_bytes: int, keep_bytes: int) -> None:
        self._stdout, self._open = stdout, {stdout, stderr}
        self._most_bytes, self._keep_bytes = most_bytes, keep_bytes
        self._count = 0
        self._head, self._tail = bytearray(), bytearray()
        self._all = bytearray()

    @property
    def too_much(self) -> bool:
        return self._count > self._most_bytes

    def take(self, descriptor: int) -> bool:
        """Read what has come. False: nothing more will."""
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            self._open.discard(descriptor)
            return False
        self._count += len(piece)
        if descriptor == self._stdout and len(self._all) < self._keep_bytes:
            self._all += piece
        room = KEPT_BYTES - len(self._head)
        self._head += piece[:room]
        self._tail = (self._tail + piece[max(0, room) :])[-KEPT_BYTES:]
        return True

    def drain(self) -> None:
        """Read what is left. The program must be dead."""
        for descriptor in list(self._open):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(BlockingIOError):
                while not self.too_much and self.take(descriptor):
                    pass

    def all_stdout(self) -> bytes:
        return bytes(self._all)

    def kept(self) -> str:
        """The beginning and the end, with a word on what lies between.

        Each has at most KEPT_JSON_BYTES in JSON, where some bytes take six.
        """
        between = self._count - len(self._head) - len(self._tail)
        head = bytes(self._head).decode("utf-8", "replace")
        tail = bytes(self._tail).decode("utf-8", "replace")
        while len(json.dumps(head)) > KEPT_JSON_BYTES:
            head = head[: len(head) * 3 // 4]
        while len(json.dumps(tail)) > KEPT_JSON_BYTES:
            tail = tail[len(tail) // 4 + 1 :]
        return head + (f"\n... {between} bytes ...\n" if between > 0 else "") + tail
