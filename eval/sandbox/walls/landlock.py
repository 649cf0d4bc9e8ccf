"""The Landlock backend's rules: which files a process may see, without namespaces.

https://docs.kernel.org/userspace-api/landlock.html. Version 3 (Linux 6.2) is the first that stops
files from being cut to nothing; older ones are refused.
"""

import ctypes
import os
from collections.abc import Iterable

from eval.sandbox.walls import kernel

LEAST_VERSION = 3
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
# Access rights, in the order of linux/landlock.h.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_OF = {3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# All but execution, devices and sockets: remove (4, 5), make folder (7), file (8), link (12),
# refer (13), truncate (14).
_SCRATCH = _READ_FILE | _READ_DIR | _WRITE_FILE | sum(1 << n for n in (4, 5, 7, 8, 12, 13, 14))
_DEVICE = _READ_FILE | _WRITE_FILE
_NETWORK = 3  # bind and connect over TCP, from version 4 on
_SCOPES = 3  # abstract sockets and signals, from version 6 on


class _Rules(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's version of Landlock; 0 where it has none."""
    try:
        return kernel.syscall(
            kernel.LANDLOCK_CREATE, "landlock", None, ctypes.c_size_t(0), _VERSION_FLAG
        )
    except OSError:
        return 0


def restrict(readable: Iterable[str], scratch: str, devices: Iterable[str]) -> None:
    """Let this process read `readable`, use `scratch` and `devices`, and no other file, for good.

    Raises OSError. PR_SET_NO_NEW_PRIVS must be set.
    """
    found = version()
    handled = _ALL_OF[min(found, max(_ALL_OF))]
    rules = _Rules(handled, _NETWORK if found >= 4 else 0, _SCOPES if found >= 6 else 0)
    size = 8 if found < 4 else 16 if found < 6 else 24
    ruleset = kernel.syscall(
        kernel.LANDLOCK_CREATE, "landlock", ctypes.byref(rules), ctypes.c_size_t(size), 0
    )
    for paths, rights in ((readable, _READ), ([scratch], _SCRATCH), (devices, _DEVICE)):
        for path in paths:
            _allow(ruleset, path, rights & handled)
    kernel.syscall(kernel.LANDLOCK_RESTRICT, "landlock", ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= _EXECUTE | _READ_FILE | _WRITE_FILE | 1 << 14
    try:
        rule = _Beneath(rights, descriptor)
        kernel.syscall(
            kernel.LANDLOCK_ADD, f"landlock {path}", ruleset, _RULE_PATH_BENEATH,
            ctypes.byref(rule), 0,
        )  # fmt: skip
    finally:
        os.close(descriptor)
