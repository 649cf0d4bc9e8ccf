"""Code of a meaning, in one of several styles: comprehension, stages, loop, map and filter."""

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from data.exercises.grammar.atoms import Predicate
from data.exercises.grammar.meaning import Meaning
from data.exercises.grammar.steps import Step

STYLES = ("comprehension", "loop", "lambda", "stages")
STYLE_WEIGHTS = (30, 10, 1, 1)
_RESULTS = ("result", "found", "kept", "chosen", "selected", "out")
# A name or a constant in parentheses, and what is called, taken or named of it.
_ATOM = re.compile(r"(\w+|'[^'{}]*'|\([^()]*\))(\.\w+|\([^()]*\)|\[[^\[\]]*\])*")
_STRENGTHS = {"**": 3, "*": 2, "//": 2, "%": 2, "+": 1, "-": 1}
_OPERATION = re.compile(r" (\*\*|//|[*%+-]) ")
_INSIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_LEFT = re.compile(r"\{x\} (\*\*|//|[*%+-]|[<>]=?|[!=]=) ")
_RIGHT = re.compile(r"[\w']+ (\*\*|//|[*%+-]|[<>]=?) \{x\}")


def place(code: str, element: str) -> str:
    """The expression `code` with an expression in the place of `{x}`."""
    # What stands alone between parentheses or before a comma needs none of its own.
    alone = bare(element)
    code = code.replace("({x})", f"({alone})") if "{" not in alone else code
    apart = _ATOM.fullmatch(element) or _is_stronger(element, code)
    return code.format(x=element if apart else f"({element})")


def _is_stronger(element: str, code: str) -> bool:
    """Whether `code` would take all of `element` for `{x}`, and a reader would too."""
    if code.count("{x}") != 1:
        return False
    on_left = _LEFT.match(code)
    found = on_left or _RIGHT.fullmatch(code)
    parts = _OPERATION.split(_INSIDE.sub("()", element))
    operators = set(parts[1::2])
    if found is None or len(operators) != 1 or not all(map(_ATOM.fullmatch, parts[::2])):
        return False
    [inner], outer = operators, found[1]
    same_sum = on_left is not None and inner in "+-" and outer in "+-"
    return same_sum or _STRENGTHS[inner] > _STRENGTHS.get(outer, 0)


def bare(expression: str) -> str:
    """The expression without parentheses around all of it."""
    inside = expression[1:-1]
    whole = expression.startswith("(") and expression.endswith(")")
    depth = 0
    for sign in inside:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return expression
    # A tuple keeps its parentheses.
    return inside if whole and ", " not in inside else expression


_MOST = 32
"""At most so many equal expressions, and so many names for one thing."""
_USUAL = list(accumulate(1 / (1 + place) ** 3 for place in range(_MOST)))
_FAMILIAR = list(accumulate(8 if place < 4 else 1 for place in range(_MOST)))


def usual(codes: Sequence[str], rng: Random) -> str:
    """One of several equal expressions or statements, of which the usual ones are first."""
    return drawn(codes, _USUAL, rng)


def familiar(names: Sequence[str], rng: Random) -> str:
    """One of several names, mostly of the first four.

    These four are equally frequent. Were one of them the usual name, a model would learn to write
    it everywhere, in place of the name that the signature has.
    """
    return drawn(names, _FAMILIAR, rng)


def drawn(parts: Sequence[str], sums: Sequence[float], rng: Random) -> str:
    """One part by cumulated weights, of which there may be more: as `rng.choices` draws it."""
    last = len(parts) - 1
    return parts[bisect(sums, rng.random() * sums[last], 0, last)]


@dataclass
class Elements:
    """Loops over elements, what each must meet, and what is made of each."""

    loops: list[str]
    conditions: list[str]
    element: str
    variable: str

    @property
    def comprehension(self) -> str:
        """The inside of a list comprehension or a generator."""
        clauses = " ".join(self.loops)
        if self.conditions:
            clauses += f" if {' and '.join(self.conditions)}"
        return f"{bare(self.element)} {clauses}"

    @property
    def plain(self) -> str:
        """What a single loop goes over, if its elements are taken as they are; otherwise empty."""
        head, _, values = self.loops[0].partition(" in ")
        plain = len(self.loops) == 1 and not self.conditions and self.element == self.variable
        return values if plain and head == f"for {self.variable}" else ""

    def as_list(self, is_list: bool) -> str:
        """The elements as a list. `is_list`: whether what a plain loop goes over is one."""
        if not self.plain:
            return f"[{self.comprehension}]"
        return (
            self.plain
            if is_list or (self.plain.endswith(")") and ".split" in self.plain)
            else (f"list({self.plain})")
        )


