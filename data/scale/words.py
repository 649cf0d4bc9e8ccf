"""Words for datatrove's MinHash: those of code, without a model of any language."""

import re
from typing import Any

from datatrove.utils.word_tokenizers import WordTokenizer

_WORD = re.compile(r"\w+|[^\w\s]")


class _PythonWords(WordTokenizer):  # type: ignore[misc]
    def word_tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return text.splitlines()

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _WORD.finditer(text)]


def python_words() -> Any:
    """A `language` for `MinhashDedupSignature` that needs no tokenizer's data."""
    return _PythonWords()
