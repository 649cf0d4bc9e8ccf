"""The model: embeddings, trunk, prediction heads, one forward path, and counts of its costs.

`forward` serves training (without a cache), prefill, verifying drafts and plain decoding. These
differ only in T.

Shapes: B batch row, T position in block, S cache slot, D width, V id, R query heads of a KV head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bytelm.alphabet import PAD, VOCAB
from bytelm.base.errors import InputError
from bytelm.config import ModelConfig
from bytelm.model import work
from bytelm.model.cache import Cache
from bytelm.model.head_kinds import KINDS
from bytelm.model.heads import Drafts, Heads, Output
from bytelm.model.layers import Attend, Layer, Place, rotations
from bytelm.model.ngrams import NgramEmbedding
from bytelm.model.work import Work

# Slots and rotations past the context, so that a block that begins at the last position still fits.
SLACK = 32


class Model(nn.Module):
    """A byte-level transformer with n prediction heads. `seed`: for the random weights.

    >>> model = Model(config)
    >>> cache = model.new_cache(batch=2)
    >>> output = model(ids_BT, cache, positions_B)   # B rows of T ids, each at its own position
    >>> next_byte_BTV = model.logits(output)
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.source = "this model"
        """Where the weights are from, for errors: the checkpoint's folder."""
        # Skip torch's initialization: on the meta device it imports the compiler, which takes 1 s.
        empty = torch.empty(VOCAB, config.width)
        self.embedding = nn.Embedding(VOCAB, config.width, _weight=empty)
        self.ngrams = (
            NgramEmbedding(config.ngram_orders, config.ngram_rows, config.width)
            if config.ngram_orders
            else None
        )
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.trunk_layers))
        self.heads: Heads = KINDS[config.head_kind](config)
        self.cos_SC: Tensor
        self.sin_SC: Tensor
        self.build_constants()
        if self.embedding.weight.device.type != "meta":
            self.initialize(seed)

    def build_constants(self) -> None:
        """Compute the buffers that follow from the configuration. Needed again after `to_empty`."""
        cos, sin = rotations(self.config, self.config.context + SLACK)
        device = self.embedding.weight.device
        self.register_buffer("cos_SC", cos.to(device), persistent=False)
        self.register_buffer("sin_SC", sin.to(device), persistent=False)
        if self.ngrams is not None:
            self.ngrams.build_constants()

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Draw random weights from `seed`."""
        generator = torch.Generator(self.embedding.weight.device).manual_seed(seed)
        nn.init.normal_(self.embedding.weight, std=0.5, generator=generator)
        if self.ngrams is not None:
            nn.init.zeros_(self.ngrams.weight)
        for layer in self.trunk():
            layer.initialize(generator)
        self.heads.initialize(generator)

    def overflow(self, head: int = 1) -> InputError:
        """The error to raise for logits of head `head` (1 to n) that are not finite."""
        dtype = str(self.embedding.weight.dtype).removeprefix("torch.")
        return InputError(
            f"{self.source}: the logits of head {head} are not finite in {dtype}, though weights "
            "are; they are too large, so the model gives no text. Take an earlier checkpoint"
        )

    def trunk(self) -> list[Layer]:
        """The layers of the trunk, in order."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def new_cache(self, batch: int, slots: int | None = None) -> Cache:
        """Make an empty cache for `batch` rows, in the model's type and on its device.

        `slots`: by default the context plus SLACK. A model with a window can use fewer, but at
        least the window plus the longest block. A model without a window can use fewer if no row
        reaches further.
        """
        weight = self.embedding.weight
        slots = self.config.context + SLACK if slots is None else slots
        return Cache.of(self.config, batch, slots, weight.dtype, weight.device)

    def forward(
        self,
        ids_BT: Tensor,
        cache: Cache | None = None,
        positions_B: Tensor | None = None,
        attend: Attend | None = None,
    ) -> Output:
        """Run the trunk over a block `ids_BT` of T ids in each row; int64.

        Without a cache the block begins at position 0. With a cache, row b's block begins at
        `positions_B[b]`, attends to the earlier positions in the cache, and is written to the
        cache. The result is the input of `logits`. `attend` (see Place) is for blocks without one.
        """
        if cache is None:
            place = self.place_alone(ids_BT, attend=attend)
            history_BL = None
        else:
            assert positions_B is not None
            place = self._place_in(cache, positions_B, ids_BT.shape[1])
            assert place.flat_slots is not None
            history_BL = None
            if self.ngrams is not None:
                history_BL = cache.history(positions_B, self.ngrams.history)
                cache.write_ids(place.flat_slots, ids_BT)
        return Output(self.run_trunk(self.embed(ids_BT, history_BL), place), place)

    def embed(
        self,
        ids_BT: Tensor,
        history_BL: Tensor | None = None,
        starts_BT: Tensor | None = None,
    ) -> Tensor:
        """The trunk's input (B, T, D): embeddings of the ids, plus those of the n-grams.

        `history_BL`: the ids before the block; by default PAD. `starts_BT`: for each position, the
        index in the block where its document begins; ids before it count as PAD.
        """
        x_BTD = self.embedding(ids_BT)
        if self.ngrams is None:
            return x_BTD
        if history_BL is None:
            history_BL = ids_BT.new_full((ids_BT.shape[0], self.ngrams.history), PAD)
        return x_BTD + self.ngrams(history_BL, ids_BT, starts_BT)

    def run_trunk(self, x_BTD: Tensor, place: Place) -> Tensor:
        """Run the trunk's layers and the heads' shared `enter`: (B, T, D) -> (B, T, D)."""
        return self.heads.enter(self.run_layers(x_BTD, place))

    def run_layers(self, x_BTD: Tensor, place: Place) -> Tensor:
        """Run the trunk's layers: (B, T, D) -> (B, T, D)."""
        for layer in self.layers:
            x_BTD = layer(x_BTD, place)
        return x_BTD

    def logits(self, output: Output, head: int = 0) -> Tensor:
        """The logits (B, T, V) of head `head` at every position; 0 is the next byte's head."""
        return self.heads.logits(head, output)

    def drafts(self, k: int) -> Drafts:
        """Make the function that decoding with k heads drafts from; see Heads.drafts."""
        return self.heads.drafts(k)

    def place_alone(
        self, ids_BT: Tensor, starts_BT: Tensor | None = None, attend: Attend | None = None
    ) -> Place:
        """The place of a block without a cache, which begins at position 0.

        `starts_BT`: for each position, the index in the block where its document begins; it attends
        to no position before that. `attend`: see Place.
        """
        T = ids_BT.shape[1]
        assert len(self.cos_SC) >= T, f"a block of {T} exceeds the context"

        def within(window: int) -> Place:
            place = Place(self.cos_SC[None, :T, None], self.sin_SC[None, :T, None], attend=attend)
            if 0 < window < T or starts_BT is not None:
                at = torch.arange(T, device=ids_BT.device)
                first_BT = (at - (window or T) + 1).clamp(min=0)[None]
                if starts_BT is not None:
                    first_BT = torch.maximum(first_BT, starts_BT)
                if attend is not None:
                    place.first_BT = first_BT
                else:
                    seen_BTS = (at <= at[:, None]) & (at >= first_BT[..., None])
                    place.mask = self._additive(seen_BTS)[:, None]
            return place

        return self._with_near(within)

    def _place_in(self, cache: Cache, positions_B: Tensor, T: int) -> Place:
        positions_BT = positions_B[:, None] + torch.arange(T, device=positions_B.device)
        held_B1S = cache.held(positions_BT[:, -1:]).unsqueeze(1)
        before_BTS = (held_B1S >= 0) & (held_B1S <= positions_BT[..., None])
        copies = self.config.attention_heads // self.config.kv_heads
        cos, sin = F.embedding(positions_BT, self.cos_SC), F.embedding(positions_BT, self.sin_SC)
        flat_slots = cache.flat_slots(positions_BT)

        def within(window: int) -> Place:
            seen_BTS = before_BTS
            if window:
                seen_BTS = before_BTS & (held_B1S > positions_BT[..., None] - window)
            mask = self._additive(seen_BTS).repeat(1, copies, 1)[:, None]
            return Place(cos.unsqueeze(2), sin.unsqueeze(2), mask, cache, flat_slots)

        return self._with_near(within)

    def _with_near(self, within: Callable[[int], Place]) -> Place:
        """The place with the model's window, and beside it that with the short one, if any."""
        place = within(self.config.window)
        if self.config.short_window:
            place.near = within(self.config.short_window)
        return place

    def _additive(self, seen: Tensor) -> Tensor:
        zero = torch.zeros((), dtype=self.embedding.weight.dtype, device=seen.device)
        return torch.where(seen, zero, -torch.inf)

    # Counts of costs. Training, benchmarks and reports all use these.

    def parameters_by_part(self) -> dict[str, int]:
        """The numbers of parameters: `trunk`, `heads`, `embedding`, `tables` (n-grams), `total`."""
        parts = {
            "trunk": sum(p.numel() for p in self.layers.parameters()),
            "heads": sum(p.numel() for p in self.heads.parameters()),
            "embedding": self.embedding.weight.numel(),
            "tables": self.ngrams.weight.numel() if self.ngrams is not None else 0,
        }
        return {**parts, "total": sum(parts.values())}

    def flops_per_byte(
        self, attended: int, training: bool = False, heads: int | None = None
    ) -> int:
        """Floating-point operations per byte, with `attended` positions in view.

        `heads` is how many heads are computed, by default all of them.

        Training costs three times the forward (Kaplan et al. 2020). `bytelm.model.work` defines
        what is counted.
        """
        k = self.heads.n if heads is None else heads
        forward = work.training_flops(self.config, self.trunk(), self.heads, attended, k)
        return 3 * forward if training else forward

    def decoding_work(self, rows: int, width: int, position: int, value_bytes: int) -> Work:
        """The least work of a decoding step; see `bytelm.model.work`.

        The step feeds `width` ids (at most n) to each of `rows` rows. The cache of each row holds
        `position` positions. `value_bytes`: the size of a weight, key or value.
        """
        return work.decoding_work(
            self.config, self.trunk(), self.heads, rows, width, position, value_bytes
        )

    def kv_bytes_per_position(self, bytes_per_value: int = 4) -> int:
        """Bytes of the keys and values of all layers for one position of one row."""
        layers = self.config.trunk_layers + self.config.head_layers
        return work.kv_bytes(self.config, layers, bytes_per_value)
