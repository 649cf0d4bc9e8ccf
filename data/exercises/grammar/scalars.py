"""Functions of single values, each written out by hand in two or more equal ways."""

from collections.abc import Iterator, Sequence
from random import Random

from data.exercises.grammar.scalar import Scalar
from data.exercises.grammar.singles import SINGLES, draw_single
from data.exercises.grammar.small import SMALL

_N = ("n", "x", "num", "number", "value")
_S = ("text", "s", "string", "word")


def _number(key: str, family: str, level: int, hint: str, says: str, *bodies: str) -> Scalar:
    return Scalar(key, family, level, ("natural",), (_N,), hint, tuple(says.split("|")), bodies)


def _any_int(key: str, family: str, level: int, hint: str, says: str, *bodies: str) -> Scalar:
    return Scalar(key, family, level, ("int",), (_N,), hint, tuple(says.split("|")), bodies)


def _text(key: str, family: str, level: int, hint: str, says: str, *bodies: str) -> Scalar:
    return Scalar(key, family, level, ("sentence",), (_S,), hint, tuple(says.split("|")), bodies)


def _recursions() -> Iterator[Scalar]:
    yield _number("factorial", "recursion", 3, "int", "the factorial of {a}|{a}!, the factorial",
                  "if {a} == 0:\n    return 1\nreturn {a} * {f}({a} - 1)",
                  "result = 1\nfor i in range(2, {a} + 1):\n    result *= i\nreturn result",
                  "result = 1\nwhile {a} > 1:\n    result *= {a}\n    {a} -= 1\nreturn result",
    )  # fmt: skip
    for p, q in ((0, 1), (1, 1), (2, 1), (1, 3), (2, 5), (3, 2)):
        yield _number(f"fibonacci {p} {q}", "recursion", 4, "int",
                      f"element {{a}} of the sequence that begins with {p}, {q} and in which each "
                      "later element is the sum of the two before it (the first is element 0)",
                      f"p, q = {p}, {q}\nfor _ in range({{a}}):\n    p, q = q, p + q\nreturn p",
                      f"values = [{p}, {q}]\nwhile len(values) <= {{a}}:\n"
                      "    values.append(values[-1] + values[-2])\nreturn values[{a}]")  # fmt: skip
    for c in range(2, 8):
        yield _number(f"power {c}", "recursion", 2, "int",
                      f"{c} to the power of {{a}}|the product of {{a}} factors {c}, or 1 if "
                      "{a} is 0",
                      f"return {c} ** {{a}}",
                      f"if {{a}} == 0:\n    return 1\nreturn {c} * {{f}}({{a}} - 1)",
                      f"result = 1\nfor _ in range({{a}}):\n    result *= {c}\nreturn result",
        )  # fmt: skip
    yield _number("digit root", "recursion", 4, "int",
                  "the digit sum of {a}, taken again and again until one digit is left",
                  "while {a} > 9:\n    {a} = sum(int(d) for d in str({a}))\nreturn {a}",
                  "if {a} < 10:\n    return {a}\nreturn {f}(sum(map(int, str({a}))))")  # fmt: skip


def _loops() -> Iterator[Scalar]:
    yield _number("prime", "while loops", 4, "bool", "whether {a} is a prime number",
                  "return {a} > 1 and all({a} % i for i in range(2, {a}))",
                  "if {a} < 2:\n    return False\nfor i in range(2, {a}):\n    if {a} % i == 0:\n"
                  "        return False\nreturn True",
                  "if {a} < 2:\n    return False\ni = 2\nwhile i * i <= {a}:\n"
                  "    if {a} % i == 0:\n        return False\n    i += 1\nreturn True",
    )  # fmt: skip
    yield _number("divisors", "while loops", 3, "list", "the list of the divisors of {a}",
                  "return [i for i in range(1, {a} + 1) if {a} % i == 0]",
                  "found = []\nfor i in range(1, {a} + 1):\n    if {a} % i == 0:\n"
                  "        found.append(i)\nreturn found")  # fmt: skip
    yield _number("binary", "while loops", 3, "str", "the binary digits of {a} as a string",
                  "return bin({a})[2:]", "return f'{{{a}:b}}'",
                  "digits = ''\nwhile {a} > 0:\n    digits = str({a} % 2) + digits\n"
                  "    {a} //= 2\nreturn digits or '0'")  # fmt: skip
    for c in range(2, 8):
        yield _number(f"halvings {c}", "while loops", 4, "int",
                      f"how often {{a}} can be divided by {c}, rounding down, until it is 0",
                      f"steps = 0\nwhile {{a}} > 0:\n    {{a}} //= {c}\n    steps += 1\n"
                      "return steps",
                      f"if {{a}} == 0:\n    return 0\nreturn 1 + {{f}}({{a}} // {c})")  # fmt: skip
        yield _number(f"countdown {c}", "while loops", 3, "list",
                      f"the list of the numbers from {{a}} down to 1 in steps of {c}",
                      f"return list(range({{a}}, 0, -{c}))",
                      f"found = []\nwhile {{a}} > 0:\n    found.append({{a}})\n    {{a}} -= {c}\n"
                      "return found")  # fmt: skip
    yield Scalar("gcd", "while loops", 4, ("natural", "natural"),
                 (("a", "m", "x"), ("b", "n", "y")), "int",
                 ("the greatest common divisor of {a} and {b}",),
                 ("while {b}:\n    {a}, {b} = {b}, {a} % {b}\nreturn {a}",
                  "if {b} == 0:\n    return {a}\nreturn {f}({b}, {a} % {b})",
                  "import math\nreturn math.gcd({a}, {b})"))  # fmt: skip


