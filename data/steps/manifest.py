"""What a manifest says beside the shards: the source, the steps, what was left out, versions."""

import importlib.metadata
import platform
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from data.steps.judge import Choices

PACKAGES = ("bytelm", "tree-sitter", "tree-sitter-python")


@dataclass
class LeftOut:
    """How many documents were left out, and their bytes, by reason."""

    documents: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, size: int) -> None:
        """Count one document of `size` bytes."""
        self.documents[reason] += 1
        self.bytes[reason] += size

    def add_all(self, documents: Counter[str], sizes: Counter[str]) -> None:
        """Add the counts of another place."""
        self.documents += documents
        self.bytes += sizes

    def about(self) -> dict[str, dict[str, int]]:
        """The counts in the order of the reasons."""
        return {
            reason: {"documents": count, "bytes": self.bytes[reason]}
            for reason, count in sorted(self.documents.items())
        }


def described(
    source: dict[str, Any],
    choices: Choices,
    held_out_percent: float,
    max_file_bytes: int | None,
    left_out: LeftOut,
    replaced: Counter[str],
) -> dict[str, Any]:
    """The entries of a manifest beside those of its shards.

    `source`: what the source says of itself. `max_file_bytes`: None where there is no such limit.
    `replaced`: places that got fillers, by kind.
    """
    near = choices.near_duplicates == "drop"
    versions = {"python": platform.python_version()}
    versions |= {package: _version(package) for package in (*PACKAGES, *["rensa"] * near)}
    taken = choices.about()
    return {
        "source": source,
        "held_out_percent": held_out_percent,
        **({} if max_file_bytes is None else {"max_file_bytes": max_file_bytes}),
        **({} if choices.filters else {"filters": False}),
        **({"steps": taken} if taken else {}),
        **({"replaced": dict(sorted(replaced.items()))} if replaced else {}),
        "rejected": left_out.about(),
        "versions": versions,
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
