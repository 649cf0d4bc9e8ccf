"""Steps over a whole list: sort, take, drop, accumulate, compare neighbours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from data.exercises.grammar.atoms import Kind, compiled

ANY = ("int", "word", "char")


@dataclass(frozen=True)
class Step:
    """Makes a list of another. `codes`: expressions in which `{v}` is the list.

    `block`: statements of the same meaning that set `{r}`, or none. `verb`: what is done to "them".
    `phrase`: what the new list is called, with the old one's noun phrase as "{them}".
    """

    key: str
    family: str
    kinds: tuple[Kind, ...]
    verb: str
    phrase: str
    codes: tuple[str, ...]
    block: tuple[str, ...] = ()
    apply: Callable[[list[Any]], list[Any]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "apply", compiled(self.codes[0], "v"))


def _sorts() -> Iterator[Step]:
    for key, kinds, up, down in (
        ("", ("int",), "ascending", "descending"),
        ("alphabetical", ("word", "char"), "alphabetical", "reverse alphabetical"),
    ):
        yield Step(key or "ascending", "sort", kinds, f"sort them in {up} order",
                   f"{{them}} in {up} order", ("sorted({v})",),
                   ("{r} = list({v})", "{r}.sort()"))  # fmt: skip
        yield Step(f"reverse {key}" if key else "descending", "sort", kinds,
                   f"sort them in {down} order", f"{{them}} in {down} order",
                   ("sorted({v}, reverse=True)", "sorted({v})[::-1]"),
                   ("{r} = list({v})", "{r}.sort(reverse=True)"))  # fmt: skip
    yield Step("by size", "sort by key", ("int",),
               "sort them by absolute value, those with equal absolute values in their old order",
               "{them} sorted by absolute value", ("sorted({v}, key=abs)",),
               ("{r} = list({v})", "{r}.sort(key=abs)"))  # fmt: skip
    yield Step("by last digit", "sort by key", ("int",),
               "sort them by their last digit, those with equal ones in their old order",
               "{them} sorted by last digit",
               ("sorted({v}, key=lambda y: abs(y) % 10)",))  # fmt: skip
    yield Step("by length", "sort by key", ("word",),
               "sort them by length, those of equal length in their old order",
               "{them} sorted by length",
               ("sorted({v}, key=len)",), ("{r} = list({v})", "{r}.sort(key=len)"))  # fmt: skip
    yield Step("by last letter", "sort by key", ("word",),
               "sort them by their last letter, those with equal ones in their old order",
               "{them} sorted by last letter", ("sorted({v}, key=lambda y: y[-1:])",))  # fmt: skip
    yield Step("reverse", "reverse", ANY, "reverse their order", "{them} in reverse order",
               ("{v}[::-1]", "list(reversed({v}))"),
               ("{r} = list({v})", "{r}.reverse()"))  # fmt: skip
    yield Step("unique", "unique", ANY, "drop repetitions of earlier ones",
               "{them} without repetitions", ("list(dict.fromkeys({v}))",),
               ("{r} = []", "for y in {v}:", "    if y not in {r}:", "        {r}.append(y)"),
    )  # fmt: skip


def _parts() -> Iterator[Step]:
    for n in range(2, 6):
        yield Step(f"take {n}", "take", ANY, f"keep only the first {n} of them",
                   f"the first {n} of {{them}}", (f"{{v}}[:{n}]",))  # fmt: skip
        yield Step(f"last {n}", "take", ANY, f"keep only the last {n} of them",
                   f"the last {n} of {{them}}", (f"{{v}}[-{n}:]",))  # fmt: skip
    for n in range(1, 4):
        some = "" if n == 1 else f" {n}"
        yield Step(f"drop {n}", "drop", ANY, f"leave out the first{some or ' one'}",
                   f"all but the first{some} of {{them}}", (f"{{v}}[{n}:]",))  # fmt: skip
        yield Step(f"drop last {n}", "drop", ANY, f"leave out the last{some or ' one'}",
                   f"all but the last{some} of {{them}}", (f"{{v}}[:-{n}]",))  # fmt: skip
    for n, name in ((2, "second"), (3, "third")):
        yield Step(f"every {n}", "take", ANY, f"keep every {name} one, beginning with the first",
                   f"every {name} one of {{them}}, beginning with the first", (f"{{v}}[::{n}]",),
                   ("{r} = []", "for i, y in enumerate({v}):", f"    if i % {n} == 0:",
                    "        {r}.append(y)"))  # fmt: skip


def _windows() -> Iterator[Step]:
    yield Step("totals", "accumulate", ("int",), "replace each by the sum of all up to it",
               "the running totals of {them}", ("[sum({v}[:i + 1]) for i in range(len({v}))]",),
               ("{r} = []", "running = 0", "for y in {v}:", "    running += y",
                "    {r}.append(running)"))  # fmt: skip
    yield Step("maxima", "accumulate", ("int",), "replace each by the largest of all up to it",
               "the running maxima of {them}", ("[max({v}[:i + 1]) for i in range(len({v}))]",),
               ("{r} = []", "for y in {v}:", "    {r}.append(y if not {r} else max({r}[-1], y))"),
    )  # fmt: skip
    for key, what, code in (
        ("steps", "the differences between each of {them} and the one before it", "q - p"),
        ("neighbours", "the sums of each of {them} and the one after it", "p + q"),
        ("peaks", "the larger of each two neighbours among {them}", "max(p, q)"),
    ):
        late = code.replace("q", "{v}[i + 1]").replace("p", "{v}[i]") if key != "peaks" else ""
        more = (f"[{late} for i in range(len({{v}}) - 1)]",) if late else ()
        yield Step(key, "window", ("int",), f"make a list of {what.format(them='them')}", what,
                   (f"[{code} for p, q in zip({{v}}, {{v}}[1:])]", *more))  # fmt: skip


STEPS: dict[str, Step] = {step.key: step for step in (*_sorts(), *_parts(), *_windows())}