def _guards() -> Iterator[Scalar]:
    for c in range(2, 21):
        yield _any_int(f"cap {c}", "early returns", 2, "int",
                       f"{{a}}, but at most {c}|the smaller of {{a}} and {c}",
                       f"return min({{a}}, {c})",
                       f"if {{a}} > {c}:\n    return {c}\nreturn {{a}}",
                       f"return {{a}} if {{a}} < {c} else {c}")  # fmt: skip
        yield _any_int(f"sign against {c}", "early returns", 3, "str",
                       f"'low' if {{a}} is less than {c}, 'high' if it is greater, and 'equal' if "
                       "it is neither",
                       f"if {{a}} < {c}:\n    return 'low'\nif {{a}} > {c}:\n    return 'high'\n"
                       "return 'equal'",
                       f"return 'low' if {{a}} < {c} else 'high' if {{a}} > {c} else 'equal'",
        )  # fmt: skip
        yield _any_int(f"check {c}", "errors", 3, "int",
                       f"{{a}}; raise ValueError if it is greater than {c}",
                       f"if {{a}} > {c}:\n    raise ValueError('too large')\nreturn {{a}}",
                       f"if {{a}} <= {c}:\n    return {{a}}\nraise ValueError('too large')",
        )  # fmt: skip
        yield _any_int(f"distance {c}", "arithmetic", 2, "int",
                       f"the distance between {{a}} and {c}|how far {{a}} is from {c}",
                       f"return abs({{a}} - {c})",
                       f"if {{a}} > {c}:\n    return {{a}} - {c}\nreturn {c} - {{a}}")  # fmt: skip
    for c in range(3, 10):
        for d in (d for d in range(c + 1, 12) if d % c):
            yield _any_int(f"fizz {c} {d}", "early returns", 4, "str",
                           f"'both' if {{a}} is divisible by {c} and {d}, 'first' if only by {c}, "
                           f"'second' if only by {d}, and otherwise 'none'",
                           f"if {{a}} % {c} == 0 and {{a}} % {d} == 0:\n    return 'both'\n"
                           f"if {{a}} % {c} == 0:\n    return 'first'\n"
                           f"if {{a}} % {d} == 0:\n    return 'second'\nreturn 'none'",
                           f"one, two = {{a}} % {c} == 0, {{a}} % {d} == 0\n"
                           "if one and two:\n    return 'both'\n"
                           "if one or two:\n    return 'first' if one else 'second'\n"
                           "return 'none'")  # fmt: skip


def _pairs() -> Iterator[Scalar]:
    two, names = ("int", "int"), (("a", "x", "m", "left"), ("b", "y", "n", "right"))
    for key, says, bodies in (
        ("add", "the sum of {a} and {b}|{a} plus {b}", ("return {a} + {b}", "return {b} + {a}")),
        ("subtract", "{a} minus {b}|the difference {a} - {b}",
         ("return {a} - {b}", "return -({b} - {a})")),
        ("multiply", "the product of {a} and {b}|{a} times {b}",
         ("return {a} * {b}", "return {b} * {a}")),
        ("larger", "the larger of {a} and {b}|the maximum of {a} and {b}",
         ("return max({a}, {b})", "if {a} > {b}:\n    return {a}\nreturn {b}",
          "return {a} if {a} > {b} else {b}")),
        ("smaller", "the smaller of {a} and {b}|the minimum of {a} and {b}",
         ("return min({a}, {b})", "if {a} < {b}:\n    return {a}\nreturn {b}")),
        ("gap", "the absolute difference of {a} and {b}",
         ("return abs({a} - {b})", "if {a} < {b}:\n    return {b} - {a}\nreturn {a} - {b}")),
        ("swap", "a tuple of {b} and {a}, in this order",
         ("return ({b}, {a})", "{a}, {b} = {b}, {a}\nreturn ({a}, {b})")),
        ("both positive", "whether {a} and {b} are both positive",
         ("return {a} > 0 and {b} > 0", "if {a} <= 0:\n    return False\nreturn {b} > 0")),
        ("divides", "whether {a} is divisible by {b}, and False if {b} is 0",
         ("return {b} != 0 and {a} % {b} == 0",
          "if {b} == 0:\n    return False\nreturn {a} % {b} == 0")),
        ("safe quotient", "{a} divided by {b}, rounded down, or None if {b} is 0",
         ("return {a} // {b} if {b} else None",
          "if {b} == 0:\n    return None\nreturn {a} // {b}",
          "try:\n    return {a} // {b}\nexcept ZeroDivisionError:\n    return None")),
    ):  # fmt: skip
        yield Scalar(key, "arithmetic", 1, two, names, "object", tuple(says.split("|")), bodies)
    for c in range(2, 13):
        for d in range(1, 10):
            yield _any_int(f"line {c} {d}", "arithmetic", 2, "int",
                           f"{c} times {{a}}, plus {d}|{{a}} multiplied by {c}, and then {d} added",
                           f"return {c} * {{a}} + {d}", f"return {{a}} * {c} + {d}")  # fmt: skip


