"""Examples that test the function where it stands alone."""

import doctest

import pytest

from data.functions.examples import ExamplesError, examples_of, usable, written


def kept(docstring: str, entry: str = "f", bound: tuple[str, ...] = ("f", "g", "helper")) -> str:
    return written([], usable(examples_of(docstring), entry, "pack.mod", bound))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("text\n\n    >>> f(1)\n    2\n\n    more", ">>> f(1)\n2\n"),
        (">>> from pack.mod import f\n>>> f(1)\n2\n", ">>> f(1)\n2\n"),
        (">>> from pack import *\n>>> f(1)\n2\n", ">>> f(1)\n2\n"),
        (">>> import pack.mod\n>>> pack.mod.f(1)\n2\n", ">>> f(1)\n2\n"),
        (">>> import pack.mod as pm, re\n>>> pm.f(re.I)\n2\n", ">>> import re\n>>> f(re.I)\n2\n"),
        (">>> from pack import mod; x = 1\n>>> mod.f(x)\n2\n", ">>> x = 1\n>>> f(x)\n2\n"),
        (">>> mod.f(pack.f(1),\n...   pack.mod.f('é'))\n2\n", ">>> f(f(1),\n...   f('é'))\n2\n"),
        (">>> pk.f(pk.g(1))\n2\n", ">>> f(pk.g(1))\n2\n"),
        # These are objects of the examples, of the module, and of Python.
        (">>> x = f(1)\n>>> x.f()\n2\n", ">>> x = f(1)\n>>> x.f()\n2\n"),
        (">>> f(helper.f, str.f)\n2\n", ">>> f(helper.f, str.f)\n2\n"),
        (">>> mod = f(1)\n>>> mod.f()\n2\n", ">>> mod = f(1)\n>>> mod.f()\n2\n"),
        (">>> f(0)  # doctest: +SKIP\n1\n>>> f(1)\n2\n", ">>> f(1)\n2\n"),
        (">>> f(1) # doctest: +ELLIPSIS\n2...\n", ">>> f(1) # doctest: +ELLIPSIS\n2...\n"),
        (">>> @f\n... def h():\n...\n...     pass\n>>> h()\n1\n",
         ">>> @f\n... def h():\n...\n...     pass\n>>> h()\n1\n"),
        (">>> f(1)\nTraceback (most recent call last):\n  at some place\nKeyError: 1\n",) * 2,
        (r">>> f('\\n\"')" + "\n1\n",) * 2,
    ],
)  # fmt: skip
def test_examples_stand_alone(given: str, wanted: str) -> None:
    assert kept(given) == wanted


@pytest.mark.parametrize(
    "docstring",
    [
        "no example",
        ">>> g(1)\n2\n",
        ">>> f(1)\n",
        ">>> 1\n1\n>>> x = f(1)\n",
        ">>> from pack import f\n",
        ">>> f(1)  # doctest: +SKIP\n2\n",
        ">>> pack.g(1)\n2\n",
    ],
)
def test_examples_that_show_nothing_of_the_function(docstring: str) -> None:
    with pytest.raises(ExamplesError, match="no usable example"):
        kept(docstring)


@pytest.mark.parametrize(
    "docstring",
    [
        ">>>f(1)\n2\n",
        ">>> f(\n2\n",
        ">>> f(1)  # doctest: +MAYBE\n",
        f">>> f({'(' * 1000})\n1\n",
        f">>> f({'-' * 100_000}1)\n1\n",
        ">>> f('\0')\n1\n",
    ],
)
def test_examples_that_are_none(docstring: str) -> None:
    with pytest.raises(ExamplesError, match="broken examples"):
        kept(docstring)


def test_what_examples_need_comes_first() -> None:
    examples = examples_of(">>> f(1)\n2\n")
    setup = ["import re", "def h():\n\n    return '''\n  x'''"]
    text = written(setup, examples)
    assert text == (
        ">>> import re\n>>> def h():\n...\n...     return '''\n...   x'''\n>>> f(1)\n2\n"
    )
    assert [one.source for one in doctest.DocTestParser().get_examples(text)][:2] == [
        f"{one}\n" for one in setup
    ]


def test_what_doctest_would_read_otherwise_is_refused() -> None:
    with pytest.raises(ExamplesError, match="cannot be written"):
        written(["def h():\n    return 1  # doctest: +SKIP"], examples_of(">>> f(1)\n2\n"))
