"""CRUXEval: `{code, input, output, id}`; the model says what f(input) is, or for what it is output.

The model completes an assert at the end of the code. Its completion is an expression, and the
program is a function that returns the expression's value:

    to predict   prompt                              program
    output       CODE, assert f(INPUT) ==            CODE without f; completed returns COMPLETION
    input        CODE, # f(??) == OUTPUT, assert f(  CODE; completed returns f(COMPLETION)

`test` compares that value with the output. A left-to-right model must see the output before the
input, so a comment shows it. The published prompts say it in words, with two worked examples.

CRUXEval fails a completion that says f(INPUT) instead of its value. Here f is no longer there.

Source: facebookresearch/cruxeval, prompts.py and evaluation/utils_general.py.
"""

from typing import Literal

from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

FORM = "CRUXEval's format"
KEYS = ("code", "input", "output", "id")


def problem(row: Row, predict: Literal["input", "output"] = "output") -> Problem:
    """The problem of a row: to predict f's input or output.

    Raises InputError for a missing key, or a value that is no text.
    """
    row.need(FORM, text=KEYS)
    code, given, output, task_id = (row.text(key) for key in KEYS)
    test = f"assert completed() == {output}"
    if predict == "output":
        return Problem(
            task_id=task_id,
            prompt=f"{code}\nassert f({given}) ==",
            canonical_solution=f" {output}",
            test=test,
            entry_point="completed",
            kind="asserts",
            suffix="\n",
            stops=("\n",),
            # In a list, as in an assert: a completion of nothing has no value, and a comma ends it.
            frame=(f"{code}\n\n\ndel f\n\n\ndef completed():\n    return [", "\n    ][0]\n"),
        )
    return Problem(
        task_id=task_id,
        prompt=f"{code}\n# f(??) == {output}\nassert f(",
        canonical_solution=given,
        test=test,
        entry_point="completed",
        kind="asserts",
        suffix=f") == {output}\n",
        # The model may go on with what follows the arguments.
        stops=(") ==", ")==", "\n"),
        frame=(f"{code}\n\n\ndef completed():\n    return f(", "\n    )\n"),
    )
