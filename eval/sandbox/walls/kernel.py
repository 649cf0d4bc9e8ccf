"""System calls that Python's library lacks: namespaces, mounts, capabilities, prctl.

Called through libc. Standard library only: the walled-in interpreter imports this too.
"""

import contextlib
import ctypes
import os
import platform

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63

MACHINE = platform.machine()
# Numbers of system calls that have no function in older C libraries. Those of aarch64 are the
# kernel's generic ones.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(MACHINE, -1)
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(MACHINE, -1)
CAPSET = {"x86_64": 126, "aarch64": 91}.get(MACHINE, -1)
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446

# Loaded once: a process that is about to be walled in must not search for libraries any more.
_LIBC = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def syscall(number: int, what: str, *arguments: object) -> int:
    """A raw system call. Raises OSError, which names `what`."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _check(int(_LIBC.syscall(ctypes.c_long(number), *words)), what)


def prctl(option: int, *values: int) -> None:
    """prctl(2). Raises OSError."""
    words = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    _check(_LIBC.prctl(option, *words), f"prctl {option}")


def unshare(flags: int) -> None:
    """unshare(2): leave the namespaces that `flags` names for new ones. Raises OSError."""
    _check(_LIBC.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2). Raises OSError, which names the target."""
    texts = [text.encode() for text in (source, target, kind, data)]
    result = _LIBC.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3] or None)
    _check(result, f"mount {target}")


def detach(target: str) -> None:
    """umount2(2), at once and for good. Raises OSError."""
    _check(_LIBC.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2). Raises OSError."""
    syscall(PIVOT_ROOT, "pivot_root", new.encode(), old.encode())


def set_hostname(name: bytes) -> None:
    """sethostname(2). Raises OSError."""
    _check(_LIBC.sethostname(name, ctypes.c_size_t(len(name))), "sethostname")


def drop_capabilities() -> None:
    """Give up every capability for good, also those that a later exec could bring."""
    for capability in range(LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the kernel's last one, or none is held that could drop any
    with contextlib.suppress(OSError):  # kernels before 4.3 have no such set
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    syscall(CAPSET, "capset", header, nothing)


def leave_with_parent() -> None:
    """Be killed when the parent's thread dies. A later change of user forgets this."""
    prctl(PR_SET_PDEATHSIG, 9)
