"""Programs that start processes, or reach for processes that are not their own.

f(x) returns x twice only if the escape worked: to pass is to have escaped. The test puts the number
of a sleeping process in place of @PID@, and a folder with a file `canary` in place of @OUTSIDE@.
Signals to others than @PID@ are number 0: they ask whether a signal could be sent.
"""

from escapes import MACHINE, OTHERS, program

_ESCAPES: dict[str, str] = {
    "kills a process": """
posix.kill(@PID@, 9)
return @PID@ != posix.getpid()
""",
    "kills a process by raw calls": """
for numbers in ((62, 129), (200, 130)):
    try:
        return call(*numbers, @PID@, 9) + 1
    except OSError:
        pass
""",
    "kills a thread of a process": """
return call(234, 131, @PID@, @PID@, 9) + 1
""",
    "sends a signal with a value": """
value = ctypes.create_string_buffer(struct.pack("iii", 9, 0, -1), 128)
return call(129, 138, @PID@, 9, value) + 1
""",
    "could signal its parent or the first process": """
for pid in others():
    try:
        posix.kill(pid, 0)
        return True
    except OSError:
        pass
""",
    "could signal everybody": """
posix.kill(-1, 0)
return True
""",
    "could signal the group of its parent": """
for pid in others():
    try:
        posix.kill(-posix.getpgid(pid), 0)
        return posix.getpgid(pid) != posix.getpgrp()
    except OSError:
        pass
""",
    # The kernel signals the owner of a pipe when something is written.
    "kills a process through the owner of a pipe": """
import fcntl
read, write = os.pipe()
fcntl.fcntl(read, fcntl.F_SETOWN, @PID@)
fcntl.fcntl(read, 10, 9)
fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
return os.write(write, b"x")
""",
    "opens a process": """
for pid in others():
    try:
        return call(434, 434, pid, 0) + 1
    except OSError:
        pass
""",
    "signals an opened process": """
process = call(434, 434, @PID@, 0)
return call(424, 424, process, 9, None, 0) + 1
""",
    "takes a descriptor of a process": """
for pid in others():
    process = call(434, 434, pid, 0)
    for descriptor in range(10):
        try:
            return call(438, 438, process, descriptor, 0) + 1
        except OSError:
            pass
""",
    "traces a process": """
for pid in others():
    try:
        return call(101, 117, 0x4206, pid, 0, 0) + 1
    except OSError:
        pass
""",
    "asks its parent to trace it": """
return call(101, 117, 0, 0, 0, 0) + 1
""",
    "reads the memory of a process": """
mine = ctypes.create_string_buffer(8)
vector = struct.pack("QQ", ctypes.addressof(mine), 8)
for pid in others():
    try:
        return call(310, 270, pid, vector, 1, vector, 1, 0) + 1
    except OSError as error:
        if error.errno == errno.EFAULT:
            return True
""",
    "writes the memory of a process": """
mine = ctypes.create_string_buffer(8)
vector = struct.pack("QQ", ctypes.addressof(mine), 8)
for pid in others():
    try:
        return call(311, 271, pid, vector, 1, struct.pack("QQ", 8, 8), 1, 0) + 1
    except OSError as error:
        if error.errno == errno.EFAULT:
            return True
""",
    "reads processes in files": """
for pid in others():
    for name in ("mem", "environ", "maps", "cmdline", "status", "ns/net"):
        try:
            return os.open("/proc/%d/%s" % (pid, name), os.O_RDONLY) + 1
        except OSError:
            pass
""",
    "finds the locks of a process": """
head, size = ctypes.c_void_p(), ctypes.c_size_t()
return call(274, 100, @PID@, ctypes.byref(head), ctypes.byref(size)) + 1
""",
    "compares two processes": """
for pid in others():
    try:
        return call(312, 272, pid, pid, 1, 0, 0) + 1
    except OSError:
        pass
""",
    "takes the processor from a process": """
return call(302, 261, @PID@, 0, struct.pack("QQ", 1, 1), None) + 1
""",
    "slows a process": """
os.setpriority(os.PRIO_PROCESS, @PID@, 19)
return True
""",
    "moves a process to one processor": """
os.sched_setaffinity(@PID@, os.sched_getaffinity(@PID@))
return True
""",
    "asks about a process": """
return os.sched_getscheduler(@PID@) + 1
""",
    "starts a child": """
pid = posix.fork()
return pid or posix._exit(0)
""",
    "starts a child by the C library": """
pid = libc.fork()
return pid > 0 or pid == 0 and posix._exit(0)
""",
    "starts a child by a raw call": """
pid = call(57, 220, 17, 0, 0, 0, 0)
return pid or posix._exit(0)
""",
    "starts a child by clone": """
pid = call(56, 220, 17, 0, 0, 0, 0)
return pid or posix._exit(0)
""",
    "starts a child by clone and waits for it": """
pid = call(56, 220, 17 | 0x4000, 0, 0, 0, 0)
return pid or posix._exit(0)
""",
    "starts a child with high bits set": """
pid = call(56, 220, 17 | 0x7FFFFFFF00000000, 0, 0, 0, 0)
return pid or posix._exit(0)
""",
    "starts a child in a new namespace": """
pid = call(56, 220, 17 | 0x10000000 | 0x20000000, 0, 0, 0, 0)
return pid or posix._exit(0)
""",
    "starts a child by clone3": """
words = struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0)
pid = call(435, 435, words, len(words))
return pid or posix._exit(0)
""",
    # In machine code of its own: the child must leave without a return. x86-64 only.
    "starts a child by vfork": """
code = bytes.fromhex("b83a0000000f0585c0750931ffb83c0000000f05c3")
return os.uname().machine == "x86_64" and machine(code) > 0
""",
    # The way of the 32-bit interface, around a list of 64-bit numbers. x86-64 only.
    "starts a child by the old interface": """
code = bytes.fromhex("b802000000cd8085c0750931ffb83c0000000f05c3")
return os.uname().machine == "x86_64" and machine(code) > 0
""",
    "starts a child by the third interface": """
pid = call(57 | 0x40000000, -1)
return pid or posix._exit(0)
""",
    "spawns a child": """
try:
    return posix.posix_spawn("/no/such/program", ["x"], {})
except FileNotFoundError:
    return True
""",
    "runs a shell by the C library": """
return libc.system(b"exit 7") == 7 << 8
""",
    "opens a shell by the C library": """
libc.popen.restype = ctypes.c_void_p
return libc.popen(b"exit 7", b"r")
""",
    "loads subprocess anew": """
import importlib
for name in ("os", "subprocess"):
    sys.modules.pop(name, None)
subprocess = importlib.import_module("subprocess")
try:
    return subprocess.run([sys.executable or "/bin/true", "-c", ""], timeout=3).args
except FileNotFoundError:
    return True
""",
    "starts processes by multiprocessing": """
import importlib
sys.modules.pop("os")
os = importlib.import_module("os")
import multiprocessing
process = multiprocessing.get_context("fork").Process(target=print)
process.start()
return process.pid
""",
    "starts a child at a terminal of its own": """
pid, _ = posix.forkpty()
return pid or posix._exit(0)
""",
    # To be refused for the file's sake, not at once, means that another file would be run.
    "becomes another program": """
open("program", "w").write("no program")
try:
    call(59, 221, b"program", None, None)
except OSError as error:
    return error.errno in (errno.EACCES, errno.ENOEXEC, errno.EFAULT)
""",
    "becomes another program by its descriptor": """
open("program", "w").write("no program")
try:
    call(322, 281, os.open("program", os.O_RDONLY), b"", None, None, 0x1000)
except OSError as error:
    return error.errno in (errno.EACCES, errno.ENOEXEC, errno.EFAULT)
""",
    "becomes a program in memory": """
file = call(319, 279, b"program", 0)
os.write(file, b"no program")
try:
    call(322, 281, file, b"", None, None, 0x1000)
except OSError as error:
    return error.errno in (errno.EACCES, errno.ENOEXEC, errno.EFAULT)
""",
    "makes a file in memory": """
return call(319, 279, b"file", 0) + 1
""",
    "leaves a daemon": """
if posix.fork() == 0:
    posix.setsid()
    time.sleep(0.5)
    open(CANARY, "w").write("harmed by a daemon")
    posix._exit(0)
return True
""",
    "leaves a daemon by two forks": """
if posix.fork() == 0:
    posix.setsid()
    if posix.fork() == 0:
        for descriptor in range(256):
            try:
                os.close(descriptor)
            except OSError:
                pass
        time.sleep(0.5)
        open(CANARY, "w").write("harmed by a daemon")
    posix._exit(0)
return True
""",
    "leaves a daemon by a raw call": """
if call(56, 220, 17, 0, 0, 0, 0) == 0:
    time.sleep(0.5)
    open(CANARY, "w").write("harmed by a daemon")
    posix._exit(0)
return True
""",
    "types into a terminal": """
import fcntl, termios
try:
    os.open("/dev/tty", os.O_RDWR)
except OSError:
    pass
for descriptor in range(256):
    try:
        fcntl.ioctl(descriptor, termios.TIOCSTI, b"#")
        return True
    except OSError:
        pass
""",
}

PROGRAMS: dict[str, str] = {
    name: program(escape, OTHERS, MACHINE) for name, escape in _ESCAPES.items()
}
