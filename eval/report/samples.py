"""Sample completions for the report: which ones, and their bytes as coloured runs.

A run is what one forward pass gave: a block of accepted bytes. Blocks end anywhere, in the middle
of a UTF-8 character too; such a character is drawn in the block in which it begins.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.measure.text import distinct_windows
from eval.report.html import escape, missing
from eval.report.input import completion_bytes, is_count
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
    forwards: int | None

    @property
    def content(self) -> bytes:
        return b"".join(block.content for block in self.blocks)


def split_blocks(content: bytes, accepted: object) -> list[Block]:
    """`content` cut into accepted blocks; together they are `content`, whatever `accepted` says.

    `accepted` are lengths in bytes, in order. Where they end early the rest is one block that is
    not `known`; where they reach too far (the completion was trimmed at a stop) they are cut.
    """
    lengths = accepted if isinstance(accepted, list) else []
    blocks, at = [], 0
    for length in lengths:
        if at >= len(content) or not is_count(length) or length == 0:
            break
        blocks.append(Block(content[at : at + length]))
        at += length
    if at < len(content):
        blocks.append(Block(content[at:], known=False))
    return blocks


def choose(
    samples: Mapping[str, Sequence[dict[str, Any]]],
    problems: Mapping[str, Sequence[Problem]],
    count: int = 3,
) -> list[Shown]:
    """Up to `count` samples, suites in the order given: one that passed if any did, then one of
    each finish reason (of median length), then tasks spread evenly over the first suite.
    """
    pool = [(suite, row) for suite, rows in samples.items() for row in rows]
    chosen: list[int] = [i for i, (_, row) in enumerate(pool) if row.get("passed") is True][:1]
    first = next((suite for suite, rows in samples.items() if rows), None)
    main = [i for i, (suite, _) in enumerate(pool) if suite == first]
    reasons = Counter(str(pool[i][1].get("finish_reason")) for i in main)
    seen = {str(pool[i][1].get("finish_reason")) for i in chosen}
    for reason, _ in reasons.most_common():
        if reason not in seen:
            same = [i for i in main if str(pool[i][1].get("finish_reason")) == reason]
            same.sort(key=lambda i: len(completion_bytes(pool[i][1])))
            chosen.append(same[len(same) // 2])
    spread = [main[(2 * part + 1) * len(main) // (2 * count)] for part in range(count) if main]
    chosen = list(dict.fromkeys([*chosen, *spread, *range(len(pool))]))[:count]
    prompts = {(suite, p.task_id): p.prompt for suite, ps in problems.items() for p in ps}
    return [_shown(suite, row, prompts) for suite, row in (pool[i] for i in chosen)]


def _shown(suite: str, row: Mapping[str, Any], prompts: Mapping[tuple[str, str], str]) -> Shown:
    forwards = row.get("forwards")
    return Shown(
        suite=suite,
        task_id=row["task_id"],
        prompt=prompts.get((suite, row["task_id"])),
        blocks=tuple(split_blocks(completion_bytes(row), row.get("accepted"))),
        finish_reason=row.get("finish_reason"),
        result=row.get("result"),
        forwards=forwards if is_count(forwards) else None,
    )


def pieces(content: bytes) -> list[tuple[str, int]]:
    """`content` as (what to show, bytes): one character each, or one byte that is not UTF-8.

    Newline and tab stay; what would not be seen, or would disturb the page (control characters,
    marks of direction), and bytes that are not UTF-8, become escapes such as `\\x00`.
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


def render_blocks(blocks: Sequence[Block], limit: int = SHOWN_BYTES) -> str:
    """HTML of the blocks that begin within `limit` bytes: a span each, classed by its length."""
    spans: list[str] = []
    size = 0
    for block, found in zip(blocks, block_pieces(blocks), strict=True):
        if size >= limit:
            break
        # A block of unknown forwards is all the rest of a completion; the others are short.
        kept = found if block.known else found[: limit - size]
        size += sum(count for _, count in kept)
        inner = _inner([text for text, _ in kept])
        length = len(block.content)
        if block.known:
            title = f"{length} byte{'s' * (length != 1)} in one forward"
            spans.append(f'<span class="b b{min(length, 8)}" title="{title}">{inner}</span>')
        else:
            spans.append(f'<span class="b0">{inner}</span>')
    total = sum(len(block.content) for block in blocks)
    if size < total:
        more = f"{len(blocks) - len(spans)} more blocks, " * (len(blocks) > len(spans))
        spans.append(f'<span class="cut">\n… cut here: {more}{total - size} more bytes</span>')
    return "".join(spans)


def _inner(texts: Sequence[str]) -> str:
    if not texts:
        return '<i class="rest"></i>'
    parts = []
    for text in texts:
        if text == "\n":
            parts.append('<i class="nl"></i>\n')
        elif len(text) > 1:
            parts.append(f'<i class="esc">{escape(text)}</i>')
        else:
            parts.append(escape(text))
    return "".join(parts)


def render_samples(shown: Sequence[Shown]) -> str:
    """The section of sample completions: prompt, blocks in colour, and what became of each."""
    title = "<h2>Completions, block by block</h2>"
    if not shown:
        return title + missing("The samples (results/humaneval.jsonl, results/micro.jsonl)")
    swatches = "".join(f'<span class="b b{n}">{n}</span>' for n in range(1, 9))
    longest = max(
        (len(block.content) for one in shown for block in one.blocks if block.known), default=8
    )
    legend = (
        f'<p class="legend">Bytes from one forward: {swatches}'
        f"{' (8 stands for more, too)' * (longest > 8)}</p>"
    )
    words = (
        '<p class="quiet">The prompt is grey; the model wrote what is on colour, a run of colour a '
        "forward. Chosen by rule: one that passed if any did, then one of each way to end, "
        "then tasks from across the suite.</p>"
    )
    return title + words + legend + "".join(_sample(one) for one in shown)


def _sample(one: Shown) -> str:
    content, known = one.content, [block for block in one.blocks if block.known]
    facts = [f"{len(content)} bytes in {len(known)} forwards" if known else f"{len(content)} bytes"]
    if one.finish_reason:
        facts.append(f"ended by {escape(one.finish_reason.replace('_', ' '))}")
    facts.append(f"{100 * distinct_windows([content]):.0f} % distinct text")
    if one.result is not None:
        mark = "yes" if one.result == "passed" else "no"
        facts.append(f'<span class="{mark}">{escape(one.result[:90])}</span>')
    prompt = one.prompt if one.prompt is not None else "(the prompt is not known here)\n"
    spans = "".join(f"<span>{fact}</span>" for fact in facts)
    return (
        f'<div class="sample"><div class="head"><b>{escape(one.task_id)}</b>{spans}</div>'
        f'<pre><span class="prompt">{escape(prompt)}</span>{render_blocks(one.blocks)}</pre></div>'
    )
