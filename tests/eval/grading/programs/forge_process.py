"""Wrong programs that leave early, write verdicts, and answer over the channel unasked.

The problem: f(x) returns x twice. No program here computes that; none may pass.
"""

_WRONG = """
def f(x):
    return None
"""

# Frames as protocols have them: a length, then JSON; or lines; or pickles.
_FRAMES = """
import json, os, pickle, struct

def frames():
    for value in (2, True, None, "passed", [True], {"ok": 2}, {"result": 2, "id": 0},
                  {"passed": True, "verdict": "passed", "result": "passed", "error": None},
                  {"kind": "value", "value": 2}, ["value", 2], ["done", "passed"]):
        text = json.dumps(value).encode()
        yield text + b"\\n"
        for body in (text, pickle.dumps(value)):
            for form in (">I", "<I", ">Q", "<Q", ">H", "<H"):
                yield struct.pack(form, len(body)) + body
            yield b"%d\\n" % len(body) + body
            yield b"%d:" % len(body) + body + b","
            yield b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body

def write_to_all(data):
    for descriptor in range(256):
        try:
            os.set_blocking(descriptor, False)
            os.write(descriptor, data)
        except OSError:
            pass
"""

PROGRAMS: dict[str, str] = {
    "leaves at once": "import os\nos._exit(0)\n",
    "leaves at once, the polite way": "import sys\nsys.exit(0)\n",
    "leaves after its definitions": _WRONG + "import posix\nposix._exit(0)\n",
    "leaves with nothing": _WRONG + "raise SystemExit\n",
    "leaves with an odd code": """
class Code:
    __eq__ = __bool__ = lambda self, *other: True
    __str__ = lambda self: "passed"
    __int__ = __index__ = lambda self: 0

raise SystemExit(Code())
""",
    "leaves with a verdict": "raise SystemExit('passed')\n",
    "leaves in the function": "import os\ndef f(x):\n    os._exit(0)\n",
    "leaves in the function, the polite way": "def f(x):\n    raise SystemExit(0)\n",
    "leaves in the second call": """
import os
calls = []

def f(x):
    calls.append(x)
    return 2 if len(calls) == 1 else os._exit(0)
""",
    "leaves by the C library": """
import ctypes
libc = ctypes.CDLL(None)

def f(x):
    libc.exit(0)
    libc.quick_exit(0)
    libc._exit(0)
""",
    "leaves by a raw system call": """
import ctypes, os
number = {"x86_64": 231, "aarch64": 94}[os.uname().machine]
ctypes.CDLL(None).syscall(number, 0)
""",
    "leaves at exit": "import atexit, os\natexit.register(os._exit, 0)\n" + _WRONG,
    "leaves in a thread": """
import os, threading, time
threading.Thread(target=os._exit, args=(0,)).start()

def f(x):
    time.sleep(60)
""",
    "leaves in a timer": """
import os, threading, time
threading.Timer(0.05, os._exit, (0,)).start()

def f(x):
    time.sleep(60)
""",
    "leaves in a signal handler": """
import os, signal, time
signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.05)

def f(x):
    time.sleep(60)
""",
    "leaves when an object dies": """
import os

class Door:
    def __del__(self):
        os._exit(0)

def f(x):
    door = Door()
    del door
""",
    "leaves when a generator closes": """
import os

def room():
    try:
        yield
    finally:
        os._exit(0)

def f(x):
    machine = room()
    next(machine)
    machine.close()
""",
    "leaves when its globals die": """
import os, weakref

class Thing:
    pass

thing = Thing()
weakref.finalize(thing, os._exit, 0)
"""
    + _WRONG,
    "leaves when an error is shown": """
import os, sys, threading
sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *_: os._exit(0)

def f(x):
    raise ValueError("passed")
""",
    "leaves when something is audited": """
import os, sys
armed = []

def hook(event, arguments):
    if armed and event in ("compile", "exec", "open", "import", "object.__getattr__"):
        os._exit(0)

sys.addaudithook(hook)

def f(x):
    armed.append(x)
""",
    "leaves with all descriptors closed": """
import os
os.closerange(0, 4096)
os._exit(0)
""",
    "leaves by signals": """
import signal, time

def f(x):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGINT, signal.SIGKILL):
        signal.raise_signal(number)
""",
    "interrupts the main thread": """
import _thread, threading, time
threading.Timer(0.05, _thread.interrupt_main).start()

def f(x):
    time.sleep(60)
""",
    "ends its thread": "import _thread\n\ndef f(x):\n    _thread.exit()\n",
    "raises what only interpreters raise": """
class Passed(BaseException):
    __str__ = lambda self: "passed"

kinds = iter([KeyboardInterrupt, GeneratorExit, StopIteration, StopAsyncIteration, Passed])

def f(x):
    raise next(kinds)("passed")
""",
    "raises at once what is no error": """
class Passed(BaseException):
    pass

raise Passed("passed")
""",
    "raises an error of the judge's name": """
class AssertionError(AssertionError):
    __bool__ = lambda self: False
    __str__ = lambda self: ""

def f(x):
    raise AssertionError
""",
    "becomes the program that is always right": """
import posix
for path in ("/bin/true", "/usr/bin/true"):
    try:
        posix.execve(path, ["true"], {})
    except OSError:
        pass
"""
    + _WRONG,
    "a child goes on": """
import posix
try:
    if posix.fork() == 0:
        posix._exit(0)
except OSError:
    pass
"""
    + _WRONG,
    "prints a verdict": "print('passed')\nprint('PASSED')\nprint('OK')\n" + _WRONG,
    "prints a verdict in the function": """
import json

def f(x):
    print("passed", flush=True)
    print(json.dumps({"task_id": "f", "passed": True, "result": "passed"}), flush=True)
""",
    "prints a verdict and leaves": """
import os, sys
for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
    try:
        print('{"passed": true, "result": "passed"}', "passed", sep="\\n", file=stream, flush=True)
    except Exception:
        pass
os.write(1, b"passed\\n")
os.write(2, b"passed\\n")
os._exit(0)
""",
    "writes verdicts to every descriptor": _FRAMES
    + """
write_to_all(b"passed\\n")
write_to_all(b'{"passed": true, "verdict": "passed", "result": "passed"}\\n')
"""
    + _WRONG,
    "writes frames to every descriptor": _FRAMES
    + """
for frame in frames():
    write_to_all(frame)
"""
    + _WRONG,
    "writes frames in the function": _FRAMES
    + """
def f(x):
    for frame in frames():
        write_to_all(frame)
    os._exit(0)
""",
    "writes frames from a thread": _FRAMES
    + """
import threading

def work():
    while True:
        for frame in frames():
            write_to_all(frame)

threading.Thread(target=work, daemon=True).start()
"""
    + _WRONG,
    "answers a thousand times before the question": _FRAMES
    + """
for _ in range(1000):
    write_to_all(b"2\\n")
    write_to_all(struct.pack("<I", 1) + b"2")
    write_to_all(struct.pack(">I", 1) + b"2")
"""
    + _WRONG,
    "writes half a frame": _FRAMES
    + """
write_to_all(struct.pack(">I", 1 << 31))
write_to_all(b"999999999999\\n{")
"""
    + _WRONG,
    "sends back what it is sent": _FRAMES
    + """
import select, threading

def echo():
    while True:
        for descriptor in range(256):
            try:
                if select.select([descriptor], [], [], 0)[0]:
                    write_to_all(os.read(descriptor, 65536))
            except (OSError, ValueError):
                pass

threading.Thread(target=echo, daemon=True).start()
"""
    + _WRONG,
    "crosses the descriptors": """
import os
for descriptor in range(3, 256):
    try:
        os.dup2(descriptor, descriptor ^ 1)
    except OSError:
        pass
"""
    + _WRONG,
    "has its outputs lead into the channel": """
import os
for descriptor in range(3, 256):
    try:
        os.write(os.dup(descriptor), b"")
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.write(1, b'{"passed": true}\\n')
    except OSError:
        pass
print("passed", flush=True)
"""
    + _WRONG,
    "moves back what it wrote": """
import os
for descriptor in range(256):
    for action in (lambda d: os.lseek(d, 0, 0), lambda d: os.ftruncate(d, 0),
                   lambda d: os.pwrite(d, b"passed", 0)):
        try:
            action(descriptor)
        except OSError:
            pass
"""
    + _WRONG,
}
