"""Examples of the module doctest: what they are, and whether a program shows what they say.

Their statements never run here: `run` gives what a statement shows, wherever it runs.
"""

from collections.abc import Callable

GOT_CHARS = 200


def count_examples(text: str) -> int:
    """How many examples in a text are to be run. Raises ValueError for a text with a broken one."""
    # It takes some time to import, and few need it.
    import doctest

    examples = doctest.DocTestParser().get_examples(text)
    return sum(not one.options.get(doctest.SKIP, False) for one in examples)


def check_examples(text: str, run: Callable[[str], tuple[str, str]]) -> None:
    """Run the examples of a text one by one, and compare as doctest does.

    `run` gives what a statement prints, and the last line of its error, or "". Raises
    AssertionError for the first example that shows something else, ValueError for a broken text.
    """
    import doctest

    checker = doctest.OutputChecker()
    for example in doctest.DocTestParser().get_examples(text):
        flags = sum(flag for flag, given in example.options.items() if given)
        if flags & doctest.SKIP:
            continue
        printed, error = run(example.source)
        if printed and not printed.endswith("\n"):
            printed += "\n"
        got, want = printed, example.want
        # As in doctest, what is printed before an error that is expected does not matter.
        if error and example.exc_msg is not None:
            got, want = error, example.exc_msg
            if flags & doctest.IGNORE_EXCEPTION_DETAIL:
                got, want = _kind(got), _kind(want)
        elif error:
            got = f"{printed}{error}"
        unexpected = bool(error) and example.exc_msg is None
        if unexpected or not checker.check_output(want, got, flags):
            source = example.source.strip()
            raise AssertionError(f"{source} shows {got.strip()[:GOT_CHARS]!r}")


def _kind(line: str) -> str:
    """The class of an error, without its module and its text."""
    return line.partition("\n")[0].partition(":")[0].rpartition(".")[2].strip()
