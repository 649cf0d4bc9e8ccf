"""Exact speculative sampling: what head 1 draws, at the speed of the heads' drafts.

Every id is drawn from head 1's distribution after temperature, top-k and top-p; the drafts change
the speed alone (Leviathan et al. 2023, arXiv 2211.17192; Chen et al. 2023, arXiv 2302.01318; heads
as drafters: Stern et al. 2018, arXiv 1811.03115). Two rules:

- "argmax": a head drafts its best id x. Head 1's id y is drawn with the uniform of its position,
  x is accepted iff y == x, and y is emitted in either case. So x is accepted with p(x), and what
  replaces it follows p without x: the rule of the papers for a draft that is certain, coupled with
  plain sampling. One seed therefore gives the same ids at every k, batch and drafter.
- "sampled": a head draws x from its own distribution q, and x is accepted with min(1, p(x) / q(x)),
  else replaced by a draw from max(0, p - q). That accepts with sum min(p, q) in place of p(x): more
  where p is broad and q near it. For one seed the ids differ between k (only their distribution is
  equal), or in which drafts are fed
  (the gate), but not between batches.

Randomness is a function of (seed, sample, position, stream), so a sample depends neither on its
batch mates nor on the batch's size, and a seed replays it. A position's uniforms may serve in more
than one step (a draft behind a rejected one is drawn again); that keeps the draws exact, because
what is emitted before a position depends only on the uniforms of the positions before it.

Everything is float64: uniforms have 53 bits, a float32 sum over the ids would move probabilities
by 1e-7, and with a few hundred ids the cost is nothing beside a forward. Weights are rounded to
whole numbers first (2^-44 of the largest for 264 ids), so that their sums are exact in any order:
a kernel that adds differently for another batch draws the same id. All functions have fixed shapes
and never wait for the host; options are constants to a compiler.

Shapes: B batch row, T = k position in block, V id, K head that drafts (k - 1 of them); a
leading "..." is any shape.
"""

import torch
from torch import Tensor

from bytelm.decode.options import SamplingOptions
from bytelm.decode.step import lowest_argmax

# Streams of randomness: one number of each for a position of a sample.
DRAW = 0  # head 1's own draw: plain, after the last draft, or in place of a rejected one
ACCEPT = 1
DRAFT = 2

_MASK = 0xFFFFFFFF


def _whole(weights: Tensor) -> Tensor:
    """Weights of 0 to 1 as whole numbers in float64, small enough that sums over V are exact."""
    return (weights * 2.0 ** (53 - weights.shape[-1].bit_length())).round()


