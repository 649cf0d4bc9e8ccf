"""Programs that read and change files outside of the sandbox, or see its surroundings.

f(x) returns x twice only if the escape worked: to pass is to have escaped. The test puts a folder
in place of @OUTSIDE@; it holds the files `canary` ("untouched") and `secret`.
"""

from escapes import program

_ESCAPES: dict[str, str] = {
    "reads the secret": """
return open(SECRET).read()
""",
    "reads the secret by a raw call": """
return os.read(call(257, 56, -100, SECRET.encode(), 0, 0), 10)
""",
    "reads the secret by openat2": """
how = struct.pack("QQQ", 0, 0, 0)
return os.read(call(437, 437, -100, SECRET.encode(), how, len(how)), 10)
""",
    "reads the secret through a link": """
posix.symlink(SECRET, "link")
return open("link").read()
""",
    "reads the secret through a link to the root": """
posix.symlink("/../../..", "root")
return open("root/../../.." + SECRET).read()
""",
    "climbs out by dots": """
return open("../" * 40 + SECRET.lstrip("/")).read()
""",
    "climbs out by descriptors of folders": """
folder = os.open(".", os.O_RDONLY)
for _ in range(40):
    folder = os.open("..", os.O_RDONLY, dir_fd=folder)
return os.read(os.open(SECRET.lstrip("/"), os.O_RDONLY, dir_fd=folder), 10)
""",
    "climbs out through a folder that is moved": """
os.makedirs("a/b")
deep = os.open("a/b", os.O_RDONLY)
posix.rename("a/b", "c")
posix.fchdir(deep)
return open("../" * 40 + SECRET.lstrip("/")).read()
""",
    "climbs out through /proc": """
for who in ("self", "thread-self", "1", str(posix.getppid())):
    for way in ("root", "cwd" + "/.." * 40):
        try:
            return open("/proc/" + who + "/" + way + SECRET).read()
        except OSError:
            pass
""",
    "climbs out through inherited descriptors": """
for descriptor in range(256):
    for way in (SECRET.lstrip("/"), "../" * 40 + SECRET.lstrip("/"), "secret"):
        try:
            return os.read(os.open(way, os.O_RDONLY, dir_fd=descriptor), 10)
        except OSError:
            pass
    try:
        posix.fchdir(descriptor)
        return open("../" * 40 + SECRET.lstrip("/")).read()
    except OSError:
        pass
""",
    "writes to inherited files": """
import fcntl
scratch = os.stat(".").st_dev
for descriptor in range(256):
    try:
        seen = os.fstat(descriptor)
        if stat.S_ISREG(seen.st_mode) and seen.st_dev != scratch:
            if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
                return os.write(descriptor, b"harmed")
    except OSError:
        pass
""",
    "reads inherited files": """
for descriptor in range(256):
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.pread(descriptor, 10, 0):
            return True
    except OSError:
        pass
""",
    "opens a file by its handle": """
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
call(303, 264, -100, b"/", handle, ctypes.byref(ctypes.c_int()), 0)
return call(304, 265, os.open(".", os.O_RDONLY), handle, 0) + 1
""",
    "goes to the folder": """
posix.chdir(OUTSIDE)
return open("secret").read()
""",
    "lists the folder": """
return os.listdir(OUTSIDE)
""",
    "asks for the size of the secret": """
return os.stat(SECRET).st_mtime
""",
    "writes the canary": """
return open(CANARY, "w").write("harmed")
""",
    "appends to the canary": """
return os.write(os.open(CANARY, os.O_WRONLY | os.O_APPEND), b"harmed")
""",
    "writes the canary through a link": """
posix.symlink(OUTSIDE, "folder")
return open("folder/canary", "w").write("harmed")
""",
    "writes the canary by a mapping": """
with open(CANARY, "r+b") as file:
    mmap.mmap(file.fileno(), 0)[0:1] = b"X"
return True
""",
    "truncates the canary": """
posix.truncate(CANARY, 1)
return True
""",
    "truncates the canary by a raw call": """
return call(76, 45, CANARY.encode(), 1) + 1
""",
    "removes the canary": """
posix.unlink(CANARY)
return True
""",
    "removes the canary by a raw call": """
return call(263, 35, -100, CANARY.encode(), 0) + 1
""",
    "renames the canary": """
posix.rename(CANARY, CANARY + ".gone")
return True
""",
    "moves a file over the canary": """
open("mine", "w").write("harmed")
posix.rename("mine", CANARY)
return True
""",
    "exchanges the canary": """
open("mine", "w").write("harmed")
return call(316, 276, -100, b"mine", -100, CANARY.encode(), 2) + 1
""",
    "changes the rights of the canary": """
posix.chmod(CANARY, 0o777)
return True
""",
    "changes the times of the canary": """
os.utime(CANARY, (1, 1))
return True
""",
    "marks the canary": """
os.setxattr(CANARY, "user.harmed", b"1")
return True
""",
    "gives the canary away": """
posix.chown(CANARY, os.getuid(), os.getgid())
return True
""",
    "links the canary into its own folder": """
posix.link(CANARY, "mine")
return open("mine", "w").write("harmed")
""",
    "copies over the canary": """
open("mine", "w").write("harmed")
target = os.open(CANARY, os.O_WRONLY)
return os.sendfile(target, os.open("mine", os.O_RDONLY), 0, 6)
""",
    "makes a file beside the canary": """
return open(OUTSIDE + "/made", "w").write("harmed")
""",
    "makes a folder beside the canary": """
posix.mkdir(OUTSIDE + "/made")
return True
""",
    "locks the canary": """
import fcntl
fcntl.flock(os.open(CANARY, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
return True
""",
    "makes a file in the root folder": """
os.close(os.open("/made-by-escape", os.O_CREAT | os.O_WRONLY))
posix.unlink("/made-by-escape")
return True
""",
    "makes files beside the standard library": """
folders = [os.path.dirname(os.__file__), *sys.path]
for folder in folders:
    path = os.path.join(folder, "made_by_escape.py")
    if not folder.startswith("/") or folder.startswith("/tmp"):
        continue
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        posix.unlink(path)
        return True
    except OSError:
        pass
""",
    "opens modules of the standard library to write": """
for module in list(sys.modules.values()):
    path = getattr(module, "__file__", None)
    try:
        if path and path.startswith("/"):
            os.close(os.open(path, os.O_WRONLY))
            return True
    except OSError:
        pass
""",
    "makes files in folders that all share": """
for folder in ("/dev/shm", "/var/tmp", "/run", "/run/lock", "/sys/fs/cgroup", "/dev/mqueue"):
    path = folder + "/made-by-escape"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        posix.unlink(path)
        return True
    except OSError:
        pass
""",
    "reads the list of users": """
return "root:" in open("/etc/passwd").read()
""",
    "asks who it is": """
import pwd
return [user for user in pwd.getpwall() if user.pw_uid == 0]
""",
    "lists homes": """
return any(os.listdir(home) for home in ("/root", "/home") if os.path.isdir(home))
""",
    "sees the machine's folders": """
marks = ("/etc/hostname", "/etc/shadow", "/bin/sh", "/usr/bin/env", "/var/log", "/sys/kernel")
return any(os.path.exists(mark) for mark in marks)
""",
    "lists processes": """
return [name for name in os.listdir("/proc") if name.isdecimal()]
""",
    "reads the environment of others": """
for pid in ("1", "self", str(posix.getppid())):
    try:
        if open("/proc/" + pid + "/environ", "rb").read():
            return True
    except OSError:
        pass
""",
    "reads its own environment": """
harmless = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "PWD", "TMPDIR", "TZ")
return [name for name in os.environ if name not in harmless and not name.startswith("PYTHON")]
""",
    "reads its environment in the C library": """
harmless = (b"HOME", b"LANG", b"LC_ALL", b"LC_CTYPE", b"PATH", b"PWD", b"TMPDIR", b"TZ")
texts = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
place = 0
while texts and texts[place]:
    name = texts[place].split(b"=")[0]
    if name not in harmless and not name.startswith(b"PYTHON"):
        return True
    place += 1
""",
    # The kernel puts the environment behind the arguments when it starts a program.
    "reads its first environment off the stack": """
place = ctypes.c_void_p.in_dll(libc, "program_invocation_name").value
page = ctypes.string_at(place, 4096 - place % 4096)
return [text for text in page.split(b"\\0")[:200] if text.startswith((b"PYTEST_", b"USER="))]
""",
    "opens the machine's memory and disks": """
import glob
disks = [disk for kind in ("sd", "vd", "nvme", "dm-") for disk in glob.glob("/dev/%s*" % kind)]
for path in ("/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port", "/proc/kcore", *disks):
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK) + 1
    except OSError:
        pass
""",
    "opens devices of the kernel": """
for name in ("kvm", "fuse", "net/tun", "loop-control", "vhost-net", "uinput", "ptmx", "snd/seq"):
    try:
        return os.open("/dev/" + name, os.O_RDWR | os.O_NONBLOCK) + 1
    except OSError:
        pass
""",
    "makes a device": """
call(259, 33, -100, b"device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
return os.open("device", os.O_RDWR) + 1
""",
    "opens the kernel's settings to write": """
for name in ("kernel/core_pattern", "kernel/hostname", "vm/drop_caches", "kernel/modprobe"):
    try:
        return os.open("/proc/sys/" + name, os.O_WRONLY) + 1
    except OSError:
        pass
""",
}

PROGRAMS: dict[str, str] = {name: program(escape) for name, escape in _ESCAPES.items()}