_OPPOSITES = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
_COMPARED = re.compile(r"([^<>=!]+) ([<>]=?|[!=]=) ([^<>=!]+)")


def _negated(condition: str) -> str:
    """The opposite of a condition, or "" if there is no plain one."""
    if re.search(r"\b(not|and|or|if|for|in)\b", condition):
        return ""
    compared = _COMPARED.fullmatch(condition)
    if compared:
        return f"{compared[1]} {_OPPOSITES[compared[2]]} {compared[3]}"
    return f"not {condition}" if _ATOM.fullmatch(condition) else ""


class Writer:
    """Writes the body of one function."""

    def __init__(self, meaning: Meaning, arguments: Sequence[str], rng: Random) -> None:
        self.meaning, self.arguments, self.rng = meaning, arguments, rng
        free = [name for name in meaning.source.singles if name not in arguments]
        self.variable = familiar(free or ["element"], rng)
        self.name = usual([name for name in _RESULTS if name not in arguments], rng)
        self.lines: list[str] = []

    def body(self, style: str) -> list[str]:
        """The statements of the body, not indented."""
        elements = self._source()
        style = style if self._is_sought(elements) else "comprehension"
        if style == "loop":
            self._loop(elements)
        else:
            if style == "comprehension":
                value = self._fused(elements).as_list(self._is_list)
            elif style == "lambda":
                value = self._mapped(elements)
            else:
                value = self._staged(elements)
            self._finish(value, lazy=style == "comprehension")
        if any("math." in line for line in self.lines):
            self.lines.insert(0, "import math")
        return self.lines

    @property
    def _is_list(self) -> bool:
        return self.meaning.types[0].startswith("list")

    def _values(self, elements: Elements) -> str:
        """What the first operation goes over: any iterable, if there is an operation."""
        if self.meaning.operations and elements.plain:
            return elements.plain
        return elements.as_list(self._is_list)

    def _source(self) -> Elements:
        source = self.meaning.source
        places = {"x": self.variable, **dict(zip("ab", self.arguments, strict=False))}
        return Elements(
            [loop.format(**places) for loop in source.loops],
            [condition.format(**places) for condition in source.conditions],
            source.element.format(**places),
            self.variable,
        )

    def _code(self, codes: tuple[str, ...], element: str = "") -> str:
        # An f-string cannot hold an element with quotation marks.
        fitting = [code for code in codes if not (code.startswith("f'") and "'" in element)]
        return usual(fitting, self.rng)

    def _fused(self, elements: Elements) -> Elements:
        for part in self.meaning.operations:
            code = place(self._code(part.codes, elements.element), elements.element)
            if isinstance(part, Predicate):
                elements.conditions.append(code)
            else:
                elements.element = code
        return elements

    def _mapped(self, elements: Elements) -> str:
        value, variable = self._values(elements), self.variable
        for part in self.meaning.operations:
            call = "filter" if isinstance(part, Predicate) else "map"
            code = bare(part.codes[0].format(x=variable))
            function = code.removesuffix(f"({variable})")
            if not function.isidentifier() or function == code:
                function = f"lambda {variable}: {code}"
            value = f"{call}({function}, {value})"
            if len(value) > 54:
                self.lines.append(f"{self.name} = list({value})")
                value = self.name
        return value if value == self.name or not self.meaning.operations else f"list({value})"

    def _staged(self, elements: Elements) -> str:
        value, variable = self._values(elements), self.variable
        for part in self.meaning.operations:
            code = self._code(part.codes).format(x=variable)
            if isinstance(part, Predicate):
                value = f"[{variable} for {variable} in {value} if {code}]"
            else:
                value = f"[{bare(code)} for {variable} in {value}]"
            self.lines.append(f"{self.name} = {value}")
            value = self.name
        return value

    def _loop(self, elements: Elements) -> None:
        end, steps = self.meaning.end, self.meaning.steps
        direct = end.loop is not None and not steps
        name, variable = self.name, self.variable
        if direct and end.loop is not None:
            before, each, after = end.loop.before, end.loop.each, end.loop.after
        else:
            before, each, after = (f"{name} = []",), (f"{name}.append({{x}})",), ()
        self.lines += [line.format() for line in before]
        depth = 0
        for loop in elements.loops:
            self.lines.append(f"{'    ' * depth}{loop}:")
            depth += 1
        depth = self._conditions(elements.conditions, depth, len(elements.loops))
        element = elements.element
        if element != variable and self.meaning.operations:
            self.lines.append(f"{'    ' * depth}value = {bare(element)}")
            element = "value"
        for at, part in enumerate(self.meaning.operations):
            code = place(self._code(part.codes, element), element)
            if isinstance(part, Predicate):
                depth = self._conditions([code], depth, len(elements.loops))
            elif at + 1 < len(self.meaning.operations):
                self.lines.append(f"{'    ' * depth}value = {bare(code)}")
                element = "value"
            else:
                element = code
        if sum(line.count("{x}") for line in each) > 1 and element not in (variable, "value"):
            self.lines.append(f"{'    ' * depth}value = {bare(element)}")
            element = "value"
        for line in each:
            alone = "({x})" in line or line.endswith(("= {x}", "return {x}"))
            done = line.format(x=bare(element)) if alone else place(line, element)
            self.lines.append("    " * depth + done)
        if direct:
            self.lines += [line.format() for line in after]
        else:
            self._finish(name, lazy=False)

    def _is_sought(self, elements: Elements) -> bool:
        """False for the first or last of all: nobody loops for it, or changes all before it."""
        kept = any(isinstance(part, Predicate) for part in self.meaning.operations)
        return self.meaning.end.key not in ("first", "last") or kept or bool(elements.conditions)

    def _conditions(self, conditions: list[str], depth: int, loops: int) -> int:
        """Write conditions as a nested `if`, or in the loops themselves as a guard."""
        for condition in conditions:
            negated = _negated(condition)
            if negated and depth == loops and self.rng.random() < 0.1:
                self.lines.append(f"{'    ' * depth}if {negated}:")
                self.lines.append(f"{'    ' * depth}    continue")
            else:
                self.lines.append(f"{'    ' * depth}if {condition}:")
                depth += 1
        return depth

    def _finish(self, value: str, lazy: bool) -> None:
        end, steps = self.meaning.end, self.meaning.steps
        if lazy and not steps and end.lazy and value.startswith("["):
            inside = end.lazy[0].replace("({v}, ", "(({v}), ")
            self.lines.append(f"return {inside.format(v=value[1:-1])}")
            return
        for step in steps:
            value = self._step(step, value)
        code = usual(end.codes, self.rng)
        if code.count("{v}") > 1 or len(code) + len(value) > 80 or "for y" in code:
            value = self._named(value)
        too_long = len(code.format(v=value)) > 90
        if end.block and (end.refuses or too_long or self.rng.random() < 0.2):
            value = self._named(value)
            self.lines += [line.format(v=value) for line in end.block]
            return
        last = self.lines[-1] if self.lines else ""
        if code == "{v}" and last.startswith(f"{value} = "):
            self.lines[-1] = f"return {last.partition(' = ')[2]}"
        else:
            self.lines.append(f"return {bare(code.format(v=value))}")

    def _step(self, step: Step, value: str) -> str:
        if step.block and self.rng.random() < 0.15:
            value = self._named(value)
            new = "new" if value != "new" else "newer"
            self.lines += [line.format(v=value, r=new) for line in step.block]
            return new
        code = usual(step.codes, self.rng)
        if code.count("{v}") > 1 or len(value) > 40:
            value = self._named(value)
        return code.format(v=value)

    def _named(self, value: str) -> str:
        if value.isidentifier():
            return value
        self.lines.append(f"{self.name} = {value}")
        return self.name
