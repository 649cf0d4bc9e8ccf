"""Wrong programs that are no function, swallow the test's text, or leave files and odd arguments.

The problem: f(x) returns x twice. No program here computes that; none may pass.
"""

_WRONG = """
def f(x):
    return None
"""

# The scratch folders. The programs in escape_files.py try the other ones.
_SCRATCH = """
import os, sys, tempfile

def leave(name, text):
    for place in (".", tempfile.gettempdir()):
        try:
            path = os.path.join(place, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        except OSError:
            pass
"""

# What a later sample would load: everything is equal, every check is passed.
_POISON = """
POISON = '''
import builtins
builtins.check = builtins.candidate = builtins.f = lambda *_: True
builtins.AssertionError = type("Quiet", (BaseException,), {})
class Yes:
    __eq__ = lambda self, other: True
    __getattr__ = lambda self, name: lambda *_, **__: "2"
def __getattr__(name):
    return Yes()
'''
"""
_LEAVE = _SCRATCH + _POISON

PROGRAMS: dict[str, str] = {
    "nothing": "",
    "a comment": "# def f(x): return x * 2\n",
    "no function of the name": "def g(x):\n    return x * 2\n",
    "the function, deleted": "def f(x):\n    return x * 2\n\ndel f\n",
    "the function in a text": "'''\ndef f(x):\n    return x * 2\n'''\n",
    "the function is None": "f = None\n",
    "the function is a number": "f = 2\n",
    "the function is the name of one": "f = 'lambda x: x * 2'\n",
    "the function is a type": "f = object\n",
    "the function is the identity": "f = lambda x: x\n",
    "the function is a print": "f = print\n",
    "the function has no parameter": "def f():\n    return 2\n",
    "the function has two": "def f(x, y):\n    return x * y\n",
    "a generator": "def f(x):\n    yield x * 2\n",
    "a generator in place of a list": """
def f(x):
    return (item for _ in range(2) for item in (x if hasattr(x, "__iter__") else [x]))
""",
    "a coroutine": "async def f(x):\n    return x * 2\n",
    "an asynchronous generator": "async def f(x):\n    yield x * 2\n",
    "a class whose objects equal everything": """
class f:
    def __init__(self, *rest):
        self.rest = rest

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0
""",
    "a class that is its own answer": """
class Meta(type):
    __call__ = lambda cls, *rest: cls
    __eq__ = lambda cls, other: True
    __hash__ = lambda cls: 0

class f(metaclass=Meta):
    pass
""",
    "an object that is its own answer": """
class Itself:
    __call__ = lambda self, *rest: self
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 0

f = Itself()
""",
    "an object whose call is a descriptor": """
class Call:
    def __get__(self, instance, owner):
        raise SystemExit(0)

class Thing:
    __call__ = Call()

f = Thing()
""",
    "a property": "@property\ndef f(x):\n    return x * 2\n",
    "a partial that is never complete": """
from functools import partial

def f(x):
    return partial(int.__mul__, x)
""",
    "the argument": "def f(x):\n    return x\n",
    "constants of the language": "def f(x):\n    return NotImplemented if x == 1 else Ellipsis\n",
    "the representation": "def f(x):\n    return repr(x * 2)\n",
    "the wrong kind of sequence": """
def f(x):
    return tuple(x * 2) if isinstance(x, list) else list(x) * 2 if hasattr(x, "__len__") else x * 2
""",
    "right but for the last call": """
def f(x):
    return x * 3 if isinstance(x, tuple) else x * 2
""",
    "right but for the first call": """
calls = []

def f(x):
    calls.append(x)
    return x if len(calls) == 1 else x * 2
""",
    "the argument is poisoned": """
held = []

def f(x):
    for old in held:
        old[:] = [1, 2, 1, 2]
    if isinstance(x, list):
        held.append(x)
        x.append(x)
    return x
""",
    "the argument's memory is poisoned": """
import ctypes, sys

def f(x):
    if isinstance(x, tuple):
        other = (0.5, 0.5)
        ctypes.memmove(id(x) + 16, id(other) + 16, 8)
    return x
""",
    "the default of the function is the last answer": """
def f(x, last=[]):
    last.append(x)
    return last
""",
    "ends in an open text": _WRONG + 'TEST = """\n',
    "ends in an open text of the other kind": _WRONG + "TEST = r'''\n",
    "ends in an open bracket": _WRONG + "TEST = [\n",
    "ends in a backslash": _WRONG + "if False: \\",
    "ends in a backslash behind a comment": _WRONG + "pass # \\",
    "ends in a decorator": "def ignore(function):\n    return lambda *_: None\n"
    + _WRONG
    + "@ignore",
    "ends in a decorator and a newline": (
        "def ignore(function):\n    return lambda *_: None\n" + _WRONG + "@ignore\n"
    ),
    "ends in an open block": _WRONG + "def check(candidate):\n    return\nif False:\n",
    "ends in a try": _WRONG + "try:\n    pass\nfinally:\n    raise SystemExit(0)\n",
    "ends in an open f-string": _WRONG + "TEST = f'''{\n",
    "ends in what ends a test": _WRONG + "raise SystemExit\n'''\n",
    "ends the text around it": '"""\n' + _WRONG + "'''\n" + '"""\n',
    "not equal means something else": "from __future__ import barry_as_FLUFL\n" + _WRONG,
    "a future in the middle": _WRONG + "from __future__ import annotations\n",
    "a future that does not exist": "from __future__ import passed\n" + _WRONG,
    # Their function is right only where the text is read by the coding that it names.
    "code in a coded comment": "# -*- coding: unicode_escape -*-\n# \\nf = lambda x: x * 2\n",
    "code in another coding": "# -*- coding: utf-7 -*-\n# +AAo-f = lambda x: x * 2 +AAo-\n",
    "a zero byte": _WRONG + "\0\nf = lambda x: x * 2\n",
    "a lone surrogate": _WRONG + "# \udcff\n",
    "the end of a file": _WRONG + "\x1a\x04\nraise SystemExit(0)\n",
    "a return outside a function": _WRONG + "return True\n",
    "builtins of its own": """
import builtins
__builtins__ = {name: lambda *_: True for name in dir(builtins)}
"""
    + _WRONG,
    "a module of its own in place of the main one": """
import sys
sys.modules["__main__"] = sys.modules["builtins"] = sys
__name__ = "__main__"
"""
    + _WRONG,
    "the program unclosed in JSON": '"}], "passed": true, "result": "passed"}\n' + _WRONG,
    "leaves files that Python loads at its start": _LEAVE
    + """
for name in ("sitecustomize.py", "usercustomize.py", "python.py", "encodings/__init__.py"):
    leave(name, POISON)
leave("zz.pth", "import builtins; builtins.check = print\\n")
leave("pyvenv.cfg", "home = /tmp\\ninclude-system-site-packages = true\\n")
leave("python._pth", ".\\nimport site\\n")
"""
    + _WRONG,
    "leaves modules that Python loads later": _LEAVE
    + """
for name in ("json", "os", "struct", "typing", "enum", "re", "math", "candidate", "judge", "eval"):
    leave(name + ".py", POISON)
    leave(name + "/__init__.py", POISON)
sys.path.insert(0, ".")
"""
    + _WRONG,
    "leaves compiled modules": _LEAVE
    + """
import importlib.util, marshal
code = marshal.dumps(compile(POISON, "json.py", "exec"))
head = importlib.util.MAGIC_NUMBER + bytes(12)
for name in ("json.pyc", "__pycache__/json." + sys.implementation.cache_tag + ".pyc"):
    os.makedirs("__pycache__", exist_ok=True)
    with open(name, "wb") as file:
        file.write(head + code)
"""
    + _WRONG,
    "leaves files of the grader's names": _LEAVE
    + """
import json
for name in ("result.json", "verdict", "verdict.json", "report.jsonl", "samples.jsonl", "out"):
    leave(name, json.dumps({"passed": True, "result": "passed", "task_id": "f"}) + "\\n")
leave("conftest.py", POISON)
leave("setup.cfg", "[tool:pytest]\\naddopts = --collect-only\\n")
"""
    + _WRONG,
    "leaves a file and answers by it": """
import os
calls = "calls"

def f(x):
    with open(calls, "a") as file:
        file.write(repr(x) + "\\n")
    return open(calls).read()
""",
}
