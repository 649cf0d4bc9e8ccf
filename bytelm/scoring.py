"""Bits per byte of every head on documents, and a forecast of how many drafts are accepted.

A long document is cut into segments of at most the context, which overlap by the model's window or
by half the context. Each position is scored once, with at least so many earlier positions in view,
or all that there are. Head i is scored on every symbol that it predicts inside the document: its
bytes and the end of document.

The forecast is teacher-forced. It walks over the true text in blocks, as the decoder would. A block
accepts head i's draft while it equals head 1's prediction for the same position. The mean size of
the blocks is the forecast of bytes per forward.

Shapes: B batch row, T position in segment, n prediction heads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from bytelm.alphabet import BOS, EOD, PAD
from bytelm.base import ranks
from bytelm.files.streams import progress_bar
from bytelm.model.layers import Attend
from bytelm.model.model import Model
from bytelm.training.native.attend import native_attention

LN2 = 0.6931471805599453


@dataclass
class Score:
    """The scores of all heads on some documents.

    `bits_DN` and `symbols_DN`: the sum of bits and the number of predicted symbols, by document
    and head. `blocks[k][j]`: how many blocks gave j + 1 bytes in the forecast with k heads.
    """

    bits_DN: npt.NDArray[np.float64]
    symbols_DN: npt.NDArray[np.int64]
    blocks: dict[int, list[int]] = field(default_factory=dict)

    @property
    def forecast(self) -> dict[int, float]:
        """The forecast of bytes per forward, by the number k of heads."""
        return {
            width: sum(size * count for size, count in enumerate(counts, 1)) / max(sum(counts), 1)
            for width, counts in self.blocks.items()
        }

    @property
    def accepted(self) -> list[int]:
        """How many blocks gave 1, 2, ..., n bytes in the forecast with all heads."""
        return self.blocks[max(self.blocks)]

    def heads_bpb(self) -> list[float]:
        """Bits per byte of each head over all documents."""
        totals = self.bits_DN.sum(0) / np.maximum(self.symbols_DN.sum(0), 1)
        return [float(value) for value in totals]

    def check_finite(self, model: Model) -> None:
        """Raise InputError if a head of `model` gave logits that are not finite."""
        for head, bits in enumerate(self.bits_DN.sum(0), 1):
            if not np.isfinite(bits):
                raise model.overflow(head)

    def document_bpb(self, index: int) -> list[float]:
        """Bits per byte of each head on one document."""
        row = self.bits_DN[index] / np.maximum(self.symbols_DN[index], 1)
        return [float(value) for value in row]


@dataclass(frozen=True)
class _Segment:
    document: int
    start: int  # position of the segment's first id in the document
    skip: int  # leading positions that an earlier segment has scored
    length: int


def _segments(lengths: Sequence[int], size: int, overlap: int) -> list[_Segment]:
    found = []
    for document, length in enumerate(lengths):
        start = skip = 0
        while True:
            found.append(_Segment(document, start, skip, min(size, length - start)))
            if start + size >= length:
                break
            start, skip = start + size - overlap, overlap
    # Segments of similar length share a batch, which keeps padding small.
    return sorted(found, key=lambda segment: -segment.length)


# Not inference_mode: sharded layers keep gathered tensors, and training could not use those later.
@torch.no_grad()
def score_documents(
    model: Model,
    documents: Sequence[bytes],
    batch: int = 8,
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> Score:
    """Score `documents` with every head of `model`; the module's docstring says what is counted.

    `batch`: segments of a forward. `dtype`: with bfloat16, matrix products run under autocast.
    `progress`: show a progress bar on stderr.
    """
    n = model.config.prediction_heads
    streams = [np.array([BOS, *text, EOD], dtype=np.int64) for text in documents]
    view = model.config.window or model.config.context // 2
    size = min(4 * view, model.config.context)
    overlap = min(view, size // 2)
    segments = _segments([len(stream) - 1 for stream in streams], size, overlap)
    score = Score(np.zeros((len(documents), n)), np.zeros((len(documents), n), dtype=np.int64))
    guesses = [np.zeros((n, len(stream) - 1), dtype=np.int16) for stream in streams]
    total = sum(segment.length - segment.skip for segment in segments)
    device = model.embedding.weight.device
    # Sharded layers are run as they are in training.
    attend = None if ranks.launched() else native_attention(model)
    with progress_bar(
        total=total, unit="B", unit_scale=True, desc="scoring", disable=not progress, leave=False
    ) as bar:
        for first in range(0, len(segments), batch):
            group = segments[first : first + batch]
            with torch.autocast(device.type, torch.bfloat16, dtype == torch.bfloat16):
                bits_nBT, guesses_nBT = _run(model, streams, group, attend)
            for row, segment in enumerate(group):
                _collect(score, guesses, streams, segment, bits_nBT[:, row], guesses_nBT[:, row])
            bar.update(sum(segment.length - segment.skip for segment in group))
    _forecast(score, guesses, n)
    return score


def score_on_ranks(model: Model, documents: Sequence[bytes], batch: int, progress: bool) -> Score:
    """`score_documents`, with the documents divided among the ranks. Every rank returns all scores.

    A document's bits may differ in the last digits from those of one process, since the document
    shares its batch with other documents. Raises InputError for logits that are not finite.
    """

    def score(part: list[int]) -> Score:
        texts = [documents[index] for index in part]
        return score_documents(model, texts, batch, progress=progress and ranks.is_first())

    return divided(model, [len(document) for document in documents], score)


def divided(model: Model, sizes: Sequence[int], score: Callable[[list[int]], Score]) -> Score:
    """The scores of all texts, which the ranks divide. Every rank returns all of them.

    `sizes`: of the texts. `score`: scores the texts of these numbers. Raises InputError for logits
    that are not finite.
    """
    if ranks.world_size() == 1:
        alone = score(list(range(len(sizes))))
        alone.check_finite(model)
        return alone
    # The longest first, so that the ranks get about equal work.
    mine = ranks.share(sorted(range(len(sizes)), key=lambda index: -sizes[index]))
    whole = np.zeros((len(sizes), model.config.prediction_heads))
    total = Score(whole, whole.astype(np.int64))
    for theirs, other in ranks.gather_objects((mine, score(mine))):
        if theirs:
            total.bits_DN[theirs], total.symbols_DN[theirs] = other.bits_DN, other.symbols_DN
        for width, counts in other.blocks.items():
            before = total.blocks.get(width, [0] * width)
            total.blocks[width] = [one + more for one, more in zip(before, counts, strict=True)]
    total.check_finite(model)
    return total


def _run(
    model: Model,
    streams: Sequence[npt.NDArray[np.int64]],
    group: Sequence[_Segment],
    attend: Attend | None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int16]]:
    n, T = model.config.prediction_heads, group[0].length
    ids = np.full((len(group), T + n), PAD, dtype=np.int64)
    for row, segment in enumerate(group):
        piece = streams[segment.document][segment.start : segment.start + T + n]
        ids[row, : len(piece)] = piece
    ids_BT = torch.from_numpy(ids).to(model.embedding.weight.device)
    output = model(ids_BT[:, :T], attend=attend)
    bits, guesses = [], []
    for head in range(n):
        logits = model.logits(output, head).float()
        labels_BT = ids_BT[:, head + 1 : head + 1 + T]
        nats = F.cross_entropy(logits.transpose(1, 2), labels_BT, reduction="none")
        bits.append((nats.double() / LN2).cpu().numpy())
        guesses.append(logits.argmax(-1).to(torch.int16).cpu().numpy())
    return np.stack(bits), np.stack(guesses)


def _collect(
    score: Score,
    guesses: list[npt.NDArray[np.int16]],
    streams: Sequence[npt.NDArray[np.int64]],
    segment: _Segment,
    bits_nT: npt.NDArray[np.float64],
    guesses_nT: npt.NDArray[np.int16],
) -> None:
    length = len(streams[segment.document])
    fresh = slice(segment.skip, segment.length)
    begin, end = segment.start + segment.skip, segment.start + segment.length
    guesses[segment.document][:, begin:end] = guesses_nT[:, fresh]
    for head in range(len(bits_nT)):
        # The label of position t, at t + head + 1, must lie in the document.
        count = max(0, min(end, length - head - 1) - begin)
        row = bits_nT[head, segment.skip : segment.skip + count]
        score.bits_DN[segment.document, head] += float(row.sum())
        score.symbols_DN[segment.document, head] += count


def accepted_lengths(guesses_nT: npt.NDArray[np.int16], width: int) -> tuple[list[int], int]:
    """Walk one document in blocks of up to `width` bytes, as the decoder would.

    `guesses_nT`: each head's most probable id at every position. Returns how many blocks gave
    1, 2, ..., `width` bytes, and the number of positions.
    """
    counts, at, length = [0] * width, 0, guesses_nT.shape[1]
    while at < length:
        taken = 1
        while (
            taken < width
            and at + taken < length
            and guesses_nT[taken, at] == guesses_nT[0, at + taken]
        ):
            taken += 1
        counts[taken - 1] += 1
        at += taken
    return counts, length


def _forecast(score: Score, guesses: list[npt.NDArray[np.int16]], n: int) -> None:
    for width in [k for k in (1, 2, 4, 8, 16, 32) if k < n] + [n]:
        totals = np.zeros(width, dtype=np.int64)
        for guess in guesses:
            totals += accepted_lengths(guess, width)[0]
        score.blocks[width] = [int(count) for count in totals]
