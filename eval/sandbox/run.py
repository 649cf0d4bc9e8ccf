"""One program with its judge, from its start to its report."""

import contextlib
import json
import os
import random
import resource
import select
import signal
import socket
import sys
import time
from typing import Any

from eval.sandbox.judge import VANISHED, judge, run_commands, run_script
from eval.sandbox.scratch import Scratch
from eval.sandbox.talk.channel import GONE, KILL, Channel
from eval.sandbox.walls import kernel
from eval.sandbox.watch import Clock, Output

TICK_S = 0.05
START_S = 60.0  # for a program's process to be there: long, as the machine may be very busy
END_S = 10.0  # for a killed program to be dead
WALL_SLACK_S = 1.0
JUDGE_MEMORY_BYTES = 4 << 30
MESSAGE_BYTES = 1 << 16


class WornOutError(Exception):
    """The walled-in interpreter does not do what it should: a new one is needed."""


class Run:
    """One program with its judge, from its start to its report."""

    def __init__(self, job: dict[str, Any], stdin: str | None, scratch: Scratch) -> None:
        self._job, self._stdin, self._scratch = job, stdin, scratch
        self._judge_pid = 0
        self._pid = 0
        self._ended: dict[str, Any] | None = None
        self._verdict = b""
        self._judged = False
        self._kind = ""  # set where this process ends the program
        self._killed = False
        self._files: list[int] = []

    def begin(self, jobs: socket.socket) -> None:
        """Ask for the program's process, and fork its judge."""
        limits = self._job["limits"]
        channel, theirs = socket.socketpair()
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        (out, out_w), (err, err_w), (verdict, verdict_w) = os.pipe(), os.pipe(), os.pipe()
        self._verdict_pipe = verdict
        self._files = [out, err, verdict]
        keep = limits["output_bytes"] if self._stdin is not None else 0
        self._output = Output(out, err, limits["output_bytes"], keep)
        options = {
            **{k: limits[k] for k in ("memory_bytes", "scratch_bytes", "files", "threads")},
            "scratch_files": limits["scratch_files"],
            "cpu_s": int(limits["seconds"]) + 3,
            "scratch": self._scratch.path,
            "script": self._stdin is not None,
        }
        sent = [theirs.fileno(), out_w, err_w, control.fileno()]
        socket.send_fds(jobs, [json.dumps(options).encode()], sent)
        self._clock = Clock(limits["seconds"], WALL_SLACK_S)
        self._start_by = time.monotonic() + START_S
        self._judge_pid = os.fork()
        if self._judge_pid == 0:
            self._become_judge(channel.fileno(), verdict_w)
        for end in (theirs, control, channel):
            end.close()
        for descriptor in (out_w, err_w, verdict_w):
            os.close(descriptor)

    def _become_judge(self, channel: int, verdict: int) -> None:
        try:
            kernel.leave_with_parent()
            nothing = os.open(os.devnull, os.O_RDWR)
            # The channel's other end must not be open here: its closing is how a death is seen.
            high = 1 << 10
            own = [os.dup2(channel, high), os.dup2(verdict, high + 1)]
            for source, target in ((nothing, 0), (nothing, 1), (own[0], 3), (own[1], 4)):
                os.dup2(source, target)
            os.closerange(5, high + 2)
            seconds = int(self._job["limits"]["seconds"]) + 2
            for kind, limit in (
                (resource.RLIMIT_AS, JUDGE_MEMORY_BYTES),
                (resource.RLIMIT_CPU, seconds),
                (resource.RLIMIT_CORE, 0),
            ):
                hard = resource.getrlimit(kind)[1]
                limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
                resource.setrlimit(kind, (limit, limit))
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            random.seed(0)  # tests that draw their inputs draw the same ones every time
            if self._job.get("commands"):
                found = run_commands(self._job, Channel(3))
            elif self._stdin is not None:
                found = run_script(self._job["source"], self._stdin, Channel(3))
            else:
                found = judge(self._job, Channel(3))
            os.write(4, json.dumps(found).encode())
        finally:
            os._exit(0)

    def watch(self) -> None:
        """Until the judge has spoken and the program is dead."""
        poll = select.poll()
        for descriptor in (*self._files, self._control.fileno(), 0):
            poll.register(descriptor, select.POLLIN)
        next_tick = time.monotonic() + TICK_S
        kill_by = 0.0
        while self._ended is None or not self._judged:
            for descriptor, _ in poll.poll(1000 * max(0.0, next_tick - time.monotonic())):
                if not self._take(descriptor):
                    poll.unregister(descriptor)
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK_S
                self._tick()
            if (self._kind or self._judged) and not self._killed:
                self._kill()
                kill_by = now + END_S
            if self._killed and now > kill_by:
                raise WornOutError("a killed program does not end")

    def _take(self, descriptor: int) -> bool:
        """Read what has come. False: nothing more will."""
        if descriptor == 0:
            if not os.read(0, 1):
                raise SystemExit(0)
            raise WornOutError("a job came before the report of the one before it")
        if descriptor == self._verdict_pipe:
            piece = os.read(descriptor, MESSAGE_BYTES)
            self._verdict += piece
            self._judged = not piece
            return bool(piece)
        if descriptor == self._control.fileno():
            try:
                return self._hear(self._control.recv(MESSAGE_BYTES))
            except ConnectionResetError:  # it left without reading; what it said comes next
                return True
        alive = self._output.take(descriptor)
        if self._output.too_much:
            self._kind = self._kind or "output_limit"
        return alive

    def _hear(self, message: bytes) -> bool:
        told = json.loads(message) if message else {"refused": "the walled-in interpreter ended"}
        if "started" in told:
            self._pid = int(told["started"])
            self._clock.start()
        elif "ended" in told:
            self._ended = told
        elif self._ended is None:
            raise WornOutError(str(told.get("refused")))
        return bool(message)

    def _tick(self) -> None:
        if not self._pid:
            if time.monotonic() > self._start_by:
                raise WornOutError("a program does not start")
            return
        # The number of a process that is gone may be another's.
        pids = [self._judge_pid] if self._ended else [self._pid, self._judge_pid]
        # Once the judge has spoken, there is only the end to wait for.
        if not self._verdict and self._clock.is_over(pids):
            self._kind = self._kind or "timed_out"
        if self._scratch.is_full():
            self._kind = self._kind or "output_limit"

    def _kill(self) -> None:
        self._killed = True
        with contextlib.suppress(OSError):
            self._control.send(KILL if self._kind or self._found() != VANISHED else GONE)
        if not self._judged:
            os.kill(self._judge_pid, signal.SIGKILL)

    def _found(self) -> dict[str, Any]:
        """What the judge said; nothing if it died before."""
        try:
            found: dict[str, Any] = json.loads(self._verdict)
        except ValueError:
            return {}
        return found

    def end(self) -> dict[str, Any]:
        """The report. Every process of the program is dead."""
        assert self._ended is not None
        self._output.drain()
        found = self._found() or VANISHED
        if self._stdin is not None and found["kind"] == "vanished" and not self._kind:
            status = self._ended["ended"]
            if os.WIFEXITED(status):
                found = {"kind": "ended", "reason": "", "status": os.WEXITSTATUS(status)}
        if found["kind"] == "infra_error":
            raise WornOutError(found["reason"])
        kind = self._kind or self._kind_of(found["kind"])
        own = kind == found["kind"]
        report = {
            "kind": kind,
            "reason": found["reason"] if own else "",
            "line": found.get("line", "") if own else "",
            "cpu_s": round(self._ended["cpu_s"], 6),
            "judge_cpu_s": round(self._clock.judge_s, 6),
            "memory_kb": self._ended["memory_kb"],
            "ran_out": self._kind == "timed_out",
        }
        if kind == "ended":
            return {**report, "status": found["status"], "stdout": self._output.all_stdout()}
        if kind in ("timed_out", "output_limit") or (
            kind != "passed" and self._job.get("commands")
        ):
            report["printed"] = self._output.kept()
        return report

    def _kind_of(self, found: str) -> str:
        if found != "vanished":
            return found
        ended = self._ended or {"ended": 0, "killed": True}
        status = ended["ended"]
        if os.WIFSIGNALED(status) and not ended["killed"]:
            number = os.WTERMSIG(status)
            if number == signal.SIGKILL:  # by the kernel, which ran out of memory
                return "memory"
            return "denied" if number == signal.SIGSYS else "timed_out"
        return "timed_out"

    def close(self) -> None:
        """Whatever happened: no process and no descriptor of the program is left."""
        if self._judge_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._judge_pid, signal.SIGKILL)
            os.waitpid(self._judge_pid, 0)
        with contextlib.suppress(OSError, AttributeError):
            self._control.close()
        for descriptor in self._files:
            os.close(descriptor)
