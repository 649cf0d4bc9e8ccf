"""`python -m eval peers`: bytes a second of bytelm beside llama.cpp and transformers, same weights.

Shapes: B batch row, T position in block, V id.
"""

import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from bytelm.toolkit import Checkpoint, InputError, Split, say, seal, write_json
from eval.measure.engines import (
    BOS,
    BYTES,
    Answer,
    Dtype,
    Peer,
    check_available,
    load_model,
    open_engine,
    versions,
)
from eval.measure.speed import DTYPES

PLAIN, PEER = "bytelm-plain", "llama.cpp"


@dataclass
class Runs:
    """What an engine gave in one type: its last answers, and the seconds of every round."""

    answers: list[Answer] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    prefills_s: list[float | None] = field(default_factory=list)

    def add(self, answers: list[Answer], seconds: float) -> None:
        self.answers = answers
        self.seconds.append(seconds)
        self.sizes.append(sum(len(answer.text) for answer in answers))
        told = [answer.prefill_s for answer in answers if answer.prefill_s is not None]
        self.prefills_s.append(sum(told) if told else None)

    def rates(self) -> list[float]:
        """Bytes a second of each round."""
        return [size / s for size, s in zip(self.sizes, self.seconds, strict=True)]


def first_difference(
    texts: list[bytes], reference: list[bytes], prompts: list[bytes], model: Any, dtype: str
) -> dict[str, Any] | None:
    """Where `texts` first leave `reference`, and how close the choice was; None where they do not.

    Compared up to the shorter of two. `gap` is how far apart the logits of the two likeliest bytes
    are there, by the float32 `model` with the reference as its past; `gap_ulps` counts it in steps
    of `dtype` at the greater of the two.
    """
    for index, (text, wanted) in enumerate(zip(texts, reference, strict=True)):
        pairs = enumerate(zip(text, wanted, strict=False))
        offset = next((at for at, (one, other) in pairs if one != other), None)
        if offset is not None:
            top, second = _two_top_logits(model, prompts[index] + wanted[:offset])
            step = torch.finfo(DTYPES[dtype]).eps * 2.0 ** math.floor(math.log2(abs(top) or 1.0))
            gap = top - second
            return {"prompt": index, "offset": offset, "gap": gap, "gap_ulps": gap / step}
    return None


