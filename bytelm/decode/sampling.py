"""Exact speculative sampling: ids follow head 1's distribution, and drafts only change the speed.

Every id is sampled from head 1's distribution after temperature, top-k and top-p. The method is
from Leviathan et al. 2023 (arXiv 2211.17192) and Chen et al. 2023 (arXiv 2302.01318), with heads as
drafters as in Stern et al. 2018 (arXiv 1811.03115). There are two rules:

- "argmax": a head drafts its most probable id x. Head 1's id y is sampled with the uniform of its
  position. x is accepted iff y == x, and y is emitted in either case. So x is accepted with
  probability p(x), as in the papers for a draft with q(x) = 1. y is the id that plain sampling
  gives, so a seed gives the same ids at every k, batch and drafter.
- "sampled": a head samples x from its own distribution q. x is accepted with probability
  min(1, p(x) / q(x)), else replaced by a sample from max(0, p - q). The probability of acceptance
  is sum min(p, q) instead of p(x), which is more where p is broad and q is close to it. For one
  seed, the ids depend on k and on which drafts are fed (the gate), but not on the batch. Their
  distribution depends on none of these.

Random numbers are a function of (seed, sample, position, stream). A sample therefore does not
depend on the other rows of its batch, and the same seed repeats it. A position's uniforms can be
used in more than one step, since a draft after a rejected one is sampled again. The samples stay
exact, because the ids before a position depend only on the uniforms of the positions before it.

All arithmetic is float64. Uniforms have 53 bits, and a float32 sum over the ids would change
probabilities by 1e-7. With a few hundred ids the cost is small beside a forward. Weights are first
rounded to whole numbers (to 2^-44 of the largest for 264 ids), so their sums are exact in any
order. A kernel that adds in another order for another batch then samples the same id. All
functions have fixed shapes and never wait for the host. Options are constants to the compiler.

Shapes: B batch row, T = k position in block, V id, K head that drafts (k - 1 of them); a
leading "..." is any shape.
"""

import torch
from torch import Tensor

from bytelm.decode.options import SamplingOptions
from bytelm.decode.step import lowest_argmax

# Streams of random numbers. Each has one uniform for each position of a sample.
DRAW = 0  # for head 1's id: without drafts, after the last draft, or in place of a rejected one
ACCEPT = 1
DRAFT = 2

_MASK = 0xFFFFFFFF


def _whole(weights: Tensor) -> Tensor:
    """Scale weights of 0 to 1 to whole numbers (float64) whose sums over V are exact."""
    return (weights * 2.0 ** (53 - weights.shape[-1].bit_length())).round()


def filtered(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Float64 probabilities (..., V) of `logits` (..., V); a logit of -inf excludes its id.

    The order is temperature, then top-k, then top-p of the remaining probability, as in
    transformers. (llama.cpp by default applies the temperature last.) Top-p keeps an id if the more
    probable ids have less than `top_p` together. Of ids with equal logits the lowest are kept. The
    most probable id is always kept.
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
    """The high and low 32 bits of x * constant, computed in parts that fit into int64."""
    high = x * (constant >> 16)
    low = x * (constant & 0xFFFF)
    return (high + (low >> 16)) >> 16, (((high & 0xFFFF) << 16) + low) & _MASK


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10 (Salmon et al. 2011): four random 32-bit words from a counter and a key.

    All words are int64 tensors, of any one shape. For each key this is a bijection of the counter,
    so different counters give different words. Philox passes BigCrush on consecutive counters and
    has published test vectors; a plain multiply-and-shift hash has neither. Its 32-bit words suit
    int64 tensors, which have no unsigned shift.
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

    `samples_B`: the number (int64) of each row's sample. Samples with equal numbers have equal
    uniforms, so the samples of all prompts need different numbers.
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
    """Sample ids (...) from `probabilities` (..., V) by the uniforms `u` (...): the inverse CDF.

    The probabilities need not sum to 1, but one must be positive. An id of probability 0 is never
    sampled: the sums are exact, and u times the total is kept below the total.
    """
    shares = _whole(probabilities / probabilities.amax(-1, keepdim=True))
    sums = shares.cumsum(-1)
    whole = sums[..., -1:]
    place = (u[..., None] * whole).minimum(whole - 1)
    return (sums <= place).sum(-1)


def draft_ids(
    logits_BKV: Tensor, samples_B: Tensor, positions_B: Tensor, options: SamplingOptions
) -> tuple[Tensor, Tensor | None]:
    """Make drafts: `ids_BK` and, with the rule "sampled", the `q_BKV` that they were sampled from.

    `logits_BKV`: the logits of heads 2..k, -inf for ids that are not allowed. `positions_B`: the
    position of the next block, whose first id is the last accepted one; the drafts follow it.
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
    """Accept drafts and sample the id after them.

    Returns `ids_BT` and `at_B`, the number of accepted drafts. The first at_B + 1 entries of
    `ids_BT` are the accepted drafts and the new id.

    `block_BT`: the last accepted id and the drafts. `positions_B`: the position of the block.
    `logits_BTV`: head 1's logits after each id of the block, -inf for ids that are not allowed.
    `widths_B`: how many entries of the block are real, 1 to T; drafts after them are not accepted.
    `q_BKV`: with the rule "sampled", the distributions that the drafts were sampled from (one-hot
    for a drafter that does not sample). A width must then not depend on the drafts' values, since
    that would change the distribution.

    Rule "argmax" gives the same ids as k = 1 for the same seed, sample and position. Rule "sampled"
    gives the same distribution as k = 1. Its ids depend on k, but not on the batch.
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
    """The distribution of the id after the accepted drafts, (B, 1, V), not normalized.

    It is max(0, p - q) where a draft was rejected, and else p. If that difference is zero
    everywhere, p equals q up to rounding, and p is used.
    """
    at_B1V = at_B[:, None, None].expand(-1, 1, p_BTV.shape[2])
    p_B1V = p_BTV.gather(1, at_B1V)
    # A row whose drafts were all accepted has no q here. It reads the last one, which is not used.
    q_B1V = q_BKV.gather(1, at_B1V.clamp(max=q_BKV.shape[1] - 1))
    more_B1V = (p_B1V - q_B1V).clamp(min=0)
    use_B1V = rejected_B[:, None, None] & (more_B1V > 0).any(-1, keepdim=True)
    return torch.where(use_B1V, more_B1V, p_B1V)
