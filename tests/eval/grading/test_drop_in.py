import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytelm.toolkit import InputError
from eval.grading.drop_in import (
    EVALPLUS,
    HUMAN_EVAL,
    TOOLS,
    evalplus_main,
    human_eval_main,
    notes,
    translate,
)

OURS = {
    "--samples", "--suite", "--problems", "--out", "--results", "--timeout-s", "--memory-mb",
    "--workers", "--partial", "--skip-broken", "--k", "--format",
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("s.jsonl", "--samples s.jsonl --suite humaneval --format human-eval"),
        (
            "s.jsonl --k=1,10 --n_workers=8 --timeout=4.5 --problem_file=p.jsonl",
            "--samples s.jsonl --k 1 10 --workers 8 --timeout-s 4.5 --problems p.jsonl "
            "--format human-eval",
        ),
        (
            "--k (1,10,100) --sample-file s.jsonl -n 8 -t=4",
            "--samples s.jsonl --k 1 10 100 --workers 8 --timeout-s 4 --suite humaneval "
            "--format human-eval",
        ),
        (
            's.jsonl "1,10" 4 3.0 p.jsonl --ignore_incomplete',
            "--samples s.jsonl --k 1 10 --workers 4 --timeout-s 3.0 --problems p.jsonl --partial "
            "--format human-eval",
        ),
        (
            "--ignore_incomplete --noignore_incomplete s.jsonl",
            "--samples s.jsonl --suite humaneval --format human-eval",
        ),
    ],
)
def test_human_evals_words(line: str, expected: str) -> None:
    assert translate("human-eval", line.split()) == expected.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "--dataset humaneval --samples a/s.jsonl",
            "--samples a/s.jsonl --suite humaneval-plus --results a/s_eval_results.json "
            "--format evalplus",
        ),
        (
            "--dataset=humaneval --samples=s.jsonl.gz --base-only --parallel 4",
            "--samples s.jsonl.gz --workers 4 --suite humaneval --results s_eval_results.json "
            "--format evalplus",
        ),
        (
            "mbpp folder --base_only=False --parallel=2 --i-just-wanna-run",
            "--samples folder --workers 2 --suite mbpp-plus --results folder/eval_results.json "
            "--format evalplus",
        ),
        (
            "--base-only mbpp --samples s.jsonl --output-file r.json --nomini --version default",
            "--samples s.jsonl --results r.json --suite mbpp-plus-base --format evalplus",
        ),
        (
            "--dataset humaneval --samples s.jsonl --base_only true --mini false --noextreme=False",
            "--samples s.jsonl --suite humaneval --results s_eval_results.json --format evalplus",
        ),
    ],
)
def test_evalplus_words(line: str, expected: str) -> None:
    assert translate("evalplus", line.split()) == expected.split()


