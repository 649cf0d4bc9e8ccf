"""The host's state of one batch row: a completion that is being decoded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from bytelm.alphabet import EOD
from bytelm.decode.endings import find_stop, undecided

FinishReason = Literal["stop", "end_of_document", "length"]


@dataclass(frozen=True)
class Completion:
    """A finished completion."""

    text: bytes
    """The bytes after the prompt, without the stop that ended them."""
    finish_reason: FinishReason
    """`stop`, `end_of_document` (by the model), or `length` (max_bytes or a full context)."""
    forwards: int
    """The number of forward passes that gave it bytes or its end."""
    accepted: tuple[int, ...]
    """The bytes of each of these forwards that gave any. Their sum is len(text)."""
    accepted_ids: tuple[int, ...] = ()
    """How many ids each forward accepted: 1 each with one head. The end of document counts, and so
    do the bytes that a stop then cut off."""

    @property
    def accepted_bytes(self) -> int:
        """All accepted bytes, the end of document as one. `text` may have fewer."""
        return sum(self.accepted_ids)

    @property
    def bytes_per_forward(self) -> float:
        """The accepted bytes by the forward passes: exactly 1 with one head."""
        return bytes_per_forward([self])


def bytes_per_forward(completions: Iterable["Completion"]) -> float:
    """The accepted bytes of all completions by their forward passes; 0 if there were none."""
    found = list(completions)
    forwards = sum(completion.forwards for completion in found)
    return sum(completion.accepted_bytes for completion in found) / max(forwards, 1)


@dataclass
class Row:
    """A prompt that is being completed.

    `index`: the number of the completion. `show`: called with (index, piece) for final bytes.
    `before`: the bytes of the prompt in which a stop may begin.
    """

    index: int
    max_bytes: int
    stops: tuple[bytes, ...]
    show: Callable[[int, bytes], None] | None = None
    before: bytes = b""
    text: bytearray = field(default_factory=bytearray)
    accepted: list[int] = field(default_factory=list)
    accepted_ids: list[int] = field(default_factory=list)
    shown: int = 0
    finish_reason: FinishReason | None = None

    def __post_init__(self) -> None:
        longest = max((len(stop) for stop in self.stops), default=0)
        self.before = self.before[max(0, len(self.before) - longest + 1) :] if longest else b""

    def take(self, ids: list[int]) -> None:
        """Add the ids that one step accepted; sets `finish_reason` when the completion ends."""
        assert self.finish_reason is None
        assert ids
        seen = len(self.text)
        ended = ids[-1] == EOD
        self.text += bytes(ids[:-1] if ended else ids)
        self.accepted.append(len(self.text) - seen)
        self.accepted_ids.append(len(ids))
        # A block can contain a stop and exceed the length. Then the stop ends the completion.
        start = self._find_stop(seen) if self.stops else None
        if start is not None:
            self._cut(start)
            self.finish_reason = "stop"
        elif ended:
            self.finish_reason = "end_of_document"
        elif len(self.text) >= self.max_bytes:
            self.finish_reason = "length"
        self._stream()

    def _find_stop(self, seen: int) -> int | None:
        """The index in the text where the first stop begins; 0 if it begins in the prompt."""
        start = find_stop(self.before + self.text, self.stops, len(self.before) + seen)
        return None if start is None else max(0, start - len(self.before))

    def _cut(self, size: int) -> None:
        """Shorten the text, and the sizes in `accepted`, to `size` bytes."""
        extra = len(self.text) - size
        del self.text[size:]
        for block in range(len(self.accepted) - 1, -1, -1):
            taken = min(extra, self.accepted[block])
            self.accepted[block] -= taken
            extra -= taken

    def _stream(self) -> None:
        if self.show is None:
            return
        held = undecided(self.before + self.text, self.stops) if self.finish_reason is None else 0
        safe = max(0, len(self.text) - held)
        if safe > self.shown:
            self.show(self.index, bytes(self.text[self.shown : safe]))
            self.shown = safe

    def completion(self) -> Completion:
        """The finished completion."""
        assert self.finish_reason is not None
        accepted = tuple(length for length in self.accepted if length)
        return Completion(
            bytes(self.text),
            self.finish_reason,
            len(self.accepted),
            accepted,
            tuple(self.accepted_ids),
        )
