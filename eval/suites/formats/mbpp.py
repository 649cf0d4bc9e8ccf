"""MBPP: `{task_id, text, code, test_setup_code, test_list, challenge_test_list}`, in three prompts.

    paper      the words of the paper, the text and all tests; the completion is the program
    evalplus   a docstring of the text and the first test, as evalplus and bigcode send it
    signature  the function's head, taken from the reference, with the text as its docstring

The tests call the function by its name, which only the reference tells for certain. Where they need
a tree or the like, `test_setup_code` builds it from the program's classes.

The sanitized file, which has `prompt` for `text` and `test_imports`, is read too. So are the rows
of MBPP+ on Hugging Face: there `test` has all tests.

Sources: google-research/google-research, mbpp; Austin et al. 2021, arXiv 2108.07732.
"""

import ast
import io
import tokenize
import warnings
from typing import Literal

from eval.suites.formats.problem import Problem
from eval.suites.formats.rows import Row

FORM = "MBPP's format"
KEYS = ("task_id", "code", "test_list")
TEST_SPLIT = range(11, 511)
"""The numbers of the 500 problems that are scored. The others are for prompts and training."""

Prompt = Literal["paper", "evalplus", "signature"]


def problem(
    row: Row,
    prompt: Prompt = "paper",
    split: Literal["all", "test"] = "all",
    challenge: bool = False,
) -> Problem | None:
    """The problem of a row; None for one that is not in the split.

    `challenge`: the tests of `challenge_test_list` are run too. Raises InputError for a missing
    key, a value of another kind, a reference that is no Python, and tests that call none of its
    functions.
    """
    text_key = "text" if row.has("text") else "prompt"
    row.need(FORM, text=("code", text_key), texts=("test_list",))
    number = row.number("task_id")
    if split == "test" and number not in TEST_SPLIT:
        return None
    tests = row.texts("test_list")
    if not tests:
        raise row.wrong("a problem needs a test under test_list", FORM)
    text, code = row.text(text_key), row.text("code")
    function = _function(row, _parsed(row, "code", code), _parsed(row, "test_list", tests[0]))
    solution, frame = code, None
    if prompt == "signature":
        asked, solution = _split(code, function, text)
    elif prompt == "evalplus":
        # A backslash stands as it is, as evalplus and bigcode send it.
        asked = f'"""\n{text}\n{tests[0]}\n"""\n'
    else:
        asked, frame = _in_words(text, tests), ("", "")
    return Problem(
        # As evalplus has it.
        task_id=f"Mbpp/{number}",
        prompt=asked,
        canonical_solution=solution,
        test=_test(row, tests + row.texts("challenge_test_list") * challenge),
        entry_point=function.name,
        kind="asserts",
        frame=frame,
    )


def _in_words(text: str, tests: list[str]) -> str:
    task = f"You are an expert Python programmer, and here is your task: {text}"
    return f"{task} Your code should pass these tests:\n\n" + "\n".join(tests) + "\n[BEGIN]\n"


def _test(row: Row, tests: list[str]) -> str:
    if row.has("test"):
        return row.text("test")
    parts = [*row.texts("test_imports"), row.text("test_setup_code", ""), *tests]
    return "\n".join(filter(None, parts)) + "\n"


def _parsed(row: Row, key: str, text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            # Some references have escapes that Python does not know.
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise row.wrong(f"{key} holds no Python: {error}", FORM) from error


def _function(row: Row, code: ast.Module, test: ast.Module) -> ast.FunctionDef:
    """The function of the reference that the test calls first."""
    functions = {node.name: node for node in code.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found = functions.get(node.func.id)
            if found is not None:
                return found
    raise row.wrong("the first test calls no function of the code", FORM)


def _quoted(text: str) -> str:
    """The text as it stands in a docstring."""
    text = text.replace("\\", "\\\\")
    return text.replace('"', '\\"') if '"""' in text or text.endswith('"') else text


def _split(code: str, function: ast.FunctionDef, text: str) -> tuple[str, str]:
    """The function's head with a docstring, and the rest of the reference.

    The rest is the function's body, and then what stood before and after the function. Names are
    looked up when it is called, so it may follow. The docstring is indented as the body is.
    """
    lines, begin = code.split("\n"), function.body[0]
    above = min([function.lineno, *(node.lineno for node in function.decorator_list)]) - 1
    line, column = _head_end(lines, function.lineno - 1)
    body = lines[line + 1 : function.end_lineno]
    indent = lines[begin.lineno - 1][: begin.col_offset]
    if begin.lineno - 1 == line:
        indent = "    "
        body = [indent + lines[line][column:].lstrip(), *body]
    head = f"def {function.name}({ast.unparse(function.args)}):\n"
    rest = [*body, *lines[:above], *lines[function.end_lineno :]]
    return f'{head}{indent}"""{_quoted(text)}"""\n', "\n".join(rest)


def _head_end(lines: list[str], first: int) -> tuple[int, int]:
    """The line (counted from 0) and the column behind the colon that ends a function's head."""
    depth = 0
    text = io.StringIO("\n".join(lines[first:]))
    for token in tokenize.generate_tokens(text.readline):
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
            if token.string == ":" and depth == 0:
                return first + token.end[0] - 1, token.end[1]
    raise AssertionError("a function's head ends with a colon")
