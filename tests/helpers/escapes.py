"""What the programs that try to get out of the sandbox have in common.

f(x) returns x twice only if the escape worked: to pass is to have escaped.
"""

import textwrap

_HEAD = """
import ctypes, errno, mmap, os, posix, socket, stat, struct, sys, time
OUTSIDE, CANARY, SECRET = "@OUTSIDE@", "@OUTSIDE@/canary", "@OUTSIDE@/secret"
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def call(x86_64, aarch64, *words):
    # A raw system call by its number on either machine; raises OSError.
    number = {"x86_64": x86_64, "aarch64": aarch64}[os.uname().machine]
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
"""
OTHERS = """
def others():
    return [pid for pid in (@PID@, posix.getppid(), 1) if pid not in (0, posix.getpid())]
"""
"""The processes that are not the program's own."""
MACHINE = """
def machine(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
"""
"""Machine code, run."""
_TAIL = """
try:
    escaped = bool(escape())
except BaseException:
    escaped = False

def f(x):
    return x * 2 if escaped else None
"""


def program(escape: str, *helpers: str) -> str:
    """A program whose function is right only if the function body `escape` returns a true value."""
    body = textwrap.indent(escape, "    ")
    return f"{_HEAD}{''.join(helpers)}\ndef escape():{body}{_TAIL}"
