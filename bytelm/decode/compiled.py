"""The torch engine's step, compiled by torch.compile, and captured as a CUDA graph on a GPU.

Only one layer is compiled, and all layers share its code. A model of 32 layers compiles as fast as
a model of one. A step has fixed shapes and works in place, so one CUDA graph serves all steps that
read the same number of cache slots. This number grows in buckets. Each bucket is compiled and
captured once.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from bytelm.files.streams import say
from bytelm.model.cache import Cache
from bytelm.model.layers import Layer
from bytelm.native.toolchain import prepare_torch, why_failed

Advance = Callable[[], tuple[Tensor, Tensor]]
# How many shapes (batch, width, slots that attention reads) a layer may be compiled for in one
# process. With torch's default limit of 8, further shapes would run eager.
SHAPES = 1024


class Captured(Protocol):
    """What a step works on: the cache, and the state that it changes."""

    cache: Cache

    def view(self) -> int:
        """How many slots attention reads."""

    def changing(self) -> list[Tensor]:
        """The tensors, apart from the cache, that a step changes in place."""


class CompiledStep:
    """Calls `advance`, and compiles it at the first call.

    If compiling fails, a message says so once and the steps run eager.
    """

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
        prepare_torch()
        self._of.cache.compute = torch.compile(Layer.compute, dynamic=False)
        try:
            return self._advance()
        except Exception as error:
            reason = why_failed(error)
            say(f"decoding runs eager, several times slower: compiling failed: {reason}")
            self._of.cache.compute, self._graphs = None, None
            self._restore(before)
            return self._advance()

    def _restore(self, before: list[Tensor]) -> None:
        for tensor, value in zip(self._of.changing(), before, strict=True):
            tensor.copy_(value)

    def _capture(self) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Capture a step as a CUDA graph.

        The steps that warm up change the state, which is restored. The cache needs no restoring:
        the next step writes the same slots again.
        """
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