@pytest.mark.parametrize(
    ("tool", "line", "message"),
    [
        ("human-eval", "", "evaluate_functional_correctness needs --sample_file"),
        ("human-eval", "s --n_worker 3", "has no flag --n_worker; did you mean --n_workers? (it"),
        ("human-eval", "s --zzz", "has no flag --zzz (it has --sample_file, --k, --n_workers,"),
        ("human-eval", "s -x 1", "has no flag -x (it has"),
        ("human-eval", "s --k", "--k needs a value: numbers as in 1,10,100"),
        ("human-eval", "s --timeout --k=1", "--timeout needs a value: a number"),
        ("human-eval", "s --k=1;2", "--k needs numbers as in 1,10,100, not '1;2'"),
        ("human-eval", "s --k=", "--k needs numbers as in 1,10,100, not ''"),
        ("human-eval", "s --n_workers=four", "--n_workers needs a whole number, not 'four'"),
        ("human-eval", "s --n_workers 4.5", "--n_workers needs a whole number, not '4.5'"),
        ("human-eval", "s --timeout soon", "--timeout needs a number, not 'soon'"),
        ("human-eval", "s 1 2 3 p True more", "has no place for the word 'more'"),
        ("human-eval", "s --ignore_incomplete=yes", "needs True or False, not 'Yes'"),
        ("human-eval", "s --noignore_incomplete=1", "takes no value"),
        ("evalplus", "--samples s", "evalplus.evaluate needs --dataset"),
        ("evalplus", "humaneval", "evalplus.evaluate needs --samples"),
        ("evalplus", "apps s", "--dataset apps: the datasets are humaneval and mbpp"),
        ("evalplus", "humaneval s --base-onl", "did you mean --base-only?"),
        ("evalplus", "humaneval s -p 4", "evalplus.evaluate has no flag -p"),
        ("evalplus", "humaneval s --mini", "--mini: give the file of these problems to"),
        ("evalplus", "humaneval s --noextreme", "--noextreme: give the file"),
        ("evalplus", "humaneval s --version v0.1.9", "--version: give the file"),
        ("evalplus", "humaneval s --min-time-limit=x", "--min-time-limit needs a number, not 'x'"),
        (
            "evalplus",
            "--model=gpt2 --dataset humaneval --backend hf",
            "--model=gpt2: this command grades samples; write them first with `python -m eval",
        ),
    ],
)
def test_wrong_words_are_named(tool: str, line: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        translate(tool, line.split())


def test_flags_that_change_nothing_are_told() -> None:
    line = (
        "humaneval s --min-time-limit 2 --test-details --gt_time_limit_factor=-8 --notest_details"
    )
    assert [note.partition(":")[0] for note in notes("evalplus", line.split())] == [
        "--min-time-limit is ignored",
        "--gt-time-limit-factor is ignored",
    ]
    assert notes("evalplus", ["humaneval", "s", "--test-details", "--i-just-wanna-run"]) == [
        "--test-details is ignored: the grader itself decides which failed tests it names"
    ]


def test_the_commands_run_grade_and_return_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[list[str]] = []

    def run(words: list[str]) -> int:
        seen.append(words)
        return 3

    assert human_eval_main(["s.jsonl"], run) == 3
    assert evalplus_main(["mbpp", "s", "--base-only", "--min-time-limit=2"], run) == 3
    assert seen[0] == ["grade", *translate("human-eval", ["s.jsonl"])]
    assert seen[1] == ["grade", *translate("evalplus", ["mbpp", "s", "--base-only"])]
    [note] = capsys.readouterr().err.splitlines()
    assert note.startswith("--min-time-limit is ignored: ")


def test_wrong_words_run_nothing_and_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def run(words: list[str]) -> int:
        raise AssertionError(words)

    for main in (human_eval_main, evalplus_main):
        assert main(["s", "--what"], run) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["s.jsonl", "--", "--help"]])
def test_help_shows_every_flag(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def run(words: list[str]) -> int:
        raise AssertionError(words)

    for main, tool in ((human_eval_main, HUMAN_EVAL), (evalplus_main, EVALPLUS)):
        assert main(words, run) == 0
        shown = capsys.readouterr().out
        for name in tool.flags:
            assert name in shown.replace("-", "_")


@settings(max_examples=50)
@given(
    st.sampled_from(sorted(TOOLS)),
    st.lists(
        st.one_of(
            st.sampled_from(
                [f"--{name}" for tool in TOOLS.values() for name in tool.flags]
                + ["--k=1", "-k", "humaneval", "mbpp", "s.jsonl", "4", "True", "--", "-", ""]
            ),
            st.text(max_size=8),
        ),
        max_size=6,
    ),
)
def test_any_words_are_ours_or_an_input_error(tool: str, words: list[str]) -> None:
    try:
        found = translate(tool, words)
    except InputError:
        return
    options = [word for word in found if word in OURS]
    assert {"--samples", "--format"} <= set(options)
    assert len(options) == len(set(options))
    assert ("--suite" in options) != ("--problems" in options)
