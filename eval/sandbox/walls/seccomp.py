"""A list of the system calls that a walled-in program may make; all others fail with EPERM.

The list holds what the interpreter, its standard library and numpy need to compute, to use files
and threads. It lacks processes, exec, sockets (but for pairs of this process's own), memfd, ptrace,
mounts, keys, io_uring, signals to others: whatever a later kernel adds is refused as well. The
filter is written as classic BPF (linux/filter.h) and handed to the kernel; no library is needed.
"""

import ctypes
import errno
import os
import struct
import sys

from eval.sandbox.walls import kernel

# Names with their numbers on x86-64 and on aarch64; -1 where there is none.
_ALLOWED = """
read 0 63|write 1 64|open 2 -1|close 3 57|stat 4 -1|fstat 5 80|lstat 6 -1|poll 7 -1|lseek 8 62
mmap 9 222|mprotect 10 226|munmap 11 215|brk 12 214|rt_sigaction 13 134|rt_sigprocmask 14 135
rt_sigreturn 15 139|pread64 17 67|pwrite64 18 68|readv 19 65|writev 20 66|access 21 -1
pipe 22 -1|select 23 -1|sched_yield 24 124|mremap 25 216|msync 26 227|mincore 27 232|madvise 28 233
dup 32 23|dup2 33 -1|pause 34 -1|nanosleep 35 101|getitimer 36 102|alarm 37 -1|setitimer 38 103
getpid 39 172|sendfile 40 71|recvfrom 45 207|shutdown 48 210|getsockname 51 204|getpeername 52 205
getsockopt 55 209|exit 60 93|wait4 61 260|uname 63 160|flock 73 32|fsync 74 82
fdatasync 75 83|truncate 76 45|ftruncate 77 46|getdents 78 -1|getcwd 79 17|chdir 80 49|fchdir 81 50
rename 82 -1|mkdir 83 -1|rmdir 84 -1|creat 85 -1|link 86 -1|unlink 87 -1|symlink 88 -1
readlink 89 -1|umask 95 166|gettimeofday 96 169|getrlimit 97 163|getrusage 98 165
sysinfo 99 179|times 100 153|getuid 102 174|getgid 104 176|geteuid 107 175|getegid 108 177
getppid 110 173|getpgrp 111 -1|setsid 112 157|getgroups 115 158|getresuid 118 148|getresgid 120 150
rt_sigpending 127 136|rt_sigtimedwait 128 137|rt_sigsuspend 130 133|sigaltstack 131 132
statfs 137 43|fstatfs 138 44
sched_get_priority_max 146 125|sched_get_priority_min 147 126|arch_prctl 158 -1|gettid 186 178
time 201 -1|futex 202 98|getdents64 217 61|set_tid_address 218 96
restart_syscall 219 128|fadvise64 221 223|timer_create 222 107|timer_settime 223 110
timer_gettime 224 108|timer_getoverrun 225 109|timer_delete 226 111|clock_gettime 228 113
clock_getres 229 114|clock_nanosleep 230 115|exit_group 231 94|epoll_wait 232 -1|epoll_ctl 233 21
openat 257 56|mkdirat 258 34|newfstatat 262 79|unlinkat 263 35|renameat 264 38|linkat 265 37
symlinkat 266 36|readlinkat 267 78|faccessat 269 48|pselect6 270 72|ppoll 271 73
set_robust_list 273 99|get_robust_list 274 100|fallocate 285 47|epoll_pwait 281 22|eventfd2 290 19
epoll_create1 291 20|dup3 292 24|pipe2 293 59|preadv 295 69|pwritev 296 70|getcpu 309 168
renameat2 316 276|getrandom 318 278|membarrier 324 283|copy_file_range 326 285|preadv2 327 286
pwritev2 328 287|statx 332 291|rseq 334 293|close_range 436 436|faccessat2 439 439
epoll_pwait2 441 441|futex_waitv 449 449
"""
# Besides, for compilers and programs of other languages, which are processes of their own.
_TOOLS = """
fork 57 -1|vfork 58 -1|execve 59 221|waitid 247 95|execveat 322 281|setpgid 109 154|getpgid 121 155
getsid 124 156|setrlimit 160 164|prlimit64 302 261|chmod 90 -1|fchmod 91 52|fchmodat 268 53
fchmodat2 452 452|kill 62 129|tkill 200 130|tgkill 234 131|sched_setaffinity 203 122
sched_getaffinity 204 123|sched_getparam 143 121|sched_getscheduler 145 120|prctl 157 167
sched_setscheduler 144 119|getpriority 140 141|setpriority 141 140|utimensat 280 88|sendmsg 46 211
recvmsg 47 212|ioctl 16 29|fcntl 72 25|sched_getattr 315 275|sched_setattr 314 274
"""
# Allowed only with certain arguments: see `rules`.
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
_KILL, _TGKILL = {"x86_64": 62, "aarch64": 129}, {"x86_64": 234, "aarch64": 131}
_PRCTL, _PRLIMIT = {"x86_64": 157, "aarch64": 167}, {"x86_64": 302, "aarch64": 261}
_IOCTL, _FCNTL = {"x86_64": 16, "aarch64": 29}, {"x86_64": 72, "aarch64": 25}
_GETAFFINITY = {"x86_64": 204, "aarch64": 123}
_SOCKETPAIR, _SENDTO = {"x86_64": 53, "aarch64": 199}, {"x86_64": 44, "aarch64": 206}

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # numbers of x86-64's other calling convention start here
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020000
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41
_AF_UNIX = 1
# Whether it is a terminal and how wide, how much there is to read, blocking, closing at exec.
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# All of a file's own: not its owner, to whom the kernel would send signals.
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 9, 36, 37, 38, 1030, 1032)

