"""APPS: `{question, input_output, difficulty, ...}`; programs that read stdin and print.

`input_output` and `solutions` are texts that hold JSON. Where `input_output` names a function, the
tests call that function, and are not run here. The prompt is that of APPS and of bigcode.

Sources: hendrycks/apps, eval/generate_gpt_codes.py; codeparrot/apps on Hugging Face.
"""

import json
from typing import Any

from eval.suites.formats.problem import LeftOut, Problem
from eval.suites.formats.rows import Row, is_text

FORM = "APPS's format"
KEYS = ("question", "input_output", "difficulty")


def problem(row: Row, difficulty: str | None = None) -> Problem | LeftOut | None:
    """The problem of a row; None for one of another `difficulty` than the one asked for.

    A problem is left out whose tests call a function, are none, or are not pairs of texts. Raises
    InputError for a missing key, a value of another kind, or text that should be JSON and is not.
    """
    row.need(FORM, text=KEYS)
    if difficulty is not None and row.text("difficulty") != difficulty:
        return None
    tests = _json_of(row, "input_output", {})
    if not isinstance(tests, dict):
        raise row.wrong("input_output must hold an object with inputs and outputs", FORM)
    if tests.get("fn_name"):
        return LeftOut("their tests call a function")
    inputs, outputs = (tests.get(key, []) for key in ("inputs", "outputs"))
    if not (isinstance(inputs, list) and isinstance(outputs, list)):
        raise row.wrong("input_output needs lists under inputs and outputs", FORM)
    if not inputs:
        return LeftOut("they have no tests")
    texts = [
        (_text(given), _text(printed)) for given, printed in zip(inputs, outputs, strict=False)
    ]
    examples = tuple((given, out) for given, out in texts if given is not None and out is not None)
    if not len(examples) == len(inputs) == len(outputs):
        return LeftOut("their tests are not pairs of texts")
    return Problem(
        task_id=f"APPS/{row.number('problem_id' if row.has('problem_id') else 'id')}",
        prompt=_prompt(row),
        canonical_solution=_solution(row),
        test="",
        entry_point="",
        level=row.text("difficulty"),
        kind="stdio",
        examples=examples,
        # The question is no Python.
        frame=("", ""),
    )


def _prompt(row: Row) -> str:
    question = f"\nQUESTION:\n{row.text('question')}{row.text('starter_code', '')}"
    return f"{question}\nUse Standard Input format\nANSWER:\n"


def _solution(row: Row) -> str:
    solutions = _json_of(row, "solutions", [])
    return solutions[0] if solutions and is_text(solutions[0]) else ""


def _json_of(row: Row, key: str, empty: Any) -> Any:
    """The value in the text under a key; `empty` where there is no text."""
    text = row.text(key, "")
    try:
        # Numbers stay texts: some have more digits than Python turns into a number.
        return json.loads(text, parse_int=str, parse_float=str) if text else empty
    except (ValueError, RecursionError) as error:
        raise row.wrong(f"{key} holds no JSON: {error}", FORM) from error


def _text(value: Any) -> str | None:
    """The text that is read or printed, for a few problems as a list of lines; else None."""
    lines = value if isinstance(value, list) else [value]
    return "\n".join(lines) if all(map(is_text, lines)) else None
