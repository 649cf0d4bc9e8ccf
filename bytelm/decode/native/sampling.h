// Sampling from exactly head 1's distribution, as bytelm/decode/sampling.py does and explains.
//
// Weights are integers, so their sums are exact in any order. Randomness is a function of (seed,
// sample, position, stream). So the same logits give the same ids as there.
#pragma once
#include <algorithm>
#include <cmath>
#include "alphabet.h"
#include "structs.h"

// Ids that decoding may choose: the bytes and EOD. All lie below ALLOWED_END.
static constexpr i64 ALLOWED_END = EOD + 1;
static inline bool allowed(i64 id) { return id < BYTES || id == EOD; }
static_assert(BYTES % LANES == 0 && EOD >= BYTES && EOD < VOCAB, "");

enum Stream { DRAW = 0, ACCEPT = 1, DRAFT = 2 };

// Whether all logits that count are finite. What is not finite gives NaN when multiplied by 0.
static inline bool all_finite(const float* logits) {
  vf zeros = vf{};
  for (i64 v = 0; v < BYTES; v += LANES) zeros = zeros + loadf(logits + v) * 0.0f;
  return reduce_add(zeros) + logits[EOD] * 0.0f == 0.0f;
}

// The most probable allowed id (of equal ones the lowest), and its probability among the allowed.
static i64 best_id(const float* logits, float* probability) {
  vf lanes = loadf(logits);
  for (i64 v = LANES; v < BYTES; v += LANES) lanes = maximum(lanes, loadf(logits + v));
  const float most = reduce_max(lanes);
  i64 best = 0;
  while (best < BYTES - 1 && logits[best] != most) ++best;
  if (logits[EOD] > most) best = EOD;
  if (probability) {
    const vf from = broadcastf(logits[best]);
    vf sum = vf{};
    for (i64 v = 0; v < BYTES; v += LANES) sum = sum + exp_accurate(loadf(logits + v) - from);
    *probability = 1.0f / (reduce_add(sum) + std::exp(logits[EOD] - logits[best]));
  }
  return best;
}

// Philox4x32-10 (Salmon et al. 2011), its first two words as a multiple of 2^-53 in [0, 1).
static inline double uniform(uint64_t seed, i64 sample, i64 position, Stream stream) {
  u32 a = (u32)sample, b = (u32)((uint64_t)sample >> 32), c = (u32)position, d = (u32)stream;
  u32 key_0 = (u32)seed, key_1 = (u32)(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = (uint64_t)a * 0xD2511F53u, second = (uint64_t)c * 0xCD9E8D57u;
    a = (u32)(second >> 32) ^ b ^ key_0, b = (u32)second;
    c = (u32)(first >> 32) ^ d ^ key_1, d = (u32)first;
    key_0 += 0x9E3779B9u, key_1 += 0xBB67AE85u;
  }
  return (double)(((uint64_t)a << 21) | (b >> 11)) * 0x1p-53;
}

// Probabilities of ids; 0 for those that are not allowed.
struct Distribution {
  double of[ALLOWED_END];
  double largest() const { return *std::max_element(of, of + ALLOWED_END); }
};

// A weight of 1 as an integer. Sums over the vocabulary stay exact in 53 bits.
static constexpr double FIXED_POINT = 0x1p44;
static_assert(VOCAB <= 512, "more ids need a smaller FIXED_POINT");

// Head 1's distribution, or a drafting head's, after temperature, top-k and top-p.
static inline void filter(const float* logits, const Sampling& options, Distribution& p) {
  double most = logits[EOD], total = 0;
  for (i64 v = 0; v < BYTES; ++v) most = std::max(most, (double)logits[v]);
  for (i64 v = 0; v < ALLOWED_END; ++v) {
    // Below e^-32 a weight rounds to 0.
    const double power = ((double)logits[v] - most) / options.temperature;
    p.of[v] = power < -32 || !allowed(v) ? 0 : std::nearbyint(std::exp(power) * FIXED_POINT);
    total += p.of[v];
  }
  if (options.top_k > 0 || options.top_p < 1) {
    i64 order[ALLOWED_END];
    i64 count = 0;
    for (i64 v = 0; v < ALLOWED_END; ++v)
      if (p.of[v] > 0) order[count++] = v;
    const auto before = [&](i64 a, i64 b) {
      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    };
    i64 kept = 0, sorted = 0;
    if (options.top_k > 0 && options.top_k < count) {
      std::partial_sort(order, order + options.top_k, order + count, before);
      for (i64 i = options.top_k; i < count; ++i) p.of[order[i]] = 0;
      count = sorted = options.top_k;
      total = 0;
      for (i64 i = 0; i < count; ++i) total += p.of[order[i]];
    }
    // Few ids hold most of the probability: sort no more of them than needed.
    for (double sum = 0; kept < count && sum < options.top_p * total; ++kept) {
      if (kept == sorted) {
        sorted = std::min(count, 2 * sorted + 8);
        std::partial_sort(order + kept, order + sorted, order + count, before);
      }
      sum += p.of[order[kept]];
    }
    for (i64 i = kept; i < count; ++i) p.of[order[i]] = 0;
    total = 0;
    for (i64 i = 0; i < kept; ++i) total += p.of[order[i]];
  }
  for (i64 v = 0; v < ALLOWED_END; ++v) p.of[v] /= total;
}

// The id at `u` (uniform in [0, 1)) of the cumulative distribution. One probability must be
// positive.
static inline i64 draw(const Distribution& p, double u) {
  const double largest = p.largest();
  double weights[ALLOWED_END], total = 0;
  for (i64 v = 0; v < ALLOWED_END; ++v)
    total += weights[v] = p.of[v] == 0 ? 0 : std::nearbyint(p.of[v] / largest * FIXED_POINT);
  const double place = std::min(u * total, total - 1);
  double sum = 0;
  for (i64 v = 0; v < ALLOWED_END - 1; ++v)
    if ((sum += weights[v]) > place) return v;
  return ALLOWED_END - 1;
}

// p becomes what the id in place of a rejected draft is drawn from: max(0, p - q), not normalized.
// If rounding leaves nothing, p and q are equal, and p stays.
static inline void subtract(Distribution& p, const Distribution& q) {
  bool any = false;
  for (i64 v = 0; v < ALLOWED_END; ++v) any |= p.of[v] > q.of[v];
  if (any)
    for (i64 v = 0; v < ALLOWED_END; ++v) p.of[v] = std::max(0.0, p.of[v] - q.of[v]);
}