def filtered(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Probabilities (..., V) in float64 of `logits` (..., V), where -inf is an id not to be said.

    Temperature, then top-k, then top-p on what is left of the mass: the order of transformers
    (llama.cpp by default applies the temperature last). Top-p keeps an id if those before it hold
    less than `top_p`. Of ids with equal logits the lowest stay, and the best id always does.
    """
    if options.temperature == 0:
        ids = torch.arange(logits.shape[-1], device=logits.device)
        return (ids == lowest_argmax(logits)[..., None]).double()
    logits = logits.double()
    below = logits - logits.amax(-1, keepdim=True)
    weights = _whole((below / options.temperature).exp())
    if options.top_k > 0 or options.top_p < 1:
        order = logits.sort(dim=-1, descending=True, stable=True).indices
        ranked = weights.gather(-1, order)
        if options.top_k > 0:
            rank = torch.arange(logits.shape[-1], device=logits.device)
            ranked = torch.where(rank < options.top_k, ranked, 0)
        before = ranked.cumsum(-1) - ranked
        ranked = torch.where(before < options.top_p * ranked.sum(-1, keepdim=True), ranked, 0)
        weights = torch.zeros_like(weights).scatter(-1, order, ranked)
    return weights / weights.sum(-1, keepdim=True)


def _multiply(x: Tensor, constant: int) -> tuple[Tensor, Tensor]:
    """The high and low 32 bits of x * constant, in halves: int64 never overflows."""
    high = x * (constant >> 16)
    low = x * (constant & 0xFFFF)
    return (high + (low >> 16)) >> 16, (((high & 0xFFFF) << 16) + low) & _MASK


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10 (Salmon et al. 2011): four 32-bit words, in int64, from four and a key.

    A bijection of the counter for every key, so no two counters share a block; it passes BigCrush
    on plain counters, which a bare multiply-and-shift hash does not promise, and has published
    vectors to test against. Its 32-bit words suit int64 tensors, which have no unsigned shift.
    """
    a, b, c, d = counter
    key_0, key_1 = key
    for _ in range(10):
        high_0, low_0 = _multiply(a, 0xD2511F53)
        high_1, low_1 = _multiply(c, 0xCD9E8D57)
        a, b, c, d = high_1 ^ b ^ key_0, low_1, high_0 ^ d ^ key_1, low_0
        key_0, key_1 = (key_0 + 0x9E3779B9) & _MASK, (key_1 + 0xBB67AE85) & _MASK
    return a, b, c, d


def uniforms(seed: int, samples_B: Tensor, positions_BT: Tensor, stream: int) -> Tensor:
    """Uniforms (B, T) in [0, 1), multiples of 2^-53, by sample and position in the text.

    `samples_B` are the caller's numbers (int64) for the texts, not rows: two prompts that share
    one share their uniforms, so number the prompts' samples through.
    """
    samples_BT = samples_B[:, None].expand_as(positions_BT)
    counter = (
        samples_BT & _MASK,
        (samples_BT >> 32) & _MASK,
        positions_BT & _MASK,
        torch.full_like(positions_BT, stream),
    )
    a, b, _, _ = philox(counter, (seed & _MASK, seed >> 32))
    return ((a << 21) | (b >> 11)).double() * 2.0**-53


def draw(probabilities: Tensor, u: Tensor) -> Tensor:
    """Ids (...) drawn from `probabilities` (..., V) by the uniforms `u` (...): the inverse CDF.

    They need not sum to 1, but one must be positive. An id of probability 0 is never drawn: the
    sums are exact, and u's place is held below the whole, so it lies within some id's own share.
    """
    shares = _whole(probabilities / probabilities.amax(-1, keepdim=True))
    sums = shares.cumsum(-1)
    whole = sums[..., -1:]
    place = (u[..., None] * whole).minimum(whole - 1)
    return (sums <= place).sum(-1)


def draft_ids(
    logits_BKV: Tensor, samples_B: Tensor, positions_B: Tensor, options: SamplingOptions
) -> tuple[Tensor, Tensor | None]:
    """Drafts `ids_BK` and, under the rule "sampled", the `q_BKV` that they were drawn from.

    `logits_BKV`: the biased logits of heads 2..k. `positions_B`: where the next block's first id,
    the last accepted one, lies; the drafts lie behind it.
    """
    if options.draft_rule == "argmax":
        return lowest_argmax(logits_BKV), None
    q_BKV = filtered(logits_BKV, options)
    index_K = torch.arange(logits_BKV.shape[1], device=logits_BKV.device)
    positions_BK = positions_B[:, None] + 1 + index_K
    return draw(q_BKV, uniforms(options.seed, samples_B, positions_BK, DRAFT)), q_BKV


def verify(
    logits_BTV: Tensor,
    block_BT: Tensor,
    q_BKV: Tensor | None,
    widths_B: Tensor,
    samples_B: Tensor,
    positions_B: Tensor,
    options: SamplingOptions,
) -> tuple[Tensor, Tensor]:
    """Accept drafts and draw the id after them: `ids_BT`, and `at_B`, how many were accepted.

    The first at_B + 1 entries of `ids_BT` are the accepted drafts and the new id.
    `block_BT`: the last accepted id and the drafts; `positions_B`: where the block lies.
    `logits_BTV`: head 1's biased logits after each id of the block. `widths_B`: how many entries of
    the block are real, 1 to T; no draft past them is accepted. Under the rule "sampled", `q_BKV`
    holds what the drafts were drawn from (one-hot for a drafter that is certain), and a width must
    not depend on the drafts' values, or it would choose among them.

    Rule "argmax": the same ids as at k = 1, for the same seed, sample and position. Rule "sampled":
    the same distribution as at k = 1; the ids depend on k, but not on the batch.
    """
    T = block_BT.shape[1]
    index_T = torch.arange(T, device=block_BT.device)
    positions_BT = positions_B[:, None] + 1 + index_T
    p_BTV = filtered(logits_BTV, options)
    drafts_BK = block_BT[:, 1:]
    real_BK = index_T[1:] < widths_B[:, None]
    if options.draft_rule == "argmax" or T == 1:
        drawn_BT = draw(p_BTV, uniforms(options.seed, samples_B, positions_BT, DRAW))
        accepted_BK = drafts_BK == drawn_BT[:, :-1]
        at_B = (accepted_BK & real_BK).long().cumprod(1).sum(1)
        last_B1 = drawn_BT.gather(1, at_B[:, None])
    else:
        assert q_BKV is not None, 'the rule "sampled" needs what the drafts were drawn from'
        u_BK = uniforms(options.seed, samples_B, positions_BT[:, :-1], ACCEPT)
        p_BK = p_BTV[:, :-1].gather(2, drafts_BK[..., None])[..., 0]
        q_BK = q_BKV.gather(2, drafts_BK[..., None])[..., 0]
        at_B = ((u_BK * q_BK < p_BK) & real_BK).long().cumprod(1).sum(1)
        u_B1 = uniforms(options.seed, samples_B, positions_BT.gather(1, at_B[:, None]), DRAW)
        last_B1 = draw(_rest(p_BTV, q_BKV, at_B, at_B + 1 < widths_B), u_B1)
    ids_BT = torch.where(index_T < at_B[:, None], block_BT.roll(-1, 1), last_B1)
    return ids_BT, at_B


def _rest(p_BTV: Tensor, q_BKV: Tensor, at_B: Tensor, rejected_B: Tensor) -> Tensor:
    """What the id after the accepted drafts is drawn from, (B, 1, V), up to its sum.

    max(0, p - q) where a draft was rejected, else p. (Should rounding leave nothing of the
    difference, p and q are the same, and either will do.)
    """
    at_B1V = at_B[:, None, None].expand(-1, 1, p_BTV.shape[2])
    p_B1V = p_BTV.gather(1, at_B1V)
    # Where all drafts were accepted there is no q; any will do, as it is not used.
    q_B1V = q_BKV.gather(1, at_B1V.clamp(max=q_BKV.shape[1] - 1))
    more_B1V = (p_B1V - q_B1V).clamp(min=0)
    use_B1V = rejected_B[:, None, None] & (more_B1V > 0).any(-1, keepdim=True)
    return torch.where(use_B1V, more_B1V, p_B1V)
