"""`python -m eval divergence`: does speculation change a byte, and if so, by how little?"""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from bytelm.toolkit import DecodeOptions, InputError, Stopped, generate, load_checkpoint, say, seal
from bytelm.toolkit import write_json as write
from eval.measure.peers import first_difference
from eval.measure.speed import DTYPES

NEAR_TIE_ULPS = 2.0


def read_prompts(path: Path) -> list[bytes]:
    """The prompts of a jsonl file, each row with "prompt" or "prompt_base64"."""
    try:
        rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line.strip()]
        prompts = [
            base64.b64decode(row["prompt_base64"], validate=True)
            if "prompt_base64" in row
            else row["prompt"].encode()
            for row in rows
        ]
    except OSError as error:
        raise InputError(f"--prompts {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise InputError(f"--prompts {path}: rows of JSON with a prompt each: {error!r}") from error
    if not prompts:
        raise InputError(f"--prompts {path} holds no prompts")
    return prompts


@dataclass
class Divergence:
    """Compare every byte of speculative decoding with plain decoding by the same engine and type.

    The reference is k = 1 at the first batch size. At each first difference the two likeliest
    bytes' logits are compared in float32: a gap of more than 2 steps (ulps) of the type is no
    near-tie, and fails the audit (exit status 1).
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    prompts: Path
    """jsonl with a "prompt" or "prompt_base64" a row."""
    out: Path | None = None
    """Also write the figures to this JSON file."""
    heads: tuple[int, ...] = (2, 4, 8)
    """The k to compare with k = 1."""
    batches: tuple[int, ...] = (1, 3, 16)
    """Batch sizes."""
    max_bytes: int = 1024
    """Bytes of a completion at most."""
    stop: tuple[str, ...] = ()
    """Stops, as they are."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Of weights, keys and values."""
    exact: bool = False
    """Blocks of one width for all (the native engine has no need of it)."""
    engine: Literal["auto", "native", "compiled", "eager"] = "auto"
    """As in `python -m bytelm generate`."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> dict[str, Any]:
        prompts = read_prompts(self.prompts)
        if not self.heads or not self.batches:
            raise InputError("--heads and --batches name at least one each")
        checkpoint = load_checkpoint(self.checkpoint, self.device, DTYPES[self.dtype])
        judge = load_checkpoint(self.checkpoint, self.device, DTYPES[self.dtype]).model.float()
        judge.build_constants()
        stops = tuple(stop.encode() for stop in self.stop)
        rows: list[dict[str, Any]] = []
        reference: list[bytes] = []
        pairs = [(1, batch) for batch in self.batches]
        pairs += [(k, batch) for k in self.heads for batch in self.batches]
        with tqdm(total=len(pairs), desc="divergence", unit=" runs", dynamic_ncols=True) as bar:
            for k, batch in pairs:
                options = DecodeOptions(
                    self.max_bytes, k, batch, stops, engine=self.engine, exact=self.exact
                )
                found = generate(checkpoint.model, prompts, options)
                texts = [completion.text for completion in found]
                bar.update()
                if not reference:
                    reference = texts
                    continue
                first = first_difference(texts, reference, prompts, judge, self.dtype)
                rows.append({
                    "k": k,
                    "batch": batch,
                    "bytes": sum(map(len, texts)),
                    "prompts": len(prompts),
                    "prompts_that_differ": sum(
                        a != b for a, b in zip(texts, reference, strict=True)
                    ),
                    "differences": _differences(texts, reference, prompts, judge, self.dtype),
                    "first_difference": first,
                })  # fmt: skip
        return self._report(rows, checkpoint.sha256)

    def _report(self, rows: list[dict[str, Any]], sha256: str) -> dict[str, Any]:
        gaps = [gap["gap_ulps"] for row in rows for gap in row["differences"]]
        figures = {
            "dtype": self.dtype,
            "exact": self.exact,
            "engine": self.engine,
            "bytes_compared": sum(row["bytes"] for row in rows),
            "differences": len(gaps),
            "widest_gap_ulps": max(gaps, default=0.0),
            "near_ties_only": all(gap <= NEAR_TIE_ULPS for gap in gaps),
            "rows": rows,
            "checkpoint_sha256": sha256,
        }
        if self.out is not None:
            write(self.out, seal(figures))
        for row in rows:
            say(
                f"k {row['k']:2d}  batch {row['batch']:2d}  {row['bytes']} bytes  "
                f"{row['prompts_that_differ']} of {row['prompts']} prompts differ"
            )
        say(
            f"{figures['bytes_compared']} bytes compared, {len(gaps)} first differences, "
            f"the widest at {figures['widest_gap_ulps']:.2f} ulps of {self.dtype}"
        )
        if not figures["near_ties_only"]:
            say("a difference that is no near-tie: speculation has changed the text")
            raise Stopped(figures, 1)
        return figures


def _differences(
    texts: list[bytes], reference: list[bytes], prompts: list[bytes], judge: Any, dtype: Any
) -> list[dict[str, Any]]:
    """Every prompt's first difference."""
    found = []
    for index in range(len(texts)):
        one = slice(index, index + 1)
        gap = first_difference(texts[one], reference[one], prompts[one], judge, dtype)
        if gap is not None:
            found.append({**gap, "prompt": index})
        elif texts[index] != reference[index]:
            # One goes on where the other ends: no byte to compare, so no tie to plead.
            found.append({"prompt": index, "offset": -1, "gap": 0.0, "gap_ulps": 1e9})
    return found