_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_SET_MODE_FILTER, _FILTER_FLAG_TSYNC = 1, 1
# Classic BPF: load a word of seccomp_data, jump if equal / greater or equal / any bit, return.
_LOAD, _EQUAL, _LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

Instruction = tuple[int, int, int, int]


def allowed(machine: str, tools: bool = False) -> list[int]:
    """The numbers of the calls that are allowed whatever their arguments are."""
    column = {"x86_64": 1, "aarch64": 2}[machine]
    text = _ALLOWED + _TOOLS if tools else _ALLOWED
    lines = (entry.split() for entry in text.replace("\n", "|").split("|") if entry)
    return sorted(number for line in lines if (number := int(line[column])) >= 0)


def _low(argument: int) -> int:
    return _ARGUMENTS + 8 * argument  # both machines are little-endian


def _only(number: int, checks: list[Instruction]) -> list[Instruction]:
    """If the call has this number, run the checks, which return; otherwise go on behind them.

    The number is in the accumulator.
    """
    return [(_EQUAL, 0, len(checks), number), *checks]


def _equals(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow where the 64 bits of an argument are one of the values; otherwise EPERM."""
    last = len(values)
    jumps = [(_EQUAL, last - i, 0, value) for i, value in enumerate(values)]
    return [
        (_LOAD, 0, 0, _low(argument) + 4),
        (_EQUAL, 0, last + 1, 0),
        (_LOAD, 0, 0, _low(argument)),
        *jumps,
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def rules(machine: str, pid: int, tools: bool = False) -> list[Instruction]:
    """The filter for a process whose own number is `pid`.

    With `tools` it may start others, which inherit the filter.
    """
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    threads_only: list[Instruction] = [
        (_LOAD, 0, 0, _low(0)),
        (_BITS, 2, 0, _CLONE_NAMESPACES),
        (_BITS, 0, 0 if tools else 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        refuse,
    ]
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
        (_LEAST, 0, 1, _X32),
        refuse,
    ]
    for number in allowed(machine, tools):
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    # The C library falls back to clone, whose flags lie where the filter can read them.
    program += _only(CLONE3, [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)])
    program += _only(CLONE[machine], threads_only)
    for table in (_KILL, _TGKILL):  # abort() and raise() signal the process itself
        program += _only(table[machine], _equals(0, (pid,)))
    program += _only(_PRCTL[machine], _equals(0, (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)))
    program += _only(_PRLIMIT[machine], _equals(2, (0,)))  # to read a limit, not to set one
    program += _only(_IOCTL[machine], _equals(1, _IOCTLS))
    program += _only(_FCNTL[machine], _equals(1, _FCNTLS))
    program += _only(_GETAFFINITY[machine], _equals(0, (0, pid)))
    # asyncio's event loop wakes itself through a pair of sockets, sending to no address.
    program += _only(_SOCKETPAIR[machine], _equals(0, (_AF_UNIX,)))
    program += _only(_SENDTO[machine], _equals(4, (0,)))
    return [*program, refuse]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def supported() -> str:
    """Empty, or why there is no filter here."""
    if sys.platform != "linux":
        return f"seccomp is Linux's, this is {sys.platform}"
    if kernel.MACHINE not in ARCHITECTURES:
        return f"the list of system calls is for {' and '.join(ARCHITECTURES)}"
    return ""


def install(tools: bool = False) -> None:
    """Put the filter on all threads of this process, for good. Raises OSError.

    PR_SET_NO_NEW_PRIVS must be set.
    """
    program = rules(kernel.MACHINE, os.getpid(), tools)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    # A ctypes string ends at a zero byte only when read back; the kernel gets the whole buffer.
    buffer = ctypes.create_string_buffer(code, len(code))
    wanted = _Program(len(program), ctypes.cast(buffer, ctypes.c_char_p))
    kernel.syscall(
        kernel.SECCOMP, "seccomp", _SET_MODE_FILTER, _FILTER_FLAG_TSYNC, ctypes.byref(wanted)
    )
