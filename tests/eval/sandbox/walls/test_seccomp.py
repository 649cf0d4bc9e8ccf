"""The filter of system calls, run by a small interpreter of classic BPF, for both machines."""

import errno
import itertools
import struct
from typing import Any

import pytest

from eval.sandbox.walls import kernel, seccomp
from eval.sandbox.walls.seccomp import ARCHITECTURES, CLONE, CLONE3, allowed, rules

MACHINES = tuple(ARCHITECTURES)
PID = 1
OTHERS = (0, 2, -1, -PID, PID + (1 << 32), 12345)
ALLOW, EPERM, ENOSYS, KILLED = "allow", errno.EPERM, errno.ENOSYS, "killed"
# Numbers of calls on x86-64 and on aarch64.
KILL, TGKILL, TKILL = (62, 129), (234, 131), (200, 130)
PRCTL, PRLIMIT, GETAFFINITY, SETAFFINITY = (157, 167), (302, 261), (204, 123), (203, 122)
SOCKET, SOCKETPAIR, SENDTO, SENDMSG = (41, 198), (53, 199), (44, 206), (46, 211)
FCNTL, IOCTL = (72, 25), (16, 29)
# What must never be allowed, even to compilers.
NEVER = {
    "ptrace": (101, 117), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "keyctl": (250, 219),
    "add_key": (248, 217), "io_uring_setup": (425, 425), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "process_vm_readv": (310, 270), "init_module": (175, 105),
    "memfd_create": (319, 279), "socket": SOCKET, "connect": (42, 203), "bind": (49, 200),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "chroot": (161, 51), "setuid": (105, 146), "capset": (126, 91), "open_by_handle": (304, 265),
    "seccomp": (317, 277), "shmget": (29, 194), "mq_open": (240, 180), "mknodat": (259, 33),
    "reboot": (169, 142), "kexec_load": (246, 104), "fsopen": (430, 430), "move_mount": (429, 429),
    "landlock_create_ruleset": (444, 444), "acct": (163, 89),
}  # fmt: skip
PROCESSES = {"execve": (59, 221), "execveat": (322, 281), "fork": (57, -1), "vfork": (58, -1),
             "setpgid": (109, 154), "setrlimit": (160, 164), "fchmod": (91, 52)}  # fmt: skip


def run_filter(
    program: list[tuple[int, int, int, int]], architecture: int, number: int, *arguments: int
) -> Any:
    """What the filter says of a call: "allow", "killed", or an error number."""
    words = [argument & (1 << 64) - 1 for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *words)
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x20:  # load a word
            accumulator = int.from_bytes(data[value : value + 4], "little")
        elif code == 0x06:  # return
            action, detail = value & 0xFFFF0000, value & 0xFFFF
            return {0x7FFF0000: ALLOW, 0x80000000: KILLED}.get(action) or detail
        else:
            jumps = {0x15: accumulator == value, 0x35: accumulator >= value,
                     0x45: bool(accumulator & value)}  # fmt: skip
            at += if_true if jumps[code] else if_false


class Filter:
    """The filter of a machine."""

    def __init__(self, machine: str, tools: bool = False) -> None:
        self._column, self._architecture = MACHINES.index(machine), ARCHITECTURES[machine]
        self._program = rules(machine, PID, tools)

    def __call__(self, call: int | tuple[int, int], *arguments: int) -> Any:
        number = call if isinstance(call, int) else call[self._column]
        return run_filter(self._program, self._architecture, number, *arguments)


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    found = request.param
    assert isinstance(found, str)
    return found


@pytest.fixture
def says(machine: str) -> Filter:
    """The filter for Python programs."""
    return Filter(machine)


@pytest.fixture
def says_to_tools(machine: str) -> Filter:
    """The filter for compilers and what they make."""
    return Filter(machine, tools=True)


@pytest.mark.parametrize("tools", [False, True])
def test_no_call_is_listed_twice(machine: str, tools: bool) -> None:
    numbers = allowed(machine, tools)
    assert len(numbers) > 100
    # Those of the second list that the first one allows with some arguments only come in addition.
    assert len(set(numbers)) == len(numbers)
    column = MACHINES.index(machine)
    assert not {call[column] for call in NEVER.values()} & {*numbers} - {-1}


