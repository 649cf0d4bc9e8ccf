"""What a function returns of the elements that are left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from data.exercises.grammar.atoms import PREDICATES, Kind, Predicate, compiled
from data.exercises.grammar.steps import ANY


@dataclass(frozen=True)
class Loop:
    """The end inside a loop: before it, for each element `{x}`, and after it."""

    before: tuple[str, ...]
    each: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class End:
    """`codes`: expressions in which `{v}` is the list; `lazy`: those in which a generator does.

    `block`: statements of the same meaning that return. `phrase`: what is returned of "{them}".
    `hint`: the type of the result.
    """

    key: str
    family: str
    kinds: tuple[Kind, ...]
    phrase: str
    hint: str
    slug: str
    codes: tuple[str, ...]
    lazy: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    loop: Loop | None = None
    refuses: str = ""
    """What is raised where there is no element: the error's message."""
    apply: Callable[[list[Any]], Any] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "apply", compiled(self.codes[0], "v"))


def _builds() -> Iterator[End]:
    appended = Loop(("result = []",), ("result.append({x})",), ("return result",))
    yield End("list", "build", ANY, "the list of {them}", "list", "list", ("{v}",), loop=appended)
    yield End("tuple", "build", ANY, "a tuple of {them}", "tuple", "tuple", ("tuple({v})",),
              ("tuple({v})",))  # fmt: skip
    yield End("set", "build", ANY, "the set of {them}", "set", "set", ("set({v})",), ("set({v})",),
              loop=Loop(("result = set()",), ("result.add({x})",), ("return result",)))  # fmt: skip
    for name, sign in (("commas", ","), ("spaces", " "), ("dashes", "-")):
        yield End(f"join {name}", "join", ("word",), f"{{them}}, joined by {name}", "str", "joined",
                  (f"'{sign}'.join({{v}})",), (f"'{sign}'.join({{v}})",))  # fmt: skip
    yield End("join", "join", ("word", "char"), "{them}, joined into one string", "str", "joined",
              ("''.join({v})",), ("''.join({v})",),
              loop=Loop(("result = ''",), ("result += {x}",), ("return result",)))  # fmt: skip


def _sums() -> Iterator[End]:
    def tally(start: str, update: str) -> Loop:
        return Loop((f"total = {start}",), (f"total {update}",), ("return total",))

    yield End("sum", "reduce", ("int",), "the sum of {them}", "int", "sum", ("sum({v})",),
              ("sum({v})",), loop=tally("0", "+= {x}"))  # fmt: skip
    yield End("product", "reduce", ("int",), "the product of {them}", "int", "product",
              ("math.prod({v})",), ("math.prod({v})",), loop=tally("1", "*= {x}"))  # fmt: skip
    yield End("squares", "reduce", ("int",), "the sum of the squares of {them}", "int",
              "sum_of_squares", ("sum(y * y for y in {v})", "sum(y ** 2 for y in {v})"),
              loop=tally("0", "+= {x} ** 2"))  # fmt: skip
    yield End("letters", "reduce", ("word",), "the total length of {them}", "int", "total_length",
              ("sum(len(y) for y in {v})", "len(''.join({v}))", "sum(map(len, {v}))"),
              loop=tally("0", "+= len({x})"))  # fmt: skip
    yield End("count", "count", ANY, "the number of {them}", "int", "count", ("len({v})",),
              loop=Loop(("count = 0",), ("count += 1",), ("return count",)))  # fmt: skip
    yield End("distinct", "count", ANY, "the number of distinct values among {them}", "int",
              "count_distinct", ("len(set({v}))",))  # fmt: skip


def _searches() -> Iterator[End]:
    best = "if best is None or {x} %s best:"
    for key, words, sign in (("max", "largest", ">"), ("min", "smallest", "<")):
        yield End(f"{key} or None", "search", ("int",),
                  f"the {words} of {{them}}, or None if there are none", "int | None", words,
                  ("max({v}, default=None)".replace("max", key),),
                  (f"{key}({{v}}, default=None)",),
                  loop=Loop(("best = None",), (best % sign, "    best = {x}"),
                            ("return best",)))  # fmt: skip
        yield End(f"{key} or 0", "search", ("int",),
                  f"the {words} of {{them}}, or 0 if there are none", "int", words,
                  (f"{key}({{v}}, default=0)",), (f"{key}({{v}}, default=0)",),
                  ("if not {v}:", "    return 0", f"return {key}({{v}})"))  # fmt: skip
        yield End(f"{key} or error", "errors", ("int",),
                  f"the {words} of {{them}}; raise ValueError if there are none", "int", words,
                  (f"{key}({{v}})",), (),
                  ("if not {v}:", "    raise ValueError('empty')", f"return {key}({{v}})"),
                  refuses="empty")  # fmt: skip
    for key, words, sign, function in (
        ("longest", "longest", ">", "max"), ("shortest", "shortest", "<", "min"),
    ):  # fmt: skip
        yield End(key, "search", ("word",),
                  f"the {words} of {{them}} (the first of them if several are equally long), "
                  "or '' if there are none", "str", words,
                  (f"{function}({{v}}, key=len, default='')",),
                  (f"{function}({{v}}, key=len, default='')",),
                  loop=Loop(("best = None",),
                            (f"if best is None or len({{x}}) {sign} len(best):", "    best = {x}"),
                            ("return best or ''",)))  # fmt: skip
    yield End("first", "search", ANY, "the first of {them}, or None if there are none", "object",
              "first", ("next(iter({v}), None)", "({v}[0] if {v} else None)"), (),
              ("if {v}:", "    return {v}[0]", "return None"),
              Loop((), ("return {x}",), ("return None",)))  # fmt: skip
    yield End("last", "search", ANY, "the last of {them}, or None if there are none", "object",
              "last", ("({v}[-1] if {v} else None)",), (),
              ("if not {v}:", "    return None", "return {v}[-1]"),
              Loop(("last = None",), ("last = {x}",), ("return last",)))  # fmt: skip
    yield End("spread", "search", ("int",), "the difference between the largest and the smallest "
              "of {them}, or 0 if there are none", "int", "spread",
              ("(max({v}) - min({v}) if {v} else 0)",), (),
              ("if not {v}:", "    return 0", "return max({v}) - min({v})"))  # fmt: skip
    yield End("mean", "reduce", ("int",), "the average of {them}, rounded down, or 0 if there are "
              "none", "int", "average", ("(sum({v}) // len({v}) if {v} else 0)",), (),
              ("if not {v}:", "    return 0", "return sum({v}) // len({v})"))  # fmt: skip


