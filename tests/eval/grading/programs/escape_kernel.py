"""Programs that ask the kernel for namespaces, mounts, rights and dangerous interfaces.

f(x) returns x twice only if the escape worked: to pass is to have escaped. The test puts a folder
with files `canary` and `secret` in place of @OUTSIDE@.
"""

from escapes import MACHINE, program

_ESCAPES: dict[str, str] = {
    "leaves for a user namespace of its own": """
return call(272, 97, 0x10000000) + 1
""",
    "leaves for other namespaces of its own": """
for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x20000000, 0x40000000, 0x80):
    try:
        return call(272, 97, flag) + 1
    except OSError:
        pass
""",
    "enters the namespaces of another": """
for pid in {posix.getppid(), 1} - {0, posix.getpid()}:
    try:
        return call(308, 268, call(434, 434, pid, 0), 0x00020000 | 0x40000000) + 1
    except OSError:
        pass
""",
    "enters a namespace by its file": """
for name in ("1/ns/mnt", "1/ns/net", "self/ns/net", "self/ns/ipc"):
    try:
        return call(308, 268, os.open("/proc/" + name, os.O_RDONLY), 0) + 1
    except OSError:
        pass
""",
    "mounts a file system": """
posix.mkdir("mounted")
return call(165, 40, b"none", b"mounted", b"tmpfs", 0, None) + 1
""",
    "mounts the processes": """
posix.mkdir("proc")
call(165, 40, b"proc", b"proc", b"proc", 0, None)
return os.listdir("proc")
""",
    "binds the root folder to the scratch": """
posix.mkdir("root")
return call(165, 40, b"/", b"root", None, 4096 | 16384, None) + 1
""",
    "makes the root folder writable": """
return call(165, 40, None, b"/", None, 32 | 4096, None) + 1
""",
    # With this flag, the first call unmounts nothing.
    "could unmount": """
for folder in (b"/tmp", b"/"):
    try:
        call(166, 39, folder, 4)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EBUSY, errno.EINVAL):
            return True
""",
    "mounts by the new calls": """
return call(430, 430, b"tmpfs", 0) + 1
""",
    "copies the tree of mounts": """
return call(428, 428, -100, b"/", 1) + 1
""",
    "changes a mount by the new calls": """
words = struct.pack("4Q", 0, 1, 0, 0)
return call(442, 442, -100, b"/", 0, words, len(words)) + 1
""",
    "puts another root in place": """
call(272, 97, 0x10000000 | 0x00020000)
call(165, 40, b"none", b"/", None, 16384 | 1 << 18, None)
posix.mkdir("new")
call(165, 40, b"none", b"new", b"tmpfs", 0, None)
posix.chdir("new")
return call(155, 41, b".", b".") + 1
""",
    "leaves its root by another one": """
top = os.open("/", os.O_RDONLY)
posix.mkdir("jail")
call(161, 51, b"jail")
posix.fchdir(top)
for _ in range(40):
    posix.chdir("..")
call(161, 51, b".")
return open(SECRET).read()
""",
    "makes a queue for the kernel's input and output": """
return call(425, 425, 4, ctypes.create_string_buffer(120)) + 1
""",
    "makes a map for programs in the kernel": """
words = struct.pack("4I", 2, 4, 8, 1) + bytes(56)
return call(321, 280, 0, words, len(words)) + 1
""",
    "loads a program into the kernel": """
code = bytes.fromhex("b700000000000000" "9500000000000000")
code = ctypes.create_string_buffer(code, 16)
license = ctypes.create_string_buffer(b"GPL")
places = (ctypes.addressof(code), ctypes.addressof(license))
words = struct.pack("2I2Q", 1, 2, *places) + bytes(88)
return call(321, 280, 5, words, len(words)) + 1
""",
    "handles page faults": """
return call(323, 282, 1) + 1
""",
    "keeps a key in the kernel": """
return call(248, 217, b"user", b"bytelm-escape", b"x", 1, -2) + 1
""",
    "asks for the kernel's keys": """
return call(250, 219, 0, -3, 0, 0, 0) + 1
""",
    "measures the processor": """
words = ctypes.create_string_buffer(struct.pack("2IQ", 1, 112, 0), 112)
return call(298, 241, words, 0, -1, -1, 0) + 1
""",
    "takes another personality": """
call(135, 92, 0x0040000)
return call(135, 92, 0xFFFFFFFF) & 0x0040000
""",
    "outlives its parent": """
return call(157, 167, 1, 0, 0, 0, 0) + 1
""",
    "lets others trace it": """
for option, value in ((4, 1), (0x59616D61, -1)):
    try:
        return call(157, 167, option, value, 0, 0, 0) + 1
    except OSError:
        pass
""",
    "collects orphans": """
return call(157, 167, 36, 1, 0, 0, 0) + 1
""",
    "changes its bits of security": """
return call(157, 167, 28, 1, 0, 0, 0) + 1
""",
    "becomes root": """
for numbers in ((105, 146), (106, 144)):
    try:
        return call(*numbers, 0) + 1
    except OSError:
        pass
""",
    "becomes root in all three ways": """
for numbers in ((117, 147), (119, 149)):
    try:
        return call(*numbers, 0, 0, 0) + 1
    except OSError:
        pass
""",
    "leaves its groups": """
return call(116, 159, 0, None) + 1
""",
    "has or takes rights": """
head = struct.pack("Ii", 0x20080522, 0)
rights = ctypes.create_string_buffer(24)
call(125, 90, head, rights)
if struct.unpack("6I", rights.raw)[1] or struct.unpack("6I", rights.raw)[4]:
    return True
return call(126, 91, head, struct.pack("6I", *[0xFFFFFFFF] * 6)) + 1
""",
    "raises its limits": """
import importlib.machinery, importlib.util
sys.modules.pop("resource", None)
spec = importlib.util.find_spec("resource")
resource = importlib.util.module_from_spec(spec)
spec.loader.exec_module(resource)
for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
    try:
        resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return True
    except (OSError, ValueError):
        pass
""",
    "raises its limits by raw calls": """
for kind in (0, 9):
    for words in ((302, 261, 0, kind, b"\\xff" * 16, None), (160, 164, kind, b"\\xff" * 16)):
        try:
            return call(*words) + 1
        except OSError:
            pass
""",
    "has no limits": """
words = ctypes.create_string_buffer(16)
for kind in (0, 9):
    call(97, 163, kind, words)
    if struct.unpack("2Q", words.raw)[1] >= 1 << 62:
        return True
""",
    "lives in real time": """
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
return True
""",
    "goes before others": """
return os.nice(-1) + 100
""",
    "locks memory": """
mine = mmap.mmap(-1, 1 << 26)
address = ctypes.addressof(ctypes.c_char.from_buffer(mine))
return call(149, 228, address, 1 << 26) + 1
""",
    "watches all files": """
return call(300, 262, 0, 0) + 1
""",
    "reads the kernel's log": """
return call(103, 116, 3, ctypes.create_string_buffer(1024), 1024) + 1
""",
    "loads a module into the kernel": """
try:
    call(175, 105, b"no module", 9, b"")
except OSError as error:
    return error.errno == errno.ENOEXEC
""",
    # The first word is not the one that the call wants.
    "could restart the machine": """
try:
    call(169, 142, 1, 2, 3, None)
except OSError as error:
    return error.errno == errno.EINVAL
""",
    "names the machine": """
name = os.uname().nodename.encode()
return call(170, 161, name, len(name)) + 1
""",
    "opens the ports of the machine": """
return os.uname().machine == "x86_64" and call(172, -1, 3) + 1
""",
    "changes its segments": """
return os.uname().machine == "x86_64" and call(154, -1, 0, bytes(16), 16) + 1
""",
    # Numbers of x86-64's third interface: they are to be refused as the others are.
    "makes a socket by the third interface": """
return call(41 | 0x40000000, -1, 1, 1, 0) + 1
""",
    # The 32-bit interface has numbers of its own. x86-64 only.
    "makes a socket by the old interface": """
code = bytes.fromhex("53bb01000000b901000000ba00000000b867010000cd805bc3")
return os.uname().machine == "x86_64" and machine(code) >= 0
""",
    "asks for its number by the old interface": """
code = bytes.fromhex("b814000000cd80c3")
return os.uname().machine == "x86_64" and machine(code) == os.getpid()
""",
    "calls what a list of older calls does not know": """
for number in range(463, 512):
    try:
        return call(number, number, 0, 0, 0, 0, 0, 0) + 1
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS):
            return True
""",
}

PROGRAMS: dict[str, str] = {name: program(escape, MACHINE) for name, escape in _ESCAPES.items()}
