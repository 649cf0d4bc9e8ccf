"""The C++ step behind the interface of `bytelm.decode.stepper`."""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bytelm.alphabet import PAD, VOCAB
from bytelm.decode.native.build import library
from bytelm.decode.native.pack import LANES, PANEL, packed, up_to
from bytelm.decode.options import DecodeOptions
from bytelm.decode.sampling import draft_ids, verify
from bytelm.decode.step import State, sayable, settle
from bytelm.model.model import SLACK, Model

# Prompt ids that one row feeds in a forward, and that all prefilling rows feed together.
CHUNK = 64
ROOM = 192

# Seconds that measuring the cost of a step may take, more or less.
PRICING_S = 0.1

KINDS = {torch.float32: "F32", torch.bfloat16: "BF16"}


def _address(tensor: Tensor) -> ctypes.c_void_p:
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


class NativeStepper:
    """Rows of a batch that advance together. See `bytelm.decode.stepper.Stepper`.

    Keys, values and matrices are in the model's type (float32 or bfloat16); the residual stream,
    norms, softmax and logits are in float32. A row's result depends on nothing but its own text,
    whatever the batch, the block and the number of threads.
    """

    def __init__(self, model: Model, batch: int, reach: int, options: DecodeOptions) -> None:
        config, dtype, k = model.config, model.embedding.weight.dtype, options.heads
        self.batch, self.k, self.options = batch, k, options
        self._library, self._kind = library(), KINDS[dtype]
        self._packed = packed(model)
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
            config.prediction_heads, VOCAB, config.window, batch, slots, padded_slots,
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
        if options.gate is not None:
            self._call("gate", ctypes.c_float(options.gate))
        elif k > 1:
            self._price((reach - SLACK) // 2)
        self._bias_V = sayable(torch.device("cpu"))
        self._state = State.empty(batch, k, torch.device("cpu"))
        self._samples_B = torch.zeros(batch, dtype=torch.int64)
        # What the first block's drafts, PAD, were drawn from.
        self._q_BKV: Tensor | None = torch.zeros(batch, max(1, k - 1), VOCAB, dtype=torch.float64)
        self._q_BKV[:, :, PAD] = 1

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
        """Tell the C++ side what steps cost by the ids that a row feeds, half way through the text.

        Each cost is the shortest of a few, since what else runs here only ever adds.
        """
        costs_s = self._packed.costs_s
        key = (self.batch, self.k, torch.get_num_threads(), position // 256)
        if key not in costs_s:
            widths = range(1, self.k + 1)
            turns = [[self.step_s(position, width, 1) for width in widths]]
            while len(turns) < 8 and sum(map(sum, turns)) < PRICING_S:
                turns.append([self.step_s(position, width, 1) for width in widths])
            costs_s[key] = tuple(min(costs) for costs in zip(*turns, strict=True))
        self._call("price", (ctypes.c_double * self.k)(*costs_s[key]))

    def step_s(self, position: int, width: int, rounds: int) -> float:
        """The shortest of `rounds` steps with every row at `position`; ends all rows."""
        arguments = (ctypes.c_int64(value) for value in (position, width, rounds))
        return float(self._call("cost", *arguments))

    def admit(self, slot: int, ids: Sequence[int], limit: int, sample: int) -> None:
        """See Stepper. The prompt is fed in chunks, beside the rows that decode."""
        text_S = self._texts_BS[slot]
        text_S[: len(ids)] = torch.tensor(ids)
        self._call("admit", ctypes.c_int64(slot), text_S, ctypes.c_int64(len(ids)),
                   ctypes.c_int64(limit))  # fmt: skip
        self._state.positions_B[slot], self._state.limits_B[slot] = len(ids) - 1, limit
        self._state.done_B[slot] = False
        self._samples_B[slot] = sample

    def release(self, slot: int) -> None:
        """See Stepper."""
        self._call("stop", ctypes.c_int64(slot))
        self._state.done_B[slot] = True

    def run(self, steps: int) -> tuple[Tensor, Tensor]:
        """See Stepper."""
        if self.options.sampling.temperature > 0:
            return self._run_sampled(steps)
        return self._run_greedy(steps)

    def _run_greedy(self, steps: int) -> tuple[Tensor, Tensor]:
        ids = torch.zeros(steps, self.batch, self.k, dtype=torch.int64)
        counts = torch.zeros(steps, self.batch, dtype=torch.int64)
        self._call("run", ctypes.c_int64(steps), ids, counts)
        return ids, counts

    def _run_sampled(self, steps: int) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            ids, counts = zip(*(self._sample() for _ in range(steps)), strict=True)
            return torch.stack(ids), torch.stack(counts)

    def _sample(self) -> tuple[Tensor, Tensor]:
        """One step whose words are drawn here; see `bytelm.decode.sampling`."""
        B, k, state, options = self.batch, self.k, self._state, self.options.sampling
        logits_BTV = torch.zeros(B, k, VOCAB)
        widths_B = torch.zeros(B, dtype=torch.int64)
        self._call("begin", logits_BTV, widths_B)
        decoding_B = widths_B > 0
        ids_BT, at_B = verify(
            logits_BTV + self._bias_V, state.block_BT, self._q_BKV, widths_B.clamp(min=1),
            self._samples_B, state.positions_B, options,
        )  # fmt: skip
        counts_B, done_B = settle(ids_BT, at_B, state)
        # A row in prefill has said nothing yet.
        counts_B = torch.where(decoding_B, counts_B, 0)
        done_B = torch.where(decoding_B, done_B, state.done_B)
        draft_logits_BKV = torch.zeros(B, max(1, k - 1), VOCAB)
        ids_BT = ids_BT.contiguous()
        self._call("finish", ids_BT, counts_B, at_B,
                   done_B.long(), draft_logits_BKV)  # fmt: skip
        state.done_B.copy_(done_B)
        state.positions_B.add_(counts_B)
        if k > 1:
            self._offer(ids_BT.gather(1, at_B[:, None]), draft_logits_BKV + self._bias_V)
        return ids_BT, counts_B

    def _offer(self, last_B1: Tensor, logits_BKV: Tensor) -> None:
        state, options = self._state, self.options.sampling
        drafts_BK, self._q_BKV = draft_ids(logits_BKV, self._samples_B, state.positions_B, options)
        state.feed(last_B1, drafts_BK)
        # (Drafts that were drawn must all be fed: a choice among them would bend the draw.)
        sure_BK = logits_BKV.softmax(-1).amax(-1) if options.rule == "argmax" else None
        self._call("offer", drafts_BK.contiguous(), sure_BK)
