"""Score a model in training on held-out text, and on gaps in it if it learns to fill them."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from bytelm.base.ranks import launched
from bytelm.continuations import gaps_in, score_continuations
from bytelm.model.model import Model
from bytelm.scoring import score_documents
from bytelm.training.batches.held_out import PIECE
from bytelm.training.device.fsdp import release_gathered


class Evaluation:
    """The held-out sample of a run. `infilling`: score gaps in it too."""

    def __init__(self, model: Model, sample: Sequence[bytes], infilling: bool) -> None:
        self._model, self._sample = model, sample
        context = model.config.context
        gaps = gaps_in(sample, min(PIECE, context // 2)) if infilling else []
        self._gaps = [one for one in gaps if one.size <= context]

    def figures(self, dtype: torch.dtype) -> dict[str, Any]:
        """The figures for metrics and summary, with the current weights.

        `held_out_bpb`: of text in its usual order; `infilling_bpb`: of what belongs into gaps, by
        PSM, for a run with infilling. `forecast`: bytes a forward. A list with a value that is not
        finite is None. All ranks must call this together.
        """
        if not launched():
            return self._figures(dtype)
        # Else torch would recompile the sharded layers for every document length.
        with torch.compiler.set_stance("force_eager"):
            found = self._figures(dtype)
        release_gathered(self._model)
        return found

    def _figures(self, dtype: torch.dtype) -> dict[str, Any]:
        score = score_documents(self._model, self._sample, dtype=dtype)
        found: dict[str, Any] = {
            "held_out_bpb": _finite(score.heads_bpb()),
            "forecast": {str(k): value for k, value in score.forecast.items()},
        }
        if self._gaps:
            device = self._model.embedding.weight.device.type
            with torch.autocast(device, torch.bfloat16, dtype == torch.bfloat16):
                bpb = score_continuations(self._model, self._gaps).heads_bpb()
            found["infilling_bpb"] = _finite(bpb)
        return found


def _finite(bpb: list[float]) -> list[float] | None:
    """`bpb`, or None if a value is not finite: JSON has no NaN and no infinity."""
    return bpb if all(map(math.isfinite, bpb)) else None
