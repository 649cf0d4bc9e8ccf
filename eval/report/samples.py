"""Sample completions for the report: which ones, and their bytes as blocks to colour.

A block is what one forward pass gave. Blocks end anywhere, inside a UTF-8 character too; such a
character is shown in the block in which it begins.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.measure.text import distinct_windows
from eval.records import Sample
from eval.suites.problems import Problem

SHOWN_BYTES = 720


@dataclass(frozen=True)
class Block:
    """Bytes that one forward gave; `known` is False where the sample does not say which did."""

    content: bytes
    known: bool = True


@dataclass(frozen=True)
class Shown:
    """A sample as the page shows it; `prompt` is None where its problem is not known."""

    suite: str
    task_id: str
    prompt: str | None
    blocks: tuple[Block, ...]
    finish_reason: str | None
    result: str | None

    @property
    def content(self) -> bytes:
        """The completion's bytes."""
        return b"".join(block.content for block in self.blocks)

    @property
    def known(self) -> list[Block]:
        """The blocks that are each of one forward."""
        return [block for block in self.blocks if block.known]

    @property
    def distinct(self) -> float:
        """The share (0 to 1) of distinct windows in the completion."""
        return distinct_windows([self.content])


def split_blocks(content: bytes, accepted: object) -> list[Block]:
    """`content` cut into accepted blocks; together they are `content`, whatever `accepted` says.

    `accepted` is a list of lengths in bytes, in order. If they end early, the rest is one block
    that is not `known`. If they reach too far (the completion was trimmed at a stop), they are cut.
    """
    lengths = accepted if isinstance(accepted, list) else []
    blocks, at = [], 0
    for length in lengths:
        if at >= len(content) or type(length) is not int or length <= 0:
            break
        blocks.append(Block(content[at : at + length]))
        at += length
    if at < len(content):
        blocks.append(Block(content[at:], known=False))
    return blocks


def choose(
    samples: Mapping[str, Sequence[Sample]],
    problems: Mapping[str, Sequence[Problem]],
    count: int = 3,
) -> list[Shown]:
    """Up to `count` samples, suites in the order given: one that passed if any did, then one of
    each finish reason (of median length), then tasks spread evenly over the first suite.
    """
    pool = [(suite, row) for suite, rows in samples.items() for row in rows]
    chosen: list[int] = [i for i, (_, row) in enumerate(pool) if row.passed is True][:1]
    first = next((suite for suite, rows in samples.items() if rows), None)
    main = [i for i, (suite, _) in enumerate(pool) if suite == first]
    reasons = Counter(pool[i][1].finish_reason for i in main)
    seen = {pool[i][1].finish_reason for i in chosen}
    for reason, _ in reasons.most_common():
        if reason not in seen:
            same = [i for i in main if pool[i][1].finish_reason == reason]
            same.sort(key=lambda i: len(pool[i][1].content))
            chosen.append(same[len(same) // 2])
    spread = [main[(2 * part + 1) * len(main) // (2 * count)] for part in range(count) if main]
    chosen = list(dict.fromkeys([*chosen, *spread, *range(len(pool))]))[:count]
    prompts = {(suite, p.task_id): p.prompt for suite, ps in problems.items() for p in ps}
    return [_shown(*pool[i], prompts) for i in chosen]


def _shown(suite: str, row: Sample, prompts: Mapping[tuple[str, str], str]) -> Shown:
    return Shown(
        suite=suite,
        task_id=row.task_id,
        prompt=prompts.get((suite, row.task_id)),
        blocks=tuple(split_blocks(row.content, row.accepted)),
        finish_reason=row.finish_reason,
        result=row.result,
    )


def pieces(content: bytes) -> list[tuple[str, int]]:
    """`content` as (text to show, bytes): one character each, or one byte that is not UTF-8.

    Newline and tab stay. Bytes that are not UTF-8 become escapes such as `\\x00`, and so does what
    cannot be seen or would disturb the page: control characters, marks of direction.
    """
    found = []
    # surrogateescape keeps each wrong byte apart, as U+DC80 + its low bits.
    for character in content.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            found.append((f"\\x{code - 0xDC00:02x}", 1))
            continue
        size = len(character.encode("utf-8"))
        if character.isprintable() or character in "\n\t":
            found.append((character, size))
        elif code < 0x80:
            found.append((f"\\x{code:02x}", size))
        else:
            found.append((f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}", size))
    return found


def block_pieces(blocks: Sequence[Block]) -> list[list[tuple[str, int]]]:
    """For each block the pieces that begin in it; one that only ends a character gets none."""
    ends, at = [], 0
    for block in blocks:
        at += len(block.content)
        ends.append(at)
    found: list[list[tuple[str, int]]] = [[] for _ in blocks]
    position = index = 0
    for text, size in pieces(b"".join(block.content for block in blocks)):
        while position >= ends[index]:
            index += 1
        found[index].append((text, size))
        position += size
    return found


@dataclass(frozen=True)
class Drawn:
    """A block as the page draws it."""

    length: int
    """Bytes of the whole block."""
    known: bool
    texts: tuple[str, ...]
    """What to show: one character each, or one escape."""


@dataclass(frozen=True)
class Excerpt:
    """The blocks that begin within a limit, and how much was cut behind them."""

    drawn: tuple[Drawn, ...]
    cut_blocks: int
    cut_bytes: int


def excerpt(blocks: Sequence[Block], limit: int = SHOWN_BYTES) -> Excerpt:
    """The blocks that begin within the first `limit` bytes."""
    drawn: list[Drawn] = []
    size = 0
    for block, found in zip(blocks, block_pieces(blocks), strict=True):
        if size >= limit:
            break
        # A block of unknown forwards is all the rest of a completion; the others are short.
        kept = found if block.known else found[: limit - size]
        size += sum(count for _, count in kept)
        drawn.append(Drawn(len(block.content), block.known, tuple(text for text, _ in kept)))
    total = sum(len(block.content) for block in blocks)
    return Excerpt(tuple(drawn), len(blocks) - len(drawn), total - size)