def test_every_entry_has_a_name_and_two_numbers() -> None:
    text = seccomp._ALLOWED + seccomp._TOOLS
    entries = [entry.split() for entry in text.replace("\n", "|").split("|") if entry.strip()]
    assert all(len(entry) == 3 for entry in entries)
    names = [entry[0] for entry in entries]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("tools", [False, True])
def test_the_kernel_takes_the_filter(machine: str, tools: bool) -> None:
    program = rules(machine, PID, tools)
    assert len(program) <= 4096
    for at, (code, if_true, if_false, value) in enumerate(program):
        assert code in (0x20, 0x06, 0x15, 0x35, 0x45)
        assert 0 <= value < 1 << 32
        assert max(at + 1 + if_true, at + 1 + if_false) < len(program) or code in (0x20, 0x06)
        assert max(if_true, if_false) < 256
        if code == 0x20:
            assert value % 4 == 0
            assert value < 64
    assert program[-1][0] == 0x06


# Calls that depend on their arguments, and the one that does not exist.
def special(machine: str) -> set[int]:
    column = MACHINES.index(machine)
    calls = (KILL, TGKILL, PRCTL, PRLIMIT, GETAFFINITY, SOCKETPAIR, SENDTO, FCNTL, IOCTL)
    return {CLONE3, CLONE[machine], *(call[column] for call in calls)}


def test_what_is_listed_is_allowed_and_all_else_is_refused(machine: str, says: Filter) -> None:
    listed = {*allowed(machine)}
    assert not listed & special(machine)
    odd = (0x40000000, 0x40000001, 0x400001FF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, -1, 5000)
    for number in (*range(1001), *(0x40000000 + n for n in range(600)), *odd):
        if number in special(machine):
            continue
        # Whatever the arguments.
        for arguments in ((), (PID, 0, 0, 0, 0, 0), (-1,) * 6):
            assert says(number, *arguments) == (ALLOW if number in listed else EPERM), number


def test_what_is_dangerous_is_refused(says: Filter, says_to_tools: Filter) -> None:
    for name, call in {**NEVER, **PROCESSES}.items():
        assert says(call) == EPERM, name
        if name in NEVER:
            assert says_to_tools(call) == EPERM, name


def test_threads_yes_processes_and_namespaces_no(
    machine: str, says: Filter, says_to_tools: Filter
) -> None:
    call = CLONE[machine]
    thread = 0x3D0F00  # the C library's flags for a thread
    assert says(call, thread) == ALLOW
    assert says(call, 0x10000) == ALLOW
    assert says_to_tools(call, thread) == ALLOW
    for flags in (0, 17, 0x4111, 0x1200011, 0x100, 1 << 48, (1 << 48) | 17):
        assert says(call, flags) == EPERM, hex(flags)
    assert says_to_tools(call, 17) == ALLOW
    assert says_to_tools(call, 0x4111) == ALLOW  # vfork
    namespaces = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]
    for flag, others in itertools.product(namespaces, (0, 17, thread, 0x10000)):
        assert says(call, flag | others) == EPERM, hex(flag | others)
        assert says_to_tools(call, flag | others) == EPERM, hex(flag | others)


def test_clone3_does_not_exist(says: Filter, says_to_tools: Filter) -> None:
    """So that the C library falls back to clone."""
    for arguments in ((), (1, 88), (-1, -1)):
        assert says(CLONE3, *arguments) == ENOSYS
        assert says_to_tools(CLONE3, *arguments) == ENOSYS


@pytest.mark.parametrize("call", [KILL, TGKILL])
def test_signals_go_to_the_process_itself_alone(says: Filter, call: tuple[int, int]) -> None:
    for signal in (0, 6, 9, 15, 64):
        assert says(call, PID, signal) == ALLOW
        for other in OTHERS:
            assert says(call, other, signal) == EPERM, other
    assert says(TKILL, PID, 9) == EPERM
    assert says((129, 138), PID, 9) == EPERM  # rt_sigqueueinfo
    assert says((297, 240), PID, PID, 9) == EPERM  # rt_tgsigqueueinfo


