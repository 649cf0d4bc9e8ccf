"""The decoding engine in C++, with the interface `bytelm.decode.stepper.Stepper`.

Shapes: B batch row, S position in a row's text, V id, K head, G KV head.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from bytelm.alphabet import VOCAB
from bytelm.decode.native.library import (
    HEAD_CHAINS,
    LayerTensors,
    ModelTensors,
    NativeDecoder,
    Sampling,
    Sizes,
    address,
    decode_library,
    layer_array,
)
from bytelm.decode.native.pack import LANES, PANEL, PackedModel, packed, up_to
from bytelm.decode.native.step_times import measure_step_times
from bytelm.decode.options import DecodeOptions
from bytelm.model.model import SLACK, Model

# The most prompt ids in one forward: of one row, and of all rows that prefill together.
CHUNK = 64
ROOM = 192

# The gate for sampled drafts. It is a constant: a gate that adapts to other rows would make a
# sample depend on them.
DRAWN_GATE = 0.4

KINDS = {torch.float32: "F32", torch.bfloat16: "BF16"}
TILED = "TiledBF16"  # bfloat16 with AMX, on processors that have it
TILE_INPUTS = 32  # the inputs of a matrix product with AMX must be a multiple of this


class NativeStepper:
    """The engine in C++, for CPUs. See `bytelm.decode.stepper.Stepper`.

    Keys, values and matrices have the model's type (float32 or bfloat16). The residual stream,
    norms, softmax and logits are float32. A row's result depends only on its own text, not on the
    batch, the block's width or the number of threads.

    `reach`: how many positions a row may use. Raises NoCompilerError if the C++ cannot be compiled.
    """

    def __init__(self, model: Model, batch: int, reach: int, options: DecodeOptions) -> None:
        self._model = model
        self.batch, self.k = batch, options.k(model.config.prediction_heads)
        self._packed = packed(model)
        self._kind = TILED if self._tiled(model) else KINDS[self._packed.dtype]
        self._sizes = _sizes(model, batch, reach, self.k)
        self._layers = _layers(self._sizes, self._packed, model)
        _, drafting = self._packed.drafting(model, self.k)
        windows = [model.config.window_of(layer) for layer in range(len(self._layers))]
        array = layer_array(self._layers, windows)
        self._decoder = _decoder(self._kind, self._sizes, self._packed, array, drafting)
        # With several samples a prompt: the last prompt, and what the cache holds of it.
        self._shares = options.samples > 1
        self._kept: tuple[list[int], list[Tensor]] = ([], [])
        self._texts_BS = torch.zeros(batch, reach + SLACK, dtype=torch.int64)
        drawn = options.sampling.temperature > 0 and options.sampling.draft_rule == "sampled"
        gate = DRAWN_GATE if drawn and options.gate is None else options.gate
        if gate is not None:
            self._decoder.call("set_gate", gate)
        elif self.k > 1:
            self._measure_costs((reach - SLACK) * 2 // 3)
        if options.sampling.temperature > 0:
            self._decoder.call("set_sampling", Sampling.of(options.sampling))

    def _tiled(self, model: Model) -> bool:
        """Whether AMX can do all matrix products of this model.

        It is used for all or for none, so that every width of a block gives the same bits.
        """
        config = model.config
        inputs = (config.width, config.attention_heads * up_to(config.head_size, LANES))
        whole = all(count % TILE_INPUTS == 0 for count in inputs)
        return self._packed.dtype == torch.bfloat16 and whole and bool(decode_library().amx())

    def _measure_costs(self, position: int) -> None:
        """Measure the times of steps of each width at `position`, and pass them to C++."""
        costs_s = self._packed.costs_s
        key = (self.batch, self.k, torch.get_num_threads(), position // 256)
        if key not in costs_s:
            costs_s[key] = measure_step_times(lambda width: self.step_s(position, width, 1), self.k)
        self._set_costs(costs_s[key])

    def _set_costs(self, costs_s: Sequence[float], by_clock: bool = True) -> None:
        self._decoder.call("set_costs", (ctypes.c_double * self.k)(*costs_s), by_clock)

    def step_s(self, position: int, width: int, rounds: int) -> float:
        """Time steps that feed `width` ids per row, with every row at `position`.

        Returns the seconds of the shortest of `rounds` steps. Ends all rows.
        """
        return self._decoder.call("time_step", position, width, rounds)

    def admit(self, slot: int, ids: Sequence[int], limit: int, sample: int) -> None:
        """See Stepper. The steps that follow feed the prompt in chunks, along with other rows.

        With several samples a prompt, it is fed at once for the first of them. The others get a
        copy of its keys and values.
        """
        text_S = self._texts_BS[slot]
        text_S[: len(ids)] = torch.tensor(ids)
        self._decoder.call("admit", slot, text_S, len(ids), limit, sample)
        if not self._shares:
            return
        prompt, kept = list(ids), self._kept[1]
        cache = self._cache_of(slot, len(prompt))
        there = prompt == self._kept[0]
        self._decoder.call("prefill", slot, there)
        if there:
            for to_GX, from_GX in zip(cache, kept, strict=True):
                to_GX.copy_(from_GX)
        else:
            self._kept = prompt, [own_GX.clone() for own_GX in cache]

    def _cache_of(self, slot: int, length: int) -> list[Tensor]:
        """Views of a row's keys and values of its first `length` positions, a layer after another.

        X is slots and channels, in whole tiles of slots.
        """
        sizes = self._sizes
        slots = min(up_to(length, 2 * LANES), sizes.padded_slots)
        end = slots * sizes.padded_head_size
        return [layer[name][slot, :, :end] for layer in self._layers for name in ("keys", "values")]

    def release(self, slot: int) -> None:
        """See Stepper."""
        self._decoder.call("release", slot)

    def run(self, steps: int) -> tuple[Tensor, Tensor]:
        """See Stepper."""
        ids = torch.zeros(steps, self.batch, self.k, dtype=torch.int64)
        counts = torch.zeros(steps, self.batch, dtype=torch.int64)
        if self._decoder.call("run", steps, ids, counts):
            raise self._model.overflow()
        return ids, counts

    def fed(self) -> list[int]:
        """How many ids each row fed in the last step. For tests."""
        counts_B = torch.zeros(self.batch, dtype=torch.int64)
        self._decoder.call("fed_counts", counts_B)
        return counts_B.tolist()

    def logits_after(self, slot: int) -> Tensor:
        """Logits (K, V) of all heads at a row's last id. For tests, which run no step after it."""
        logits_KV = torch.zeros(self.k, VOCAB)
        self._decoder.call("logits_after", slot, logits_KV)
        return logits_KV


