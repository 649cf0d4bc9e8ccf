"""A function that all threads call says in its name whether it ends in a barrier."""

import re
from pathlib import Path

import pytest

from bytelm.decode.native.library import SOURCE

HEADERS = sorted(SOURCE.parent.glob("*.h"))
# A function of the class at an indent of two spaces, or of the file at none.
FUNCTION = re.compile(
    r"^(?P<indent> {0,2})\w[^;{}()]*?\b(?P<name>\w+)\((?P<parameters>[^{};]*?)\)(?: const)? \{\n"
    r"(?P<body>.*?)^(?P=indent)\}",
    re.MULTILINE | re.DOTALL,
)
WAITS = re.compile(r"\bbarrier\(\)|\w+_sync\(")


def collective(text: str) -> list[tuple[str, str]]:
    """The functions that take the number of the thread: their names and bodies."""
    return [
        (found["name"], found["body"])
        for found in FUNCTION.finditer(text)
        if "int me" in found["parameters"]
    ]


def last_statement(body: str) -> str:
    """From the last line that is indented as the first is."""
    indent = " " * (len(body) - len(body.lstrip(" ")))
    starts = [found.start() for found in re.finditer(rf"^{indent}[^ }}]", body, re.MULTILINE)]
    return body[starts[-1] :]


def complaints(text: str) -> list[str]:
    """What is wrong with the names of the functions in `text`."""
    wrong = []
    for name, body in collective(text):
        ends = WAITS.search(last_statement(body)) is not None
        if name.endswith("_sync") and not ends:
            wrong.append(f"{name} does not end in a barrier")
        if not name.endswith("_sync") and WAITS.search(body):
            wrong.append(f"{name} waits at a barrier and does not say so")
    return wrong


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_names_say_which_functions_end_in_a_barrier(header: Path) -> None:
    assert complaints(header.read_text(encoding="utf-8")) == []


def test_the_rule_sees_the_functions_that_it_is_about() -> None:
    names = [name for header in HEADERS for name, _ in collective(header.read_text("utf-8"))]
    assert {"attend_sync", "run_layer_sync", "forward_sync", "draft_sync", "embed"} <= set(names)
    assert complaints("void a(int me) {\n  x();\n  team.barrier();\n}\n") != []
    assert complaints("void a_sync(int me) {\n  team.barrier();\n  x();\n}\n") != []
    assert complaints("void a_sync(int me) {\n  x();\n  team.barrier();\n}\n") == []
