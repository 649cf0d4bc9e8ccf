"""`python -m eval speed`: bytes a forward and bytes a second by k and batch (paper, Table S3)."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from bytelm.toolkit import (
    Checkpoint,
    Completion,
    DecodeOptions,
    InputError,
    SamplingOptions,
    Split,
    cuts,
    generate,
    load_checkpoint,
    say,
    seal,
    write_json,
)

WINDOW = 32
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def distinct_windows(texts: list[bytes]) -> float:
    """The share of distinct 32-byte windows: low where a model loops, which flatters drafts."""
    windows = [text[at : at + WINDOW] for text in texts for at in range(len(text) - WINDOW + 1)]
    return len(set(windows)) / len(windows) if windows else 1.0


@dataclass
class Speed:
    """Measure self-speculation against plain decoding, and that the output is the same.

    Rounds alternate over k. A row's time is that of everything, prefill included; its speedup is
    the median over rounds of the ratio to k = 1 at the same batch. `identical` compares every byte
    with what k = 1 gave at the first batch size.
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    data: Path | None = None
    """Shard folder: prompts are cut from its held-out documents."""
    text: Path | None = None
    """A file to cut prompts from, instead of --data."""
    out: Path | None = None
    """Also write the figures to this JSON file."""
    heads: tuple[int, ...] = (1, 2, 4, 8)
    """The k to compare; 1 comes first, it is what the others are compared with."""
    batches: tuple[int, ...] = (16, 1)
    """Batch sizes."""
    prompts: int = 48
    """Prompts for the largest batch: more than it has rows, or the last would run alone."""
    prompt_bytes: int = 1024
    """Bytes of a prompt."""
    max_bytes: int = 1024
    """Bytes of a completion."""
    rounds: int = 2
    """Times that each row is measured."""
    gate: float | None = None
    """As in `python -m bytelm generate`; 0 feeds every draft."""
    temperature: float = 0.0
    """Above 0: sampling, under the rule that gives the same text at every k."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of weights, keys and values."""
    prompts_per_row: int = 4
    """A batch takes at most this many times its size of prompts."""
    engine: Literal["auto", "native", "compiled", "eager"] = "auto"
    """As in `python -m bytelm generate`."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> dict[str, Any]:
        checkpoint = load_checkpoint(self.checkpoint, self.device, DTYPES[self.dtype])
        heads = sorted(set(self.heads) | {1})
        for k in heads:
            DecodeOptions(self.max_bytes, k).check(checkpoint.config.prediction_heads)
        if min(self.batches, default=0) < 1 or min(self.prompts, self.rounds) < 1:
            raise InputError("--batches, --prompts and --rounds must be at least 1")
        prompts = self._prompts()
        generate(checkpoint.model, prompts[:1], DecodeOptions(16, heads[-1], 1, engine=self.engine))
        started = time.monotonic()
        rows: list[dict[str, Any]] = []
        reference: list[bytes] = []
        total = len(self.batches) * self.rounds * len(heads)
        with tqdm(total=total, desc="speed", unit=" runs", dynamic_ncols=True) as bar:
            for batch in self.batches:
                found = self._batch(checkpoint, prompts, heads, batch, bar)
                reference = reference or [c.text for c in found[1][0]]
                rows += [self._row(k, batch, found, reference) for k in heads]
        figures = {
            "rows": rows,
            "rounds": self.rounds,
            "dtype": self.dtype,
            "gate": self.gate,
            "temperature": self.temperature,
            "engine": self.engine,
            "seconds": round(time.monotonic() - started, 3),
            "checkpoint": str(checkpoint.folder),
            "checkpoint_sha256": checkpoint.sha256,
        }
        if self.out is not None:
            write_json(self.out, seal(figures))
        for row in rows:
            same = "identical" if row["identical"] else "DIFFERENT"
            forward, rate = row["bytes_per_forward"], row["bytes_per_s"]
            say(
                f"batch {row['batch']:3d}  k {row['k']:2d}  {forward:5.2f} bytes a forward  "
                f"{rate:7.0f} bytes/s  {row['speedup']:5.2f}x  {same}"
            )
        return figures

    def _prompts(self) -> list[bytes]:
        if (self.data is None) == (self.text is None):
            raise InputError("give either --data or --text")
        if self.data is not None:
            return Split(self.data, "held_out").cuts(self.prompts, self.prompt_bytes)
        assert self.text is not None
        try:
            return cuts(self.text.read_bytes(), self.prompts, self.prompt_bytes, str(self.text))
        except OSError as error:
            raise InputError(f"--text {self.text}: {error.strerror}") from error

    def _batch(
        self,
        checkpoint: Checkpoint,
        prompts: list[bytes],
        heads: list[int],
        batch: int,
        bar: "tqdm[Any]",
    ) -> dict[int, tuple[list[Completion], list[float]]]:
        chosen = prompts[: min(len(prompts), self.prompts_per_row * batch)]
        found: dict[int, tuple[list[Completion], list[float]]] = {}
        for _ in range(self.rounds):
            for k in heads:
                begun = time.perf_counter()
                sampling = SamplingOptions(self.temperature)
                options = DecodeOptions(
                    self.max_bytes, k, batch, sampling=sampling, gate=self.gate, engine=self.engine
                )
                completions = generate(checkpoint.model, chosen, options)
                seconds = time.perf_counter() - begun
                found.setdefault(k, (completions, []))[1].append(seconds)
                size = sum(len(completion.text) for completion in completions)
                bar.set_postfix_str(f"batch {batch}, k {k}: {size / seconds:.0f} bytes/s")
                bar.update()
        return found

    def _row(
        self,
        k: int,
        batch: int,
        found: dict[int, tuple[list[Completion], list[float]]],
        reference: list[bytes],
    ) -> dict[str, Any]:
        completions, seconds = found[k]
        texts = [completion.text for completion in completions]
        size, forwards = sum(map(len, texts)), sum(c.forwards for c in completions)
        ratios = [plain / own for plain, own in zip(found[1][1], seconds, strict=True)]
        lengths = [0] * k
        for completion in completions:
            for length in completion.accepted:
                lengths[length - 1] += 1
        return {
            "k": k,
            "batch": batch,
            "bytes_per_forward": size / max(forwards, 1),
            "bytes_per_s": size / statistics.median(seconds),
            "speedup": statistics.median(ratios),
            "share": statistics.median(ratios) * forwards / max(size, 1),
            "speedup_range": [min(ratios), max(ratios)],
            "identical": all(a == b for a, b in zip(texts, reference, strict=False)),
            "accepted_lengths": lengths,
            "distinct_windows": distinct_windows(texts),
            "prompts": len(texts),
            "prompt_bytes": self.prompt_bytes,
            "max_bytes": self.max_bytes,
        }
