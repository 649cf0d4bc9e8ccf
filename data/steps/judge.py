"""The steps that a document goes through by itself: a reason to leave it out, or its text."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from bytelm.toolkit import Range
from data.benchmarks import Benchmarks
from data.filters import reason_to_reject
from data.steps.generated import is_generated
from data.steps.licences import UNKNOWN, Licence, of_file
from data.steps.secrets import replaced
from data.steps.syntax import MOST_ERROR_PERCENT, syntax_reason
from data.walk import Found


@dataclass(frozen=True)
class Choices:
    """Which steps are taken."""

    filters: bool = True
    generated_files: Literal["drop", "keep"] = "keep"
    licences: Literal["permissive", "any"] = "any"
    secrets: Literal["replace", "keep"] = "keep"
    near_duplicates: Literal["drop", "keep"] = "keep"
    syntax: Literal["drop", "keep"] = "keep"
    most_error_percent: Annotated[float, Range(0, 100)] = MOST_ERROR_PERCENT
    """Where `syntax` is drop: how much of a Python file's bytes may lie under errors."""

    def about(self) -> dict[str, Any]:
        """The steps that are taken beyond the usual, for the manifest."""
        usual = Choices(filters=self.filters)
        taken = {
            name: value for name, value in asdict(self).items() if value != getattr(usual, name)
        }
        # The limit decides what is left out, also where it is the usual one.
        limit = {"most_error_percent": self.most_error_percent}
        return taken | (limit if self.syntax == "drop" else {})


def is_python(document: Found) -> bool:
    """Whether syntax is checked: a row of a dataset has no ending, and is taken for Python."""
    return document.row or document.name.endswith((".py", ".pyi"))


@dataclass
class Steps:
    """The steps in order. They count what they replaced in `replaced`, `kind: places`."""

    choices: Choices
    benchmarks: Benchmarks
    replaced: Counter[str] = field(default_factory=Counter)

    @property
    def key(self) -> str:
        """Says what decides the outcome: equal keys and documents have equal outcomes."""
        words = json.dumps([asdict(self.choices), self.benchmarks.sha256], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()

    def reason(self, document: Found, package: Licence = UNKNOWN) -> str | None:
        """The first reason to leave a document out, or None to keep it."""
        content, choices = document.content, self.choices
        if not document.generated:
            if choices.generated_files == "drop" and is_generated(content):
                return "generated file"
            if choices.licences == "permissive":
                licence = of_file(content, package)
                if licence.kind != "permissive":
                    return "licence" if licence.kind == "other" else "unknown licence"
            if choices.filters:
                reason = reason_to_reject(document.name, content)
                if reason is not None:
                    return reason
            if choices.syntax == "drop" and is_python(document):
                reason = syntax_reason(content, choices.most_error_percent)
                if reason is not None:
                    return reason
        return "benchmark" if self.benchmarks.found_in(content) else None

    def text(self, document: Found) -> bytes:
        """The text to keep of a document, of the same length."""
        if self.choices.secrets == "keep" or document.generated:
            return document.content
        content, counts = replaced(document.content)
        self.replaced += counts
        return content
