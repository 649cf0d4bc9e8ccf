"""`python -m bytelm export`: write a checkpoint for transformers, llama.cpp or publication."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bytelm.base.errors import InputError, some
from bytelm.base.options import Range
from bytelm.files.places import check_place


@dataclass
class Export:
    """Write a checkpoint for other engines (hf, gguf), or its weights alone (bytelm).

    Other engines get the trunk and head 1, which form a Llama if the model has no n-gram tables and
    no window. Other models are refused. The heads that draft are left out, so other engines write
    the same bytes, but one per forward.
    """

    checkpoint: Path
    """A run folder, or one of its checkpoints."""
    format: Literal["hf", "gguf", "bytelm"]
    """hf: a folder for transformers; gguf: a file for llama.cpp; bytelm: a checkpoint with all
    heads, without the optimizers' state. bytelm works for any model."""
    out: Path
    """The file or folder to write. An earlier export (hf, gguf) is replaced, nothing else is."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The type of the matrices. With hf and gguf the norms' weights stay float32."""
    mean_with: tuple[Path, ...] = ()
    """With bytelm: checkpoints of the same sizes. What is written is the mean of all weights."""
    shares: tuple[Annotated[float, Range(0, 1)], ...] = ()
    """With --mean-with: the share of each checkpoint in the mean, that of --checkpoint first; 1
    together. Default: equal shares."""

    def run(self) -> dict[str, Any]:
        """Write the export; returns its figures."""
        from bytelm.checkpoint import load_checkpoint
        from bytelm.export.gguf_file import gguf_package, write_gguf_file
        from bytelm.export.hf_folder import write_hf_folder
        from bytelm.export.llama import check_is_llama, parts

        # Check the options first, since loading the model is slow.
        check_out(self.out, self.format)
        if self.mean_with and self.format != "bytelm":
            raise InputError("--mean-with goes with --format bytelm; export its result again")
        if self.shares and not self.mean_with:
            raise InputError("--shares goes with --mean-with")
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

        from bytelm.checkpoint import save_weights
        from bytelm.export.mean import check_shares, mean_of

        folders = [self.checkpoint, *self.mean_with]
        shares = check_shares(self.shares, len(folders))
        checkpoint = mean_of(folders, shares)
        checkpoint.model.to(getattr(torch, self.dtype))
        save_weights(self.out, checkpoint)
        return {
            "out": str(self.out),
            "format": self.format,
            "dtype": self.dtype,
            "parameters": checkpoint.model.parameters_by_part()["total"],
            "files": {file.name: file.stat().st_size for file in sorted(self.out.iterdir())},
            "checkpoint": str(checkpoint.folder),
            "checkpoint_sha256": checkpoint.sha256,
            "mean_with": list(map(str, self.mean_with)),
            "shares": shares,
        }


def check_out(out: Path, format: str) -> None:
    """Raise InputError if `out` exists and is not an earlier export of the same `format`."""
    from bytelm.export.gguf_file import is_gguf_export
    from bytelm.export.hf_folder import FILES, is_hf_export

    if not out.exists() and not out.is_symlink():
        check_place(out)
        return
    if format == "bytelm":
        raise InputError(f"--out {out} is there; give a folder that is not")
    if format == "hf":
        if not out.is_dir() or out.is_symlink():
            raise InputError(f"--out {out} is there and not a folder; --format hf writes a folder")
        names = sorted(path.name for path in out.iterdir())
        others = [name for name in names if name not in FILES or not is_hf_export(out)]
        if others:
            raise InputError(
                f"--out {out} holds other things than an export ({some(others)}); "
                "give another folder"
            )
        return
    if not out.is_file() or out.is_symlink():
        raise InputError(f"--out {out} is there and not a file; --format gguf writes a file")
    if out.stat().st_size and not is_gguf_export(out):
        raise InputError(f"--out {out} is there and not an export; give another name")