def _groups() -> Iterator[End]:
    def counted(key: str) -> tuple[str, ...]:
        return ("counts = {{}}", "for y in {v}:",
                f"    counts[{key}] = counts.get({key}, 0) + 1", "return counts")  # fmt: skip

    def grouped(key: str) -> tuple[str, ...]:
        return ("groups = {{}}", "for y in {v}:",
                f"    groups.setdefault({key}, []).append(y)", "return groups")  # fmt: skip

    def keyed(key: str, value: str) -> str:
        keys = f"dict.fromkeys({key} for y in {{v}})"
        return f"{{{{k: {value} for k in {keys}}}}}"

    yield End("counts", "group and count", ANY, "a dictionary that counts how often each of {them} "
              "occurs", "dict", "counts", (keyed("y", "{v}.count(k)"),), (), counted("y"),
              Loop(("counts = {{}}",), ("counts[{x}] = counts.get({x}, 0) + 1",),
                   ("return counts",)))  # fmt: skip
    for key, kinds, code, words in (
        ("parity", ("int",), "y % 2", "remainder by 2"),
        ("last digit", ("int",), "abs(y) % 10", "last digit"),
        ("thirds", ("int",), "y % 3", "remainder by 3"),
        ("length", ("word",), "len(y)", "length"),
        ("initial", ("word",), "y[:1]", "first letter"),
    ):
        some = keyed(code, f"sum(1 for y in {{v}} if {code} == k)")
        all_ = keyed(code, f"[y for y in {{v}} if {code} == k]")
        yield End(f"count by {key}", "group and count", kinds, "a dictionary from each "
                  f"{words} to how many of {{them}} have it", "dict", f"count_by_{key}",
                  (some,), (), counted(code))  # fmt: skip
        yield End(f"group by {key}", "group", kinds, f"a dictionary that groups {{them}} by their "
                  f"{words}", "dict", f"group_by_{key}", (all_,), (), grouped(code))  # fmt: skip
    yield End("lengths", "mapping", ("word",), "a dictionary from each of {them} to its length",
              "dict", "lengths", ("{{y: len(y) for y in {v}}}",), (), (),
              Loop(("result = {{}}",), ("result[{x}] = len({x})",), ("return result",)),
    )  # fmt: skip


def _tests(predicate: Predicate, kind: Kind) -> Iterator[End]:
    code = predicate.codes[0].replace("{x}", "y")
    given = predicate.codes[0]
    them = predicate.clause
    yield End(f"all {predicate.key}", "test", (kind,), f"whether all of {{them}} {them}", "bool",
              f"all {predicate.key}", (f"all({code} for y in {{v}})",), (), (),
              Loop((), (f"if not ({given}):", "    return False"), ("return True",)))  # fmt: skip
    yield End(f"any {predicate.key}", "test", (kind,),
              f"whether any of {{them}} {predicate.singular}",
              "bool", f"any {predicate.key}", (f"any({code} for y in {{v}})",), (), (),
              Loop((), (f"if {given}:", "    return True"), ("return False",)))  # fmt: skip
    yield End(f"split {predicate.key}", "partition", (kind,),
              f"two lists: those of {{them}} that {them}, and the others", "tuple", "partition",
              (f"([y for y in {{v}} if {code}], [y for y in {{v}} if not ({code})])",), (),
              ("yes, no = [], []", "for y in {v}:", f"    if {code}:", "        yes.append(y)",
               "    else:", "        no.append(y)", "return yes, no"))  # fmt: skip


def _all() -> Iterator[End]:
    yield from (*_builds(), *_sums(), *_searches(), *_groups())
    for kind, predicates in PREDICATES.items():
        for predicate in predicates:
            for end in _tests(predicate, kind):
                # Keys of different kinds may be equal, and meanings must not be.
                object.__setattr__(end, "key", f"{kind}: {end.key}")
                yield end


ENDS: dict[str, End] = {end.key: end for end in _all()}
