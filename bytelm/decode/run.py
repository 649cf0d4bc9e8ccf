"""`python -m bytelm generate`: prompts become completions, in files or on stdout."""

import base64
import binascii
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bytelm.command import say
from bytelm.decode.endings import Utf8Gate
from bytelm.decode.options import DecodeOptions
from bytelm.errors import InputError
from bytelm.files import write_bytes


@dataclass
class Generate:
    """Complete prompts: greedy, with the model's heads drafting for the model itself.

    With --prompt-file the completion's bytes go to stdout as they are accepted. With --prompts, one
    JSON row a prompt goes to --out (or stdout), in order.
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    prompt_file: Path | None = None
    """A file whose bytes are the prompt; - for standard input."""
    prompts: Path | None = None
    """jsonl with rows of "id" and "prompt" (or "prompt_base64")."""
    out: Path | None = None
    """Where the rows go; without it, to stdout."""
    max_bytes: int = 1024
    """Bytes of a completion at most."""
    heads: int | None = None
    """k: head 1 and k - 1 drafting heads; 1 is plain decoding. Default: all that the model has."""
    batch: int = 16
    """Prompts that run side by side."""
    stop: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    r"""Text that ends a completion; repeatable; \n, \t, \\ and \xNN are understood."""
    device: str = "cpu"
    """cpu or cuda."""

    def run(self) -> dict[str, Any] | None:
        from bytelm.checkpoint import load_checkpoint

        if (self.prompt_file is None) == (self.prompts is None):
            raise InputError("give either --prompt-file or --prompts")
        if self.prompt_file is not None and self.out is not None:
            raise InputError("--out goes with --prompts; with --prompt-file, redirect stdout")
        # Prompts first: a broken file should not wait for a model to load.
        prompts = _read_prompts(self.prompts) if self.prompts is not None else []
        prompt = _read_prompt(self.prompt_file) if self.prompt_file is not None else b""
        stops = tuple(unescape(stop) for stop in self.stop)
        model = load_checkpoint(self.checkpoint, self.device).model
        heads = model.config.prediction_heads if self.heads is None else self.heads
        options = DecodeOptions(self.max_bytes, heads, self.batch, stops)
        options.check(model.config.prediction_heads)
        if self.prompt_file is not None:
            _stream(model, prompt, options)
            return None
        return self._many(model, prompts, options)

    def _many(
        self, model: Any, prompts: list[tuple[Any, bytes]], options: DecodeOptions
    ) -> dict[str, Any] | None:
        from bytelm.decode.progress import generate_with_progress

        started = time.monotonic()
        completions = generate_with_progress(model, [prompt for _, prompt in prompts], options)
        rows = [
            {
                "id": name,
                "completion": completion.text.decode("utf-8", "replace"),
                "completion_base64": base64.b64encode(completion.text).decode(),
                "finish_reason": completion.finish_reason,
                "bytes": len(completion.text),
                "forwards": completion.forwards,
            }
            for (name, _), completion in zip(prompts, completions, strict=True)
        ]
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        if self.out is None:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
            return None
        write_bytes(self.out, lines)
        size = sum(len(completion.text) for completion in completions)
        forwards = sum(completion.forwards for completion in completions)
        seconds = time.monotonic() - started
        return {
            "out": str(self.out),
            "prompts": len(rows),
            "bytes": size,
            "forwards": forwards,
            "bytes_per_forward": size / max(forwards, 1),
            "bytes_per_s": size / seconds,
            "seconds": round(seconds, 3),
        }


def _stream(model: Any, prompt: bytes, options: DecodeOptions) -> None:
    from bytelm.decode.generate import generate

    gate = Utf8Gate()

    def show(_: int, piece: bytes) -> None:
        sys.stdout.buffer.write(gate.push(piece))
        sys.stdout.buffer.flush()

    started = time.monotonic()
    [completion] = generate(model, [prompt], options, show)
    sys.stdout.buffer.write(gate.flush())
    sys.stdout.buffer.flush()
    seconds, size = time.monotonic() - started, len(completion.text)
    rate = size / max(completion.forwards, 1)
    say(
        f"\n[{size} bytes in {completion.forwards} forwards ({rate:.2f} bytes a forward), "
        f"{size / seconds:.0f} bytes/s, ended by {completion.finish_reason}]"
    )


def unescape(text: str) -> bytes:
    r"""The bytes of `text` with Python's escapes for bytes (\n, \t, \\, \xNN) read."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
        return raw.decode("unicode_escape").encode("latin-1")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise InputError(f"--stop {text!r}: {error}; write a backslash as \\\\") from error


def _read_prompt(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"--prompt-file {path}: {error.strerror}") from error


def _read_prompts(path: Path) -> list[tuple[Any, bytes]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"--prompts {path}: {error.strerror}") from error
    found = [_prompt(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{path} holds no prompts")
    return found


def _prompt(line: bytes, where: str) -> tuple[Any, bytes]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not a line of JSON: {error}") from error
    if not isinstance(row, dict) or "id" not in row:
        raise InputError(f'{where}: a row must be an object with "id" and "prompt"')
    if ("prompt" in row) == ("prompt_base64" in row):
        raise InputError(f'{where}: a row has either "prompt" or "prompt_base64"')
    try:
        if "prompt" in row:
            return row["id"], row["prompt"].encode("utf-8")
        return row["id"], base64.b64decode(row["prompt_base64"], validate=True)
    except (AttributeError, TypeError, UnicodeEncodeError, binascii.Error) as error:
        raise InputError(f"{where}: the prompt cannot be read: {error}") from error