def _sizes(model: Model, batch: int, reach: int, k: int) -> Sizes:
    config = model.config
    slots = config.window + CHUNK if config.window else reach
    orders = config.ngram_orders
    return Sizes(
        width=config.width,
        padded_width=up_to(config.width, LANES),
        head_size=config.head_size,
        padded_head_size=up_to(config.head_size, LANES),
        heads=config.attention_heads,
        kv_heads=config.kv_heads,
        hidden_panels=up_to(config.hidden, PANEL // 2) // (PANEL // 2),
        trunk_layers=config.trunk_layers,
        head_chain=HEAD_CHAINS.get(config.head_kind, 0),
        ngram_orders=len(orders),
        ngram_rows=config.ngram_rows,
        ngram_history=max(orders, default=1) - 1,
        batch=batch,
        slots=slots,
        padded_slots=up_to(slots, 2 * LANES),
        k=k,
        capacity=batch * k + ROOM,
        prefill_chunk=CHUNK,
        threads=torch.get_num_threads(),
        norm_eps=config.norm_eps,
    )


def _layers(sizes: Sizes, weights: PackedModel, model: Model) -> list[dict[str, Tensor]]:
    """The layers of `model`, each with an empty cache. Sets `sizes.head_layers`."""
    head_layers, _ = weights.drafting(model, sizes.k)
    sizes.head_layers = len(head_layers)
    cache = (sizes.batch, sizes.kv_heads, sizes.padded_slots * sizes.padded_head_size)
    return [
        {**layer, **{name: torch.zeros(cache, dtype=weights.dtype) for name in ("keys", "values")}}
        for layer in [*weights.trunk, *head_layers]
    ]


def _decoder(
    kind: str,
    sizes: Sizes,
    weights: PackedModel,
    layers: "ctypes.Array[LayerTensors]",
    draft_unembeddings: Tensor,
) -> NativeDecoder:
    """Make a decoder of `layers`. The tensors that they point to must outlive it."""
    shared = {**weights.shared, "draft_unembeddings": draft_unembeddings}
    tensors = ModelTensors(
        **{name: address(tensor) for name, tensor in shared.items()}, layers=layers
    )
    return NativeDecoder(kind, sizes, tensors, held=(shared, layers))