def test_prctl_names_and_nothing_else(says: Filter) -> None:
    good = {15, 16, 0x53564D41}
    for option in (*range(80), 0x53564D41, 0x59616D61, 0x41555856):
        assert says(PRCTL, option, 1) == (ALLOW if option in good else EPERM), option
        assert says(PRCTL, option + (1 << 32), 1) == EPERM, option


def test_limits_can_be_read_and_not_set(says: Filter) -> None:
    assert says(PRLIMIT, 0, 7, 0, 0x7FFF0000) == ALLOW
    for new in (1, 0x7FFF0000, 1 << 32, -1):
        assert says(PRLIMIT, 0, 7, new, 0) == EPERM


def test_sockets_are_pairs_of_ones_own(says: Filter, says_to_tools: Filter) -> None:
    assert says(SOCKETPAIR, 1, 1, 0) == ALLOW
    for family in (0, 2, 10, 16, 17, 40, 1 + (1 << 32)):
        assert says(SOCKETPAIR, family, 1, 0) == EPERM, family
    for family in range(46):
        assert says(SOCKET, family, 1, 0) == EPERM
        assert says_to_tools(SOCKET, family, 1, 0) == EPERM
    assert says(SENDTO, 3, 0x7FFF0000, 5, 0, 0, 0) == ALLOW
    for address in (0x7FFF0000, 1, 1 << 32, -1):
        assert says(SENDTO, 3, 0x7FFF0000, 5, 0, address, 16) == EPERM
    assert says(SENDMSG, 3, 0x7FFF0000, 0) == EPERM


def test_fcntl_without_owners_and_leases(says: Filter) -> None:
    good = {0, 1, 2, 3, 4, 5, 6, 7, 9, 36, 37, 38, 1030, 1032}
    for command in (*range(64), *range(1024, 1048)):
        assert says(FCNTL, 3, command, 1) == (ALLOW if command in good else EPERM), command
    for command in (8, 10, 15, 1024, 1026):  # F_SETOWN, F_SETSIG, F_SETOWN_EX, leases, watches
        assert says(FCNTL, 3, command, 1) == EPERM
    assert says(FCNTL, 3, 1 << 32, 1) == EPERM


def test_ioctl_asks_of_terminals_and_nothing_else(says: Filter) -> None:
    for request in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451):
        assert says(IOCTL, 0, request, 0x7FFF0000) == ALLOW
        assert says(IOCTL, 0, request | 1 << 32, 0x7FFF0000) == EPERM
    # TIOCSTI, TIOCLINUX, names of networks, an interface's flags, TIOCSCTTY, FS_IOC_SETFLAGS
    for request in (0x5412, 0x541C, 0x8910, 0x8914, 0x540E, 0x40086602, 0, 0xFFFFFFFF):
        assert says(IOCTL, 0, request, 0x7FFF0000) == EPERM


def test_processors_of_oneself_can_be_asked_for(says: Filter) -> None:
    assert says(GETAFFINITY, 0, 8, 1) == ALLOW
    assert says(GETAFFINITY, PID, 8, 1) == ALLOW
    assert says(GETAFFINITY, 5, 8, 1) == EPERM
    assert says(SETAFFINITY, 0, 8, 1) == EPERM


@pytest.mark.parametrize("tools", [False, True])
def test_calls_of_another_architecture_kill(machine: str, tools: bool) -> None:
    program = rules(machine, PID, tools)
    [other] = set(ARCHITECTURES.values()) - {ARCHITECTURES[machine]}
    i386, arm = 0x40000003, 0x40000028
    for architecture in (other, i386, arm, 0, 0xFFFFFFFF):
        for number in (0, 1, 60, 1000, 0x40000000):
            assert run_filter(program, architecture, number) == KILLED


def test_compilers_have_more_and_not_less(machine: str, says_to_tools: Filter) -> None:
    assert {*allowed(machine)} < {*allowed(machine, tools=True)}
    column = MACHINES.index(machine)
    for name, call in PROCESSES.items():
        if call[column] >= 0:
            assert says_to_tools(call) == ALLOW, name


def test_other_machines_have_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seccomp.supported() == ""
    monkeypatch.setattr(kernel, "MACHINE", "riscv64")
    assert "x86_64 and aarch64" in seccomp.supported()
    monkeypatch.setattr("sys.platform", "darwin")
    assert "this is darwin" in seccomp.supported()
