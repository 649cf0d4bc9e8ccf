"""`python -m eval sweep`: runs of different n beside one another, in bits, acceptance and speed."""

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bytelm.toolkit import (
    Checkpoint,
    DecodeOptions,
    InputError,
    SamplingOptions,
    Split,
    generate,
    load_checkpoint,
    say,
    score_documents,
    seal,
    write_json,
)
from eval.measure.speed import distinct_windows

WIDTHS = (2, 4, 8, 16, 32)


@dataclass
class Sweep:
    """Compare trained models that differ in their number of heads.

    Each is scored on the held-out documents, and writes completions with every draft fed: greedily,
    and by chance at a temperature of 0.8, where texts do not loop. Bytes a forward on the true text
    are what drafts would be accepted if head 1 said what stands there.
    """

    runs: tuple[Path, ...]
    """Run folders or checkpoints, in the order of the table."""
    data: Path
    """Shard folder whose held-out documents are scored and give the prompts."""
    out: Path | None = None
    """Also write the figures to this JSON file."""
    prompts: int = 24
    """Prompts for completions."""
    prompt_bytes: int = 512
    """Bytes of a prompt."""
    max_bytes: int = 512
    """Bytes of a completion."""

    def run(self) -> dict[str, Any]:
        if not self.runs:
            raise InputError("--runs names at least one run folder")
        started = time.monotonic()
        held_out = Split(self.data, "held_out")
        prompts = held_out.cuts(self.prompts, self.prompt_bytes)
        documents = [document.tobytes() for document in held_out]
        rows = []
        with tqdm(self.runs, desc="sweep", unit=" runs", dynamic_ncols=True) as bar:
            for path in bar:
                bar.set_postfix_str(str(path))
                rows.append(self._row(load_checkpoint(path), documents, prompts))
        figures = {
            "rows": rows,
            "held_out_bytes": sum(map(len, documents)),
            "held_out_sha256": held_out.sha256,
            "prompts": len(prompts),
            "max_bytes": self.max_bytes,
            "seconds": round(time.monotonic() - started, 1),
        }
        if self.out is not None:
            write_json(self.out, seal(figures))
        for line in sweep_table(rows):
            say(line)
        return figures

    def _row(
        self, checkpoint: Checkpoint, documents: list[bytes], prompts: list[bytes]
    ) -> dict[str, Any]:
        model, n = checkpoint.model, checkpoint.config.prediction_heads
        score = score_documents(model, documents, progress=True)
        widths = sorted({k for k in WIDTHS if k < n} | ({n} if n > 1 else set()))
        texts = {
            name: {str(k): self._written(model, prompts, k, temperature) for k in widths}
            for name, temperature in (("greedy", 0.0), ("sampled", 0.8))
        }
        return {
            "n": n,
            "head_kind": checkpoint.config.head_kind,
            "parameters": model.parameters_by_part(),
            "trained_bytes": checkpoint.progress.get("bytes"),
            "heads_bpb": score.heads_bpb(),
            "acceptance": acceptance(score.accepted),
            "true_text": {str(k): value for k, value in score.forecast.items() if k > 1},
            **texts,
            "checkpoint": str(checkpoint.folder),
            "checkpoint_sha256": checkpoint.sha256,
        }

    def _written(
        self, model: Any, prompts: list[bytes], k: int, temperature: float
    ) -> dict[str, float]:
        sampling = SamplingOptions(temperature, seed=1)
        options = DecodeOptions(self.max_bytes, k, len(prompts), sampling=sampling, gate=0.0)
        found = generate(model, prompts, options)
        size, forwards = (sum(c) for c in zip(*((len(c.text), c.forwards) for c in found),
                                              strict=True))  # fmt: skip
        return {
            "bytes_per_forward": size / max(forwards, 1),
            "distinct_windows": distinct_windows([c.text for c in found]),
        }


def acceptance(blocks: list[int]) -> list[float]:
    """Of the drafts of heads 2, 3, ..., the share accepted where all before them were.

    `blocks[j]`: blocks that gave j + 1 bytes.
    """
    reached = [sum(blocks[j:]) for j in range(len(blocks))]
    return [after / before if before else 0.0 for before, after in pairwise(reached)]


def sweep_table(rows: list[dict[str, Any]]) -> list[str]:
    """The comparison as lines of text."""
    lines = [
        " n   params   head 1   accepted: head 2     3     4     8   bytes/forward, all n drafting:"
        "  true text   sampled   greedy"
    ]
    for row in rows:
        accepted = [row["acceptance"][i] if len(row["acceptance"]) > i else None
                    for i in (0, 1, 2, 6)]  # fmt: skip
        shares = "  ".join("   -" if share is None else f"{share:4.2f}" for share in accepted)
        n = str(row["n"])
        speeds = [row["true_text"].get(n)] + [
            row[text].get(n, {}).get("bytes_per_forward") for text in ("sampled", "greedy")
        ]
        found = ["1.00" if speed is None else f"{speed:.2f}" for speed in speeds]
        lines.append(
            f"{n:>2} {row['parameters']['total'] / 1e6:7.2f}M {row['heads_bpb'][0]:8.3f}"
            f"             {shares}{'':34}{found[0]:>9}{found[1]:>10}{found[2]:>9}"
        )
    return lines
