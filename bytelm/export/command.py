"""`python -m bytelm export`: a checkpoint for transformers or llama.cpp, or to hand on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bytelm.base.errors import InputError


@dataclass
class Export:
    """Write a checkpoint for other engines (hf, gguf), or its weights alone (bytelm).

    For other engines it is the trunk and head 1, which are a Llama. Only a model without n-gram
    tables and without a window is one; others are refused. The heads that draft stay behind, so
    other engines give the same bytes one at a time.
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    format: Literal["hf", "gguf", "bytelm"]
    """hf: a folder for transformers; gguf: a file for llama.cpp; bytelm: any checkpoint of
    ours with all its heads, without what resuming needs."""
    out: Path
    """Where it goes; an earlier export there is replaced, anything else is not."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the matrices; the norms' weights stay float32."""

    def run(self) -> dict[str, Any]:
        from bytelm.checkpoint import load_checkpoint
        from bytelm.export.gguf_file import gguf_package, write_gguf_file
        from bytelm.export.hf_folder import write_hf_folder
        from bytelm.export.llama import check_is_llama, parts

        # What is cheap to refuse comes before a model that is slow to load.
        check_out(self.out, self.format)
        if self.format == "bytelm":
            return self._weights()
        if self.format == "gguf":
            gguf_package()
        checkpoint = load_checkpoint(self.checkpoint)
        check_is_llama(checkpoint.config, str(checkpoint.folder))
        write = write_hf_folder if self.format == "hf" else write_gguf_file
        write(checkpoint, self.out, self.dtype)
        files = sorted(self.out.iterdir()) if self.format == "hf" else [self.out]
        return {
            "out": str(self.out),
            "format": self.format,
            "dtype": self.dtype,
            "parameters": sum(part.tensor.numel() for part in parts(checkpoint.model)),
            "files": {file.name: file.stat().st_size for file in files},
            "checkpoint": str(checkpoint.folder),
            "checkpoint_sha256": checkpoint.sha256,
        }

    def _weights(self) -> dict[str, Any]:
        import torch

        from bytelm.checkpoint import load_checkpoint, save_weights

        checkpoint = load_checkpoint(self.checkpoint, dtype=getattr(torch, self.dtype))
        save_weights(self.out, checkpoint)
        return {
            "out": str(self.out),
            "format": self.format,
            "dtype": self.dtype,
            "parameters": checkpoint.model.parameters_by_part()["total"],
            "files": {file.name: file.stat().st_size for file in sorted(self.out.iterdir())},
            "checkpoint": str(checkpoint.folder),
            "checkpoint_sha256": checkpoint.sha256,
        }


def check_out(out: Path, format: str) -> None:
    """Raise InputError where the export would replace what no export of `format` has written."""
    from bytelm.export.gguf_file import is_gguf_export
    from bytelm.export.hf_folder import is_hf_export

    if not out.exists() and not out.is_symlink():
        return
    if format == "bytelm":
        raise InputError(f"--out {out} is there; give a folder that is not")
    if format == "hf":
        if not out.is_dir() or out.is_symlink():
            raise InputError(f"--out {out} is there and no folder, and --format hf makes a folder")
        if any(out.iterdir()) and not is_hf_export(out):
            raise InputError(f"--out {out} holds other things than an export; give another folder")
        return
    if not out.is_file() or out.is_symlink():
        raise InputError(f"--out {out} is there and no plain file, and --format gguf makes a file")
    if out.stat().st_size and not is_gguf_export(out):
        raise InputError(f"--out {out} is there and not an export; give another name")
