"""`python -m data prompts`: prompts cut from shards, for `python -m bytelm generate --prompts`."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bytelm.toolkit import ByteCount, InputError, Out, Positive, Split, write_result

# Prompts are held in memory.
MOST_BYTES = 1 << 30


@dataclass
class Prompts:
    """Cut prompts of equal length from a split, spread evenly over its documents."""

    data: Path
    """Shard folder."""
    out: Annotated[Path, Out()]
    """The jsonl file to write. Each row has "id" and "prompt"; a prompt that is not valid UTF-8 is
    stored as "prompt_base64"."""
    split: Literal["train", "held_out"] = "held_out"
    """The split to cut prompts from."""
    count: Positive = 64
    """Number of prompts."""
    bytes: ByteCount = 1024
    """Bytes in each prompt."""

    def run(self) -> dict[str, Any]:
        split = Split(self.data, self.split)
        enough = split.bytes >= self.bytes + self.count - 1
        if enough and self.count * self.bytes > MOST_BYTES:
            raise InputError(
                f"--count {self.count} and --bytes {self.bytes} make more than {MOST_BYTES} bytes; "
                "ask for fewer or shorter prompts"
            )
        prompts = split.cuts(self.count, self.bytes)
        write_result(self.out, b"".join(_row(*pair) for pair in enumerate(prompts)))
        return {"out": str(self.out), "prompts": len(prompts), "bytes": self.count * self.bytes}


def _row(index: int, prompt: bytes) -> bytes:
    try:
        row = {"id": index, "prompt": prompt.decode()}
    except UnicodeDecodeError:
        row = {"id": index, "prompt_base64": base64.b64encode(prompt).decode()}
    return json.dumps(row).encode() + b"\n"
