"""Documents of functions whose examples hold: the function as it stands, its docstring first.

The verdicts come from `eval grade`. Documents go to a split by package.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError, read_jsonl, text_of
from data.splits import splits_of_groups
from data.steps.judge import Steps
from data.walk import Found

_KEYS = ("task_id", "prompt", "canonical_solution", "package")


@dataclass(frozen=True)
class _Function:
    """A row of the problems, with its place."""

    where: str
    package: str
    body: str
    document: Found


@dataclass
class PassedFunctions:
    """The functions of a file of problems that passed, after all steps.

    `problems`: what `data functions` wrote. `results`: what `eval grade` wrote of its samples.
    After reading, `rejected` and `rejected_bytes` count what is left out, by reason.
    """

    problems: Path
    results: Path
    steps: Steps
    held_out_percent: float
    about: dict[str, Any] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    rejected_bytes: Counter[str] = field(default_factory=Counter)

    def files(self) -> Iterator[Found]:
        """The documents. Raises InputError, with file and line, where the two files do not fit."""
        functions = self._functions()
        passed = self._passed(functions)
        kept, seen = list[tuple[_Function, bytes]](), set[bytes]()
        for task_id, function in functions.items():
            content = function.document.content
            reason = None if passed[task_id] else "examples that do not hold"
            reason = reason or self.steps.reason(function.document)
            if reason is None:
                content = self.steps.text(function.document)
                digest = hashlib.sha256(content).digest()
                reason = "duplicate" if digest in seen else None
                seen.add(digest)
            if reason is None:
                kept.append((function, content))
            else:
                self.rejected[reason] += 1
                self.rejected_bytes[reason] += len(content)
        splits = self._splits(kept)
        for function, content in kept:
            name, split = function.document.name, splits[function.package]
            yield Found(name, content, split, judged=True)

    def _functions(self) -> dict[str, _Function]:
        lines = read_jsonl(self.problems)
        self.about["functions_sha256"] = lines.sha256
        found: dict[str, _Function] = {}
        for number, row in lines.rows:
            where = f"{self.problems}:{number}"
            task_id, prompt, body, package = (text_of(row, key, where) for key in _KEYS)
            if task_id in found:
                raise InputError(f"{where}: task_id {task_id!r} comes a second time; mend the file")
            document = Found(f"{task_id}.py", (prompt + body).encode())
            found[task_id] = _Function(where, package, body, document)
        if not found:
            raise InputError(f"{self.problems}: no functions in it; make some: data functions")
        return found

    def _passed(self, functions: dict[str, _Function]) -> dict[str, bool]:
        """Whether each function passed."""
        found: dict[str, bool] = {}
        for number, row in read_jsonl(self.results).rows:
            where = f"{self.results}:{number}"
            task_id, completion = (text_of(row, key, where) for key in ("task_id", "completion"))
            if task_id not in functions:
                raise InputError(f"{where}: {task_id!r} is not in {self.problems}; grade its own "
                                 "samples")  # fmt: skip
            if task_id in found:
                raise InputError(f"{where}: {task_id!r} comes a second time; grade the samples of "
                                 "data functions, which has each once")  # fmt: skip
            if completion != functions[task_id].body:
                raise InputError(f"{where}: the completion of {task_id!r} is not the function's "
                                 f"own body ({functions[task_id].where}); grade the samples of "
                                 "data functions")  # fmt: skip
            if not isinstance(row.get("passed"), bool):
                raise InputError(f"{where}: {task_id!r} has no verdict (passed must be true or "
                                 "false); grade the samples again")  # fmt: skip
            found[task_id] = row["passed"]
        for task_id, function in functions.items():
            if task_id not in found:
                raise InputError(f"{function.where}: {task_id!r} has no verdict in {self.results}; "
                                 "grade the samples of all functions")  # fmt: skip
        return found

    def _splits(self, kept: list[tuple[_Function, bytes]]) -> dict[str, str]:
        counts = Counter(function.package for function, _ in kept)
        if len(counts) == 1:
            raise InputError(
                f"functions of one package alone ({next(iter(counts))}) cannot be split into "
                "training and held-out data; give functions of at least two"
            )
        self.about["packages"] = dict(sorted(counts.items()))
        return splits_of_groups(counts, self.held_out_percent)
