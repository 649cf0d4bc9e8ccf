"""`python -m data prompts`: prompts cut from shards, for `python -m bytelm generate --prompts`."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bytelm.toolkit import ByteCount, Positive, Split


@dataclass
class Prompts:
    """Cut prompts of equal length from a split, spread evenly over its documents."""

    data: Path
    """Shard folder."""
    out: Path
    """The jsonl file to write. Each row has "id" and "prompt"; a prompt that is not valid UTF-8 is
    stored as "prompt_base64"."""
    split: Literal["train", "held_out"] = "held_out"
    """The split to cut prompts from."""
    count: Positive = 64
    """Number of prompts."""
    bytes: ByteCount = 1024
    """Bytes in each prompt."""

    def run(self) -> dict[str, Any]:
        prompts = Split(self.data, self.split).cuts(self.count, self.bytes)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_bytes(b"".join(_row(*pair) for pair in enumerate(prompts)))
        return {"out": str(self.out), "prompts": len(prompts), "bytes": self.count * self.bytes}


def _row(index: int, prompt: bytes) -> bytes:
    try:
        row = {"id": index, "prompt": prompt.decode()}
    except UnicodeDecodeError:
        row = {"id": index, "prompt_base64": base64.b64encode(prompt).decode()}
    return json.dumps(row).encode() + b"\n"