def _texts() -> Iterator[Scalar]:
    yield _text("palindrome", "text", 2, "bool", "whether {a} reads the same backwards",
                "return {a} == {a}[::-1]",
                "for i in range(len({a})):\n    if {a}[i] != {a}[-1 - i]:\n        return False\n"
                "return True")  # fmt: skip
    yield _text("title", "text", 2, "str", "{a} with every word capitalized",
                "return ' '.join(w.capitalize() for w in {a}.split())",
                "found = []\nfor w in {a}.split():\n    found.append(w.capitalize())\n"
                "return ' '.join(found)")  # fmt: skip
    yield _text("acronym", "text", 3, "str", "the uppercase first letters of the words of {a}",
                "return ''.join(w[0].upper() for w in {a}.split())",
                "result = ''\nfor w in {a}.split():\n    result += w[0].upper()\nreturn result",
    )  # fmt: skip
    for c in range(2, 9):
        yield _text(f"shorten {c}", "text", 3, "str",
                    f"the first {c} characters of {{a}}, with '...' after them if it is longer",
                    f"if len({{a}}) > {c}:\n    return {{a}}[:{c}] + '...'\nreturn {{a}}",
                    f"return {{a}}[:{c}] + ('...' if len({{a}}) > {c} else '')")  # fmt: skip
        yield _text(f"pad {10 + c}", "formatting", 2, "str",
                    f"{{a}} padded with '*' on the left to {10 + c} characters",
                    f"return {{a}}.rjust({10 + c}, '*')",
                    f"while len({{a}}) < {10 + c}:\n    {{a}} = '*' + {{a}}\nreturn {{a}}",
        )  # fmt: skip
        yield _text(f"shift {c}", "text", 4, "str",
                    f"{{a}} with its first {c} characters moved to its end",
                    f"return {{a}}[{c}:] + {{a}}[:{c}]",
                    f"first, rest = {{a}}[:{c}], {{a}}[{c}:]\nreturn rest + first")  # fmt: skip
    for letter in "abcdefghilmnoprstuwy":
        yield _text(f"remove {letter}", "text", 2, "str", f"{{a}} without the letter {letter}",
                    f"return {{a}}.replace('{letter}', '')",
                    f"return ''.join(c for c in {{a}} if c != '{letter}')",
                    f"result = ''\nfor c in {{a}}:\n    if c != '{letter}':\n        result += c\n"
                    "return result")  # fmt: skip
        yield _text(f"place {letter}", "search", 3, "int",
                    f"the position of the first letter {letter} in {{a}}, or -1 if there is none",
                    f"return {{a}}.find('{letter}')",
                    f"for i, c in enumerate({{a}}):\n    if c == '{letter}':\n        return i\n"
                    "return -1")  # fmt: skip
    for sign in "-+=#":
        yield Scalar(f"rule {sign}", "formatting", 2, ("natural",), (_N,), "str",
                     (f"a string of {{a}} times {sign!r}",),
                     (f"return '{sign}' * {{a}}",
                      f"line = ''\nfor _ in range({{a}}):\n    line += '{sign}'\nreturn line"),
        )  # fmt: skip


SCALARS: tuple[Scalar, ...] = (
    *_recursions(), *_loops(), *_guards(), *_pairs(), *_texts(), *SMALL, *SINGLES
)  # fmt: skip

SINGLE_SHARE, SMALL_SHARE = 0.65, 0.25


def _families(scalars: Sequence[Scalar]) -> list[list[Scalar]]:
    """Families differ in size, so that a family is drawn first, and then a function of it."""
    found: dict[str, list[Scalar]] = {}
    for scalar in scalars:
        found.setdefault(scalar.family, []).append(scalar)
    return list(found.values())


_SMALL = _families(SMALL)
_OTHERS = _families([*_recursions(), *_loops(), *_guards(), *_pairs(), *_texts()])


def draw_scalar(rng: Random) -> Scalar:
    """A random function: of one operation, of one line, or a longer one."""
    drawn = rng.random()
    if drawn < SINGLE_SHARE:
        return draw_single(rng)
    return (
        draw_small(rng) if drawn < SINGLE_SHARE + SMALL_SHARE else rng.choice(rng.choice(_OTHERS))
    )


def draw_small(rng: Random) -> Scalar:
    """A random function of one line."""
    return rng.choice(rng.choice(_SMALL))
