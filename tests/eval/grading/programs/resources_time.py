"""Programs that never end, cannot be stopped, crash, or make processes and threads without end.

The problem: f(x) returns x twice. No program here answers that rightly, whatever it may take;
none may pass. Nothing of them may be left, and the grader must go on.
"""

_NEVER = """
def f(x):
    while True:
        pass
"""

PROGRAMS: dict[str, str] = {
    "loops": _NEVER,
    "loops before its function": "while True:\n    pass\n",
    "loops and swallows everything": """
def f(x):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
""",
    "swallows everything from the start": """
while True:
    try:
        1 / 0
    except BaseException:
        pass
""",
    "ends and begins again": """
def f(x):
    try:
        while True:
            pass
    finally:
        f(x)
""",
    "sums without end, in C": "def f(x):\n    return sum(range(10**12))\n",
    "matches without end, in C": """
import re

def f(x):
    return re.match(r"(a+)+$", "a" * 10**5 + "b")
""",
    "a power that never ends": "def f(x):\n    return 3 ** (10**9) % 7\n",
    "a factorial that never ends": "import math\n\ndef f(x):\n    return math.factorial(10**8)\n",
    "digits of a huge number": """
import sys
sys.set_int_max_str_digits(0)

def f(x):
    return str(1 << 10**9)
""",
    "sorts what never ends": """
import itertools

def f(x):
    return sorted(itertools.count())
""",
    "lists what never ends": "import itertools\n\ndef f(x):\n    return list(itertools.count())\n",
    "takes the last of what never ends": """
import collections, itertools

def f(x):
    return collections.deque(itertools.repeat(x), maxlen=1)
""",
    "asks if an endless range holds it": """
import itertools

def f(x):
    return object() in itertools.cycle([1])
""",
    "products without end": """
import itertools

def f(x):
    return sum(1 for _ in itertools.product(range(100), repeat=20))
""",
    "hashes that all collide": """
class Same:
    __hash__ = lambda self: 0

def f(x):
    return len({Same() for _ in range(10**6)})
""",
    "ignores all signals": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
"""
    + _NEVER,
    "handles all signals and blocks them": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, lambda *_: None)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
"""
    + _NEVER,
    "is busy with its own signals": """
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
"""
    + _NEVER,
    "sleeps for ever": "import time\n\ndef f(x):\n    while True:\n        time.sleep(10**6)\n",
    "sleeps before its function": "import time\ntime.sleep(10**6)\n",
    "waits for a lock": """
import threading

def f(x):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
""",
    "waits for a pipe": "import os\n\ndef f(x):\n    return os.read(os.pipe()[0], 1)\n",
    "waits for a signal": "import signal\n\ndef f(x):\n    while True:\n        signal.pause()\n",
    "waits for an event loop": """
import asyncio

def f(x):
    return asyncio.run(asyncio.Event().wait())
""",
    "waits for its own thread at exit": """
import threading, time
threading.Thread(target=time.sleep, args=(10**6,)).start()
raise SystemExit(0)
""",
    "waits at exit": "import atexit, time\natexit.register(time.sleep, 10**6)\nraise SystemExit\n",
    "an object that takes for ever to die": """
import time

class Slow:
    __del__ = lambda self: time.sleep(10**6)

slow = Slow()
raise SystemExit(0)
""",
    "reads the channel empty": """
import os

def f(x):
    while True:
        for descriptor in range(256):
            try:
                os.set_blocking(descriptor, False)
                os.read(descriptor, 1 << 16)
            except OSError:
                pass
""",
    "stops itself": "import posix\n\ndef f(x):\n    posix.kill(posix.getpid(), 19)\n",
    "stops itself before its function": "import posix\nposix.kill(posix.getpid(), 19)\n",
    "stops itself by raise": """
import signal

def f(x):
    for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.raise_signal(number)
""",
    "aborts": "import os\n\ndef f(x):\n    os.abort()\n",
    "reads at address zero": "import ctypes\n\ndef f(x):\n    return ctypes.string_at(0)\n",
    "jumps to address zero": "import ctypes\n\ndef f(x):\n    ctypes.CFUNCTYPE(None)(0)()\n",
    "writes over itself": """
import ctypes

def f(x):
    ctypes.memset(id(type(x)), 255, 64)
""",
    "crashes the interpreter": """
def f(x):
    code = (lambda: None).__code__
    exec(code.replace(co_code=bytes([255, 255] * 50), co_stacksize=0))
""",
    "a thousand threads that sleep": """
import threading, time

def f(x):
    while True:
        try:
            threading.Thread(target=time.sleep, args=(10**6,)).start()
        except (RuntimeError, MemoryError):
            time.sleep(10**6)
""",
    "a thousand threads that spin": """
import threading

def spin():
    while True:
        pass

def f(x):
    while True:
        try:
            threading.Thread(target=spin).start()
        except (RuntimeError, MemoryError):
            spin()
""",
    "threads that start threads": """
import _thread

def work():
    while True:
        try:
            _thread.start_new_thread(work, ())
        except (RuntimeError, MemoryError):
            pass

def f(x):
    work()
""",
    # Never to be run outside of the sandbox.
    "children without end": """
import posix

def f(x):
    while True:
        try:
            posix.fork()
        except OSError:
            pass
""",
    "children in sessions of their own": """
import posix, time
for _ in range(8):
    try:
        if posix.fork() == 0:
            posix.setsid()
            time.sleep(10**6)
    except OSError:
        pass
"""
    + _NEVER,
    "a child that holds everything open": """
import posix, time
try:
    if posix.fork() == 0:
        time.sleep(10**6)
except OSError:
    pass
posix._exit(0)
""",
    "children by the C library": """
import ctypes
libc = ctypes.CDLL(None)

def f(x):
    while True:
        libc.fork()
""",
}
