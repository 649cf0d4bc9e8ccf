"""Programs that take memory, disk, descriptors and output, and texts that break parsers.

The problem: f(x) returns x twice. No program here answers that rightly, whatever it may take;
none may pass. Nothing of them may be left, and the grader must go on.
"""

_WRONG = """
def f(x):
    return None
"""

PROGRAMS: dict[str, str] = {
    "takes memory": """
def f(x):
    held = []
    while True:
        held.append(bytearray(10**6))
""",
    "takes memory and swallows the error": """
def f(x):
    held = []
    while True:
        try:
            held.append(b"x" * 10**5 + b"y")
        except MemoryError:
            pass
""",
    "takes memory at once": "HELD = bytearray(1 << 40)\n",
    "takes small objects": """
def f(x):
    held = None
    while True:
        held = (held,)
""",
    "takes memory by mappings": """
import mmap

def f(x):
    held = []
    while True:
        try:
            held.append(mmap.mmap(-1, 1 << 20))
            held[-1].write(b"x" * (1 << 20))
        except (OSError, ValueError, MemoryError):
            pass
""",
    "takes memory by shared mappings of a file": """
import mmap

def f(x):
    with open("big", "wb+") as file:
        file.truncate(1 << 32)
        held = mmap.mmap(file.fileno(), 1 << 29)
        for place in range(0, 1 << 29, 4096):
            held[place] = 1
""",
    "takes memory in threads": """
import threading

def take():
    held = []
    while True:
        try:
            held.append(bytearray(10**6))
        except MemoryError:
            pass

def f(x):
    for _ in range(16):
        threading.Thread(target=take).start()
    take()
""",
    "takes memory by growing a text": "def f(x):\n    s = 'x'\n    while True:\n        s += s\n",
    "takes memory in pipes": """
import os

def f(x):
    while True:
        try:
            read, write = os.pipe()
            os.set_blocking(write, False)
            os.write(write, bytes(1 << 20))
        except OSError:
            pass
""",
    "unpacks a bomb": """
import zlib
packer = zlib.compressobj(9, zlib.DEFLATED, -15)
megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)

def f(x):
    return zlib.decompress(megabyte * 100_000 + packer.flush(), -15)
""",
    "formats a bomb": "def f(x):\n    return '%0*d' % (10**10, 1) + f'{1:{10**10}}'\n",
    "takes descriptors": """
import os

def f(x):
    while True:
        try:
            os.dup(1)
        except OSError:
            pass
""",
    "fills the disk": """
def f(x):
    number = 0
    while True:
        number += 1
        try:
            with open("big%d" % number, "wb") as file:
                while True:
                    file.write(bytes(1 << 20))
        except OSError:
            pass
""",
    "fills the disk without names": """
import os, tempfile

def f(x):
    while True:
        try:
            file = tempfile.TemporaryFile(buffering=0)
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            pass
""",
    "fills the table of files": """
def f(x):
    number = 0
    while True:
        number += 1
        try:
            open("file%d" % number, "w").close()
        except OSError:
            pass
""",
    "folders in folders": """
import posix

def f(x):
    while True:
        try:
            posix.mkdir("d")
            posix.chdir("d")
        except OSError:
            pass
""",
    "names that cannot be removed": """
import os, posix
os.makedirs("a/b/c", exist_ok=True)
for name in (b"\\xff\\xfe", b"new\\nline", b"-rf", b"x" * 255):
    open(name, "w").close()
posix.symlink("/", "a/b/up")
posix.symlink("loop", "loop")
posix.chmod("a/b", 0)
posix.chmod("a", 0)
"""
    + _WRONG,
    "a file of a terabyte": """
with open("big", "wb") as file:
    file.truncate(10**12)
    file.seek(10**13)
    file.write(b"x")
"""
    + _WRONG,
    "prints without end": "def f(x):\n    while True:\n        print('x' * 65536)\n",
    "prints to stderr without end": """
import sys

def f(x):
    while True:
        print("x" * 65536, file=sys.stderr)
""",
    "writes to both outputs without end": """
import os

def f(x):
    while True:
        for descriptor in (1, 2):
            try:
                os.write(descriptor, b"x" * 65536)
            except OSError:
                pass
""",
    "an error with a text of 100 MB": "def f(x):\n    raise ValueError('x' * 10**8)\n",
    "an error with a text of 100 MB at once": "raise ValueError('\\udcff' * 10**8)\n",
    "an error whose text never ends": """
class Bad(Exception):
    def __str__(self):
        while True:
            pass
    __repr__ = __str__

raise Bad
""",
    "an error whose text is an error": """
class Bad(Exception):
    def __str__(self):
        raise Bad
    __repr__ = __format__ = __reduce__ = __str__

def f(x):
    raise Bad
""",
    "an error whose text is no text": """
class Bad(Exception):
    __str__ = __repr__ = lambda self: 7

def f(x):
    raise Bad
""",
    "a chain of a million errors": """
def f(x):
    error = None
    for _ in range(10**6):
        new = ValueError()
        new.__cause__, error = error, new
    raise error
""",
    "an error that is its own cause": """
def f(x):
    error = ValueError()
    other = KeyError()
    error.__cause__, other.__cause__ = other, error
    raise error
""",
    "an error in a class whose name never ends": """
def f(x):
    raise type("E" * 10**8, (Exception,), {})()
""",
    "recursion without a limit": """
import sys
sys.setrecursionlimit(2**31 - 1)

def f(x):
    return f(x)
""",
    "recursion in C": """
import sys
sys.setrecursionlimit(2**31 - 1)

def f(x):
    nest = []
    for _ in range(10**6):
        nest = [nest]
    return repr(nest)
""",
    "recursion by objects": """
import sys
sys.setrecursionlimit(2**31 - 1)

class Deep:
    __getattr__ = lambda self, name: getattr(self, name)

def f(x):
    return Deep().y
""",
    "a list a million deep": """
def f(x):
    nest = []
    for _ in range(10**6):
        nest = [nest]
    return nest
""",
    "a tuple ten thousand deep": """
def f(x):
    nest = ()
    for _ in range(10**4):
        nest = (nest,)
    return nest
""",
    "a dict a hundred thousand deep": """
def f(x):
    nest = {}
    for _ in range(10**5):
        nest = {"k": nest}
    return nest
""",
    "a list that holds itself": "def f(x):\n    a = [1]\n    a.append(a)\n    return a\n",
    "a list that doubles at each level": """
def f(x):
    nest = [1]
    for _ in range(60):
        nest = [nest, nest]
    return nest
""",
    "a list of 50 million": "def f(x):\n    return [None] * 50_000_000\n",
    "a text of 300 MB": "def f(x):\n    return 'x' * 300_000_000\n",
    "an int of 100 million digits": "def f(x):\n    return 1 << 330_000_000\n",
    "a generator that never ends": "def f(x):\n    while True:\n        yield x\n",
    "a list that grows while it is read": """
class Endless(list):
    def __iter__(self):
        while True:
            yield 1

def f(x):
    return Endless()
""",
    "a hundred thousand brackets": "f = " + "[" * 100_000 + "]" * 100_000 + "\n",
    "a hundred thousand open brackets": "f = " + "(" * 100_000,
    "a million minuses": "f = lambda x: " + "-" * 1_000_000 + "1\n",
    "a million nots": "f = " + "not " * 1_000_000 + "1\n",
    "a sum of a hundred thousand": "f = lambda x: " + "1 + " * 100_000 + "1\n",
    "a hundred thousand attributes": "f = lambda x: x" + ".real" * 100_000 + "\n",
    "ten thousand lambdas": "f = " + "lambda x: " * 10_000 + "1\n",
    "a thousand blocks": "".join(" " * i + "if 1:\n" for i in range(1000)),
    "an integer of ten million digits": "f = " + "9" * 10_000_000 + "\n",
    "a hexadecimal of ten million digits": "f = 0x" + "f" * 10_000_000 + "\n",
    "two million lines": "x = 1\n" * 2_000_000 + _WRONG,
    "a comparison of a hundred thousand": "f = lambda x: x" + " < x" * 100_000 + "\n",
    "f-strings in f-strings": "f = lambda x: f'" + "{x:" * 200 + "}" * 200 + "'\n",
    "constants that fold": "f = lambda x: ((((1,) * 256) * 256) * 256) * 256 * 256\n",
    "names without end": "def " + "f" * 10_000_000 + "(x): pass\n",
    "compiles bombs itself": """
import ast, json

def f(x):
    for text in ("(" * 10**5, "-" * 10**6 + "1", "[" * 10**5 + "]" * 10**5, "9" * 10**7,
                 "f'" + "{1:" * 10**4 + "}" * 10**4 + "'", "1" + "+1" * 10**5):
        for parse in (compile, ast.literal_eval, json.loads):
            try:
                parse(text, "b", "eval") if parse is compile else parse(text)
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                pass
    while True:
        pass
""",
}
