"""What tests share that is not a fixture: small models, and the project in a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bytelm.checkpoint import save_checkpoint
from bytelm.config import ModelConfig
from bytelm.model.model import Model

ROOT = Path(__file__).resolve().parents[2]


def small_config(**changes: Any) -> ModelConfig:
    """A model of a few thousand parameters with everything switched on."""
    values: dict[str, Any] = {
        "width": 32,
        "layers": 2,
        "attention_heads": 4,
        "kv_heads": 2,
        "hidden": 48,
        "context": 256,
        "window": 48,
        "prediction_heads": 8,
        "ngram_orders": (2, 3, 5),
        "ngram_rows": 97,
    }
    return ModelConfig(**{**values, **changes})


def random_model(config: ModelConfig, seed: int = 0) -> Model:
    """A model whose every part matters: nothing is left at zero."""
    model = Model(config, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(std=0.3, generator=generator)
    return model.requires_grad_(False)


def save_model(folder: Path, model: Model) -> Path:
    """Leave a checkpoint of the model in `folder`, and return the checkpoint's own folder."""
    return save_checkpoint(folder, 1, model.config, model.state_dict(), {}, {})


def llama_config(**changes: object) -> ModelConfig:
    """A model whose trunk and head 1 are a Llama, which other programs can run."""
    return small_config(**{"ngram_orders": (), "ngram_rows": 0, "window": 0, **changes})


def saved_llama(folder: Path, **changes: object) -> Path:
    """A folder with a checkpoint of a Llama."""
    save_model(folder, random_model(llama_config(**changes), 3))
    return folder


def random_prompts(lengths: Iterable[int], seed: int) -> list[bytes]:
    """Prompts of these lengths, of any bytes."""
    generator = torch.Generator().manual_seed(seed)
    return [
        bytes(torch.randint(0, 256, (length,), generator=generator).tolist()) for length in lengths
    ]


# A training run of a few seconds.
TRAIN = [
    "--preset", "tiny", "--no-compile", "--dtype", "float32", "--bytes", "40000",
    "--model.width", "64", "--model.hidden", "128", "--model.layers", "2",
    "--model.ngram-rows", "2048", "--model.window", "128",
    "--train.block", "128", "--train.batch", "4", "--eval-steps", "40",
]  # fmt: skip


def python(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[Any]":
    """Run this Python on the project in a process of its own; text in and out."""
    values: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120}
    return subprocess.run([sys.executable, *arguments], check=False, **{**values, **options})


def torchrun(*arguments: str, ranks: int = 2) -> "subprocess.CompletedProcess[Any]":
    """Run this Python on the project in so many processes of one group."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks))
    return python(*launcher, *arguments)


def bytelm_command(*arguments: str) -> int:
    """Run `python -m bytelm` with these arguments in this process; returns its exit status."""
    from bytelm.__main__ import COMMANDS
    from bytelm.commands.cli import main

    return main("bytelm", "", COMMANDS, [*arguments])


def data_command(*arguments: str) -> int:
    """Run `python -m data` with these arguments in this process; returns its exit status."""
    from bytelm.commands.cli import main
    from data.__main__ import COMMANDS

    return main("data", "", COMMANDS, [*arguments])


def eval_command(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, dict[str, Any], str]:
    """Run `python -m eval` with these arguments in this process.

    Returns the exit status, the figures of its JSON line ({} if there is none), and its stderr.
    """
    from bytelm.commands.cli import main
    from eval.__main__ import COMMANDS

    status = main("eval", "", COMMANDS, [*arguments])
    said = capsys.readouterr()
    return status, json.loads(said.out.splitlines()[-1]) if said.out else {}, said.err


def one_line(said: str) -> str:
    """What was said, which must be a single line."""
    [line] = said.strip().splitlines()
    return line


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write a file with a row of JSON a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of such a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_until(happened: Callable[[], bool], patience_s: float = 120) -> None:
    """Look until it has happened. Patience is for what hangs: a busy machine may take its time."""
    deadline = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < deadline, f"it has not happened in {patience_s} s"
        time.sleep(0.005)


def p_value(counts: Tensor, probabilities: Tensor) -> float:
    """Pearson's chi-square; 0 if something impossible was seen."""
    possible = probabilities > 0
    if counts[~possible].any():
        return 0.0
    expected = probabilities[possible] * counts.sum()
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    freedom = torch.tensor(len(expected) - 1, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom / 2, statistic / 2))


def random_logits(seed: int, size: int) -> Tensor:
    """Logits with ties and ids that may not be said."""
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(size, generator=generator) * 4).round() / 4
    banned = torch.rand(size, generator=generator) < 0.2
    banned[int(torch.randint(size, (1,), generator=generator))] = False
    return logits.masked_fill(banned, -torch.inf)
