"""The C++ step behind the interface of `bytelm.decode.stepper`."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bytelm.alphabet import VOCAB
from bytelm.decode.native.pack import LANES, PANEL, packed, up_to
from bytelm.decode.native.pricing import measure_prices
from bytelm.decode.options import DecodeOptions, SamplingOptions
from bytelm.model.model import SLACK, Model
from bytelm.native.build import library

SOURCE = Path(__file__).with_name("decode.cpp")

# Prompt ids that one row feeds in a forward, and that all prefilling rows feed together.
CHUNK = 64
ROOM = 192

# Which drawn drafts to feed must not depend on what is learnt from other rows, or a sample would.
DRAWN_GATE = 0.4

# model.h's ways of heads that read one another.
CHAINED = {"causal": 1, "anticausal": 2}

KINDS = {torch.float32: "F32", torch.bfloat16: "BF16"}
TILED = "TiledBF16"  # bfloat16 by AMX, where the processor has it
TILE_INPUTS = 32  # of a product by AMX: a multiple of this


def _address(tensor: Tensor) -> ctypes.c_void_p:
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


class _Sampling(ctypes.Structure):
    """sampling.h's Sampling."""

    _fields_ = (
        ("temperature", ctypes.c_double), ("top_p", ctypes.c_double), ("top_k", ctypes.c_int64),
        ("drawn_drafts", ctypes.c_int64), ("seed", ctypes.c_uint64),
    )  # fmt: skip

    @staticmethod
    def of(options: SamplingOptions) -> "_Sampling":
        drawn = options.draft_rule == "sampled"
        return _Sampling(options.temperature, options.top_p, options.top_k, drawn, options.seed)


class NativeStepper:
    """Rows of a batch that advance together. See `bytelm.decode.stepper.Stepper`.

    Keys, values and matrices are in the model's type (float32 or bfloat16); the residual stream,
    norms, softmax and logits are in float32. A row's result depends on nothing but its own text,
    whatever the batch, the block and the number of threads.
    """

    def __init__(self, model: Model, batch: int, reach: int, options: DecodeOptions) -> None:
        config, dtype = model.config, model.embedding.weight.dtype
        k = options.k(config.prediction_heads)
        self.batch, self.k, self.options = batch, k, options
        self._library = library(SOURCE)
        self._packed = packed(model)
        self._kind = TILED if self._tiled(model) else KINDS[dtype]
        drafting, unembeddings = self._packed.drafting(model, k)
        head, wide = up_to(config.head_size, LANES), up_to(config.width, LANES)
        slots = config.window + CHUNK if config.window else reach
        padded_slots = up_to(slots, 2 * LANES)
        cache = (batch, config.kv_heads, padded_slots * head)
        layers = [
            [*layer, *(torch.zeros(cache, dtype=dtype) for _ in ("keys", "values"))]
            for layer in [*self._packed.trunk, *drafting]
        ]
        # The C++ side holds addresses only: these keep what lies there.
        self._held = [
            *self._packed.shared,
            self._packed.first,
            unembeddings,
            *(tensor for layer in layers for tensor in layer),
        ]
        pointers = (ctypes.c_void_p * len(self._held))(*[_address(t) for t in self._held])
        sizes = [
            config.width, wide, config.head_size, head, config.attention_heads, config.kv_heads,
            up_to(config.hidden, PANEL // 2) // (PANEL // 2), config.trunk_layers, len(drafting),
            CHAINED.get(config.head_kind, 0), VOCAB, config.window, batch, slots, padded_slots,
            config.context, len(config.ngram_orders), config.ngram_rows,
            max(config.ngram_orders, default=1) - 1, batch * k + ROOM, k, torch.get_num_threads(),
        ]  # fmt: skip
        new = self._function("new")
        new.restype = ctypes.c_void_p
        self._function("cost").restype = ctypes.c_double
        self._decoder = ctypes.c_void_p(
            new(
                (ctypes.c_int64 * len(sizes))(*sizes),
                ctypes.c_float(config.norm_eps),
                ctypes.c_int64(CHUNK),
                pointers,
            )
        )
        self._texts_BS = torch.zeros(batch, reach + SLACK, dtype=torch.int64)
        drawn = options.sampling.temperature > 0 and options.sampling.draft_rule == "sampled"
        gate = DRAWN_GATE if drawn and options.gate is None else options.gate
        if gate is not None:
            self._call("gate", ctypes.c_float(gate))
        elif k > 1:
            self._price((reach - SLACK) * 2 // 3)
        if options.sampling.temperature > 0:
            self._call("sample", ctypes.byref(_Sampling.of(options.sampling)))

    def _tiled(self, model: Model) -> bool:
        """Whether all products of this model go by AMX: a row's bits must not depend on which."""
        config = model.config
        inputs = (config.width, config.attention_heads * up_to(config.head_size, LANES))
        whole = all(count % TILE_INPUTS == 0 for count in inputs)
        return self._packed.dtype == torch.bfloat16 and whole and bool(self._library.tiles())

    def _function(self, name: str) -> Any:
        return getattr(self._library, f"{name}_{self._kind}")

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the decoder's; tensors go as addresses, and live until it returns."""
        values = [_address(a) if isinstance(a, Tensor) else a for a in arguments]
        return self._function(name)(self._decoder, *values)

    def __del__(self) -> None:
        if hasattr(self, "_decoder"):
            self._call("delete")

    def _price(self, position: int) -> None:
        """Tell the C++ side what steps cost by the ids that a row feeds, well into the texts."""
        costs_s = self._packed.costs_s
        key = (self.batch, self.k, torch.get_num_threads(), position // 256)
        if key not in costs_s:
            costs_s[key] = measure_prices(lambda width: self.step_s(position, width, 1), self.k)
        self._set_prices(costs_s[key])

    def _set_prices(self, costs_s: Sequence[float], by_clock: bool = True) -> None:
        self._call("price", (ctypes.c_double * self.k)(*costs_s), ctypes.c_int64(by_clock))

    def step_s(self, position: int, width: int, rounds: int) -> float:
        """The shortest of `rounds` steps with every row at `position`; ends all rows."""
        arguments = (ctypes.c_int64(value) for value in (position, width, rounds))
        return float(self._call("cost", *arguments))

    def admit(self, slot: int, ids: Sequence[int], limit: int, sample: int) -> None:
        """See Stepper. The prompt is fed in chunks, beside the rows that decode."""
        text_S = self._texts_BS[slot]
        text_S[: len(ids)] = torch.tensor(ids)
        numbers = (ctypes.c_int64(value) for value in (len(ids), limit, sample))
        self._call("admit", ctypes.c_int64(slot), text_S, *numbers)

    def release(self, slot: int) -> None:
        """See Stepper."""
        self._call("stop", ctypes.c_int64(slot))

    def run(self, steps: int) -> tuple[Tensor, Tensor]:
        """See Stepper."""
        ids = torch.zeros(steps, self.batch, self.k, dtype=torch.int64)
        counts = torch.zeros(steps, self.batch, dtype=torch.int64)
        self._call("run", ctypes.c_int64(steps), ids, counts)
        return ids, counts

    def fed(self) -> list[int]:
        """Ids that each row fed in the last step. For tests."""
        counts_B = torch.zeros(self.batch, dtype=torch.int64)
        self._call("fed", counts_B)
        return counts_B.tolist()

    def peek(self, slot: int) -> Tensor:
        """Logits (k, V) after a row's last known id, head 1's first; no step follows. For tests."""
        logits_KV = torch.zeros(self.k, VOCAB)
        self._call("peek", ctypes.c_int64(slot), logits_KV)
        return logits_KV
