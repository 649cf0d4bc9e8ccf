// Sampling from exactly head 1's distribution; what bytelm/decode/sampling.py does, and explains.
//
// Weights are whole numbers, so that their sums are exact in any order, and randomness is a function
// of (seed, sample, position, stream). The same logits give the same ids as there.
#pragma once
#include <algorithm>
#include <cmath>
#include "vectors.h"

static constexpr i64 BYTES = 256, EOD = 257, SAYABLE = 258;

enum Stream { DRAW = 0, ACCEPT = 1, DRAFT = 2 };

struct Sampling {  // as `sampling` in stepper.py, in this order
  double temperature = 0, top_p = 1;
  i64 top_k = 0, drawn_drafts = 0;  // drawn_drafts: the rule "sampled"
  uint64_t seed = 0;
};

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

// Probabilities of the sayable ids.
struct Distribution {
  double of[SAYABLE];
  double largest() const { return *std::max_element(of, of + SAYABLE); }
};

// What a weight of 1 is as a whole number: sums of a vocabulary of 264 stay exact in 53 bits.
static constexpr double WHOLE = 0x1p44;

// Head 1's distribution, or a drafting head's, after temperature, top-k and top-p.
static inline void filter(const float* logits, const Sampling& options, Distribution& p) {
  double most = logits[EOD], total = 0;
  for (i64 v = 0; v < BYTES; ++v) most = std::max(most, (double)logits[v]);
  for (i64 v = 0; v < SAYABLE; ++v) {
    // Below e^-32 a weight rounds to nothing.
    const double power = ((double)logits[v] - most) / options.temperature;
    p.of[v] = power < -32 || v == BYTES ? 0 : std::nearbyint(std::exp(power) * WHOLE);
    total += p.of[v];
  }
  if (options.top_k > 0 || options.top_p < 1) {
    i64 order[SAYABLE];
    i64 count = 0;
    for (i64 v = 0; v < SAYABLE; ++v)
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
    // Few ids hold most of it: sort no more of them than needed.
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
  for (i64 v = 0; v < SAYABLE; ++v) p.of[v] /= total;
}

// An id drawn by the uniform `u`: the inverse of the cumulative sum. Needs a positive one.
static inline i64 draw(const Distribution& p, double u) {
  const double largest = p.largest();
  double shares[SAYABLE], whole = 0;
  for (i64 v = 0; v < SAYABLE; ++v)
    whole += shares[v] = p.of[v] == 0 ? 0 : std::nearbyint(p.of[v] / largest * WHOLE);
  const double place = std::min(u * whole, whole - 1);
  double sum = 0;
  for (i64 v = 0; v < SAYABLE - 1; ++v)
    if ((sum += shares[v]) > place) return v;
  return SAYABLE - 1;
}

// p becomes what the id after a rejected draft is drawn from: max(0, p - q), up to its sum.
// (Should rounding leave nothing of it, p and q are the same, and p will do.)
static inline void subtract(Distribution& p, const Distribution& q) {
  bool any = false;
  for (i64 v = 0; v < SAYABLE; ++v) any |= p.of[v] > q.of[v];
  if (any)
    for (i64 v = 0; v < SAYABLE; ++v) p.of[v] = std::max(0.0, p.of[v] - q.of[v]);
}
