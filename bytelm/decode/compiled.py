"""The torch engine's step compiled (torch.compile), and on a GPU captured as a CUDA graph.

What is compiled is one layer, and all layers share that code: a model of 32 layers compiles in the
time of one. A step has fixed shapes and works in place, so that one CUDA graph, of the compiled
layers and the little around them, serves every step of a view of the cache. Views grow in buckets,
and each bucket is compiled and captured once.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from bytelm.base.cli import say
from bytelm.model.cache import Cache
from bytelm.model.layers import Layer

Advance = Callable[[], tuple[Tensor, Tensor]]
# Shapes (batch, width, view of the cache) that a layer is compiled for in one process; torch's own
# limit of 8 would leave the rest eager.
SHAPES = 1024


class Captured(Protocol):
    """What a step works on: the view that it is compiled for, and the state that it changes."""

    cache: Cache

    def view(self) -> int:
        """Slots that attention reads."""

    def changing(self) -> list[Tensor]:
        """The tensors that a step changes in place, but for the cache."""


class CompiledStep:
    """`advance`, compiled at its first call; eager, with one line that says so, if that fails."""

    def __init__(self, advance: Advance, of: Captured, device: torch.device) -> None:
        self._advance, self._of = advance, of
        self._proven = False
        self._graphs: dict[int, tuple[Any, tuple[Tensor, Tensor]]] | None = None
        if device.type == "cuda":
            self._graphs = {}

    def __call__(self) -> tuple[Tensor, Tensor]:
        if not self._proven:
            return self._first()
        if self._graphs is None:
            return self._advance()
        graph, found = self._graphs.get(self._of.view()) or self._capture()
        graph.replay()
        return found

    def _first(self) -> tuple[Tensor, Tensor]:
        self._proven = True
        before = [tensor.clone() for tensor in self._of.changing()]
        torch._dynamo.config.recompile_limit = SHAPES
        torch._dynamo.config.accumulated_recompile_limit = SHAPES
        self._of.cache.compute = torch.compile(Layer.compute, dynamic=False)
        try:
            return self._advance()
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = (lines or [type(error).__name__])[0][:160]
            say(f"decoding runs eager, several times slower: compiling failed: {reason}")
            self._of.cache.compute, self._graphs = None, None
            self._restore(before)
            return self._advance()

    def _restore(self, before: list[Tensor]) -> None:
        for tensor, value in zip(self._of.changing(), before, strict=True):
            tensor.copy_(value)

    def _capture(self) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Record a step; what warming up does to the state is undone, and in the cache redone."""
        assert self._graphs is not None
        before = [tensor.clone() for tensor in self._of.changing()]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._advance()
        torch.cuda.current_stream().wait_stream(side)
        self._restore(before)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = self._advance()
        self._graphs[self._of.view()] = (graph, found)
        return graph, found
