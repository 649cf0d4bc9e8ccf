"""Training or held out: by a hash of a document's name, or of its package's."""

import hashlib
from collections import Counter
from collections.abc import Iterable

from bytelm.toolkit import InputError, ShardWriter
from data.walk import Found


def share_of(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(name: str, held_out_percent: float) -> str:
    """`train` or `held_out`, by a hash of the name.

    A document stays in its split when other documents are added or removed.
    """
    return "held_out" if 100 * share_of(name) < held_out_percent else "train"


def splits_of_groups(names: Iterable[str], held_out_percent: float) -> dict[str, str]:
    """The split of each of at least two groups of documents, such as packages.

    Where one split would stay empty, the group whose hash is nearest moves there.
    """
    splits = {name: split_of(name, held_out_percent) for name in names}
    if len(set(splits.values())) == 1 and len(splits) > 1:
        if "train" in splits.values():
            splits[min(splits, key=share_of)] = "held_out"
        else:
            splits[max(splits, key=share_of)] = "train"
    return splits


class Sink:
    """Writes documents to their splits, and makes sure that neither split stays empty.

    The first document is written last. It goes to the split that is still empty, if there is one,
    and else to the split of its name.
    """

    def __init__(self, writer: ShardWriter, held_out_percent: float) -> None:
        self.writer, self.percent = writer, held_out_percent
        self.first: Found | None = None
        self.counts: Counter[str] = Counter()
        self.stage = 0

    def add(self, document: Found) -> None:
        """Write a document."""
        if self.first is None:
            self.first = document
            return
        self._write(document.split or split_of(document.name, self.percent), document)

    def _write(self, split: str, document: Found) -> None:
        if document.stage > self.stage:
            self.stage = document.stage
            self.writer.begin_stage("train")
        self.writer.add(split, document.name, document.content)
        self.counts[split] += 1

    def finish(self, rejected: Counter[str]) -> None:
        """Write the first document. Raises InputError if there is none, or no other."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        left_out = f"left out: {reasons or 'none'}"
        if self.first is None:
            raise InputError(f"no document to build shards of ({left_out})")
        if not self.counts:
            raise InputError(
                f"one document alone ({self.first.name}) cannot be split into training and "
                f"held-out data ({left_out})"
            )
        missed = [split for split in ("train", "held_out") if not self.counts[split]]
        own = self.first.split or split_of(self.first.name, self.percent)
        self._write(missed[0] if missed else own, self.first)