def _two_top_logits(model: Any, past: bytes) -> tuple[float, float]:
    ids_BT = torch.tensor([[BOS, *past]])
    with torch.inference_mode():
        logits_BTV = model.logits(model(ids_BT))
    top, second = logits_BTV[0, -1, :BYTES].topk(2).values.tolist()
    return top, second


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch with `count` threads, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class Peers:
    """Measure greedy decoding beside other engines: same weights, prompts, machine and threads.

    One prompt at a time. Rounds alternate over the engines, in turned order every other time. A
    row's time is that of everything, prefill included; its ratio is the median over rounds of its
    bytes a second by llama.cpp's in the same type. `identical` compares with plain decoding by
    bytelm in float32; where it does not hold, the row says how close the first other choice was.
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints, that `python -m bytelm export` takes."""
    data: Path
    """Shard folder: prompts are cut from its held-out documents."""
    out: Path | None = None
    """Also write the figures to this JSON file."""
    prompts: int = 4
    """Prompts, completed one after another."""
    prompt_bytes: int = 1024
    """Bytes of a prompt."""
    max_bytes: int = 1024
    """Bytes of a completion."""
    rounds: int = 3
    """Times that each row is measured."""
    threads: int = 1
    """Threads of every engine."""
    dtypes: tuple[Literal["bfloat16", "float32"], ...] = ("bfloat16", "float32")
    """Types of the weights."""
    engines: tuple[Literal["bytelm", "bytelm-plain", "llama.cpp", "transformers"], ...] = (
        "bytelm",
        "bytelm-plain",
        "llama.cpp",
        "transformers",
    )
    """The engines to compare."""

    def run(self) -> dict[str, Any]:
        for name in ("prompts", "prompt_bytes", "max_bytes", "rounds", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} must be at least 1")
        if not self.dtypes or not self.engines:
            raise InputError("--dtypes and --engines name at least one each")
        check_available(self.engines)
        split = Split(self.data, "held_out")
        prompts = split.cuts(self.prompts, self.prompt_bytes)
        exact = load_model(self.checkpoint, "float32")
        self._check_fits(exact)
        started = time.monotonic()
        rows: list[dict[str, Any]] = []
        total = 1 + len(self.dtypes) * len(self.engines) * self.rounds
        with (
            torch_threads(self.threads),
            tempfile.TemporaryDirectory(prefix="bytelm-peers-") as scratch,
            tqdm(total=total, desc="peers", unit=" runs", dynamic_ncols=True) as bar,
        ):
            # Measuring comes first: it is there that a model may be refused.
            found = {
                dtype: self._measure(exact, dtype, prompts, Path(scratch), bar)
                for dtype in self.dtypes
            }
            plain = open_engine(PLAIN, exact, "float32", self.threads, 0, Path(scratch))
            reference = [plain.complete(prompt, self.max_bytes).text for prompt in prompts]
            bar.update()
            for dtype, measured in found.items():
                for name, runs in measured.items():
                    row = self._row(name, dtype, runs, measured.get(PEER))
                    texts = [answer.text for answer in runs.answers]
                    other = first_difference(texts, reference, prompts, exact.model, dtype)
                    rows.append({**row, "identical": other is None, "first_difference": other})
            figures = {
                "rows": rows,
                "rounds": self.rounds,
                "threads": self.threads,
                "seconds": round(time.monotonic() - started, 3),
                "peer_versions": versions(self.engines),
                "checkpoint": str(exact.folder),
                "checkpoint_sha256": exact.sha256,
                "data_sha256": split.sha256,
            }
            if self.out is not None:
                write_json(self.out, seal(figures))
        say(table(rows))
        return figures

    def _check_fits(self, checkpoint: Checkpoint) -> None:
        needed = 1 + self.prompt_bytes + self.max_bytes
        if needed > checkpoint.config.context:
            raise InputError(
                f"--prompt-bytes {self.prompt_bytes} and --max-bytes {self.max_bytes} need "
                f"{needed} positions, and the model's context has {checkpoint.config.context}"
            )

    def _measure(
        self, exact: Checkpoint, dtype: Dtype, prompts: list[bytes], scratch: Path, bar: "tqdm[Any]"
    ) -> dict[str, Runs]:
        checkpoint = exact if dtype == "float32" else load_model(exact.folder, dtype)
        context = checkpoint.config.context
        engines: dict[str, Peer] = {
            name: open_engine(name, checkpoint, dtype, self.threads, context, scratch)
            for name in self.engines
        }
        for engine in engines.values():
            engine.complete(prompts[0], min(16, self.max_bytes))
        found = {name: Runs() for name in engines}
        for turn in range(self.rounds):
            order = list(engines) if turn % 2 == 0 else list(engines)[::-1]
            for name in order:
                begun = time.perf_counter()
                answers = [engines[name].complete(prompt, self.max_bytes) for prompt in prompts]
                found[name].add(answers, time.perf_counter() - begun)
                rate = found[name].rates()[-1]
                bar.set_postfix_str(f"{dtype}, {name}: {rate:.0f} bytes/s")
                bar.update()
        return found

    def _row(self, name: str, dtype: str, runs: Runs, peer: Runs | None) -> dict[str, Any]:
        rates = runs.rates()
        ratios = [a / b for a, b in zip(rates, peer.rates(), strict=True)] if peer else []
        told = [prefill_s for prefill_s in runs.prefills_s if prefill_s is not None]
        return {
            "engine": name,
            "dtype": dtype,
            "batch": 1,
            "prompts": len(runs.answers),
            "prompt_bytes": self.prompt_bytes,
            "bytes": runs.sizes[-1],
            "seconds": statistics.median(runs.seconds),
            "bytes_per_s": statistics.median(rates),
            "prefill_s": statistics.median(told) if told else None,
            "ratio_to_llamacpp": statistics.median(ratios) if ratios else None,
            "ratio_range": [min(ratios), max(ratios)] if ratios else None,
        }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for a person."""
    lines = [f"{'engine':14}{'type':10}{'bytes/s':>8}  {'llama.cpp = 1':>22}  identical"]
    for row in rows:
        ratio = "-"
        if row["ratio_range"] is not None:
            low, high = row["ratio_range"]
            ratio = f"{row['ratio_to_llamacpp']:.2f} ({low:.2f} to {high:.2f})"
        same, other = "yes", row["first_difference"]
        if other is not None:
            same = (
                f"to byte {other['offset']} of prompt {other['prompt']}, where the choice was by "
                f"{other['gap']:.2g} ({other['gap_ulps']:.1f} ulps)"
            )
        rate = f"{row['bytes_per_s']:.0f}"
        lines.append(f"{row['engine']:14}{row['dtype']:10}{rate:>8}  {ratio:>22}  {same}")
    return "\n".join(lines)
