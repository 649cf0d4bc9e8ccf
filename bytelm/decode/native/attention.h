// Attention of a few queries over one row's cache of one key-value head, a chunk of slots at a
// time.
//
// Keys are in tiles of 16 slots, [slots / 16][units][16], so that 16 scores are one vector. Values
// are [slots / PAIR][channels][PAIR], so that 16 channels are one. Slot s holds the newest position
// p with p = s (mod slots). Scores are masked by position.
//
// A query's softmax is taken over each chunk of slots alone, and the chunks' partial results are
// then combined in order (Dao et al. 2023, flash-decoding). Chunks begin at fixed slots, and a slot
// that a query may not see adds an exact zero. So threads may share a row's chunks or its queries
// in any way without changing a bit.
#pragma once
#include <algorithm>
#include "products.h"

static constexpr i64 CHUNK_SLOTS = 128;  // the keys or the values of as many fit the L1 cache
static constexpr int TASK_QUERIES = 40;  // of a task at most

struct CacheView {  // what the slots of a row hold, and which of them a query may see
  i64 slots, window, last;  // last: the newest position that has been written
  i64 stop() const { return last + 1 < slots ? last + 1 : slots; }
  i64 chunks() const { return (stop() + CHUNK_SLOTS - 1) / CHUNK_SLOTS; }
  // Whether every one of the positions lowest..highest sees all slots [first, stop).
  bool all_visible(i64 first, i64 stop, i64 lowest, i64 highest) const {
    return last < slots && stop <= lowest + 1 && (!window || first > highest - window);
  }
  // Whether none of them sees any slot of [first, stop).
  bool none_visible(i64 first, i64 stop, i64 lowest, i64 highest) const {
    return last < slots && (first > highest || (window && stop - 1 <= lowest - window));
  }
};

// A query's partial result of a chunk: the channels of sum(w v), then the largest score and sum(w),
// where w = exp(score - largest), and room for the factor that scales it to the other chunks.
static inline i64 partial_size(i64 channels) { return channels + LANES; }

// Fetch what is one chunk of slots ahead into the L2 cache; a slot has `units` of 32 bits. (The
// hardware prefetches only within pages of 4 KB, and a chunk has several.)
static inline void fetch_next_chunk(const u32* from, i64 units) {
  __builtin_prefetch(from + CHUNK_SLOTS * units, 0, 2);
}

// The 16 slots from `at`: which positions they hold, and which of them a query sees.
struct SlotVector {
  const CacheView& view;
  vi held, written;

  SlotVector(const CacheView& view, i64 at) : view(view) {
    const i64 newest = view.last % view.slots, base = view.last - newest;
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const vi slots = lane + (int32_t)at;
    // Slots after the newest hold positions of the ring's last turn, if anything.
    const vi older = slots > (int32_t)newest;
    held = slots + (int32_t)base - (older & (int32_t)view.slots);
    written = (held >= 0) & (slots < (int32_t)view.slots);
  }
  vf masked(vf scores, i64 position) const {
    vi seen = written & (held <= (int32_t)position);
    if (view.window) seen &= held > (int32_t)(position - view.window);
    return select(seen, scores, broadcastf(-INFINITY));
  }
};

// Scores of N queries over the slots [first, stop), a multiple of 32, and their largest lanes.
template <class P, int N, bool MASKED>
static void score(const u32* q, i64 units, const u32* keys, const CacheView& view, i64 first,
                  i64 stop, const i64* positions, float scale, float* scores, vf* best) {
  for (i64 slot = first; slot < stop; slot += 2 * LANES) {
    const u32* tile = keys + slot * units;
    const u32* next = tile + LANES * units;
    vf sums[N][2];
    for (int n = 0; n < N; ++n) sums[n][0] = sums[n][1] = vf{};
    for (i64 u = 0; u < units; ++u) {
      const vu k0 = load(tile + u * LANES), k1 = load(next + u * LANES);
      fetch_next_chunk(tile + u * LANES, units);
      fetch_next_chunk(next + u * LANES, units);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const vu a = broadcast(q[n * units + u]);
        sums[n][0] = P::fma(sums[n][0], a, k0);
        sums[n][1] = P::fma(sums[n][1], a, k1);
      }
    }
    for (int half = 0; half < 2; ++half) {
      const i64 at = slot + half * LANES;
      const SlotVector slots(view, at);
      for (int n = 0; n < N; ++n) {
        vf s = sums[n][half] * scale;
        if (MASKED) s = slots.masked(s, positions[n]);
        storef(scores + n * CHUNK_SLOTS + at - first, s);
        best[n] = maximum(s, best[n]);
      }
    }
  }
}

// to[n][channels] = sums over the slots: weights of N queries times 16 * VECTORS channels of
// values.
template <class P, int N, int VECTORS>
static void accumulate_values(const u32* weights, const u32* values, i64 channels, i64 units,
                              float* const* to) {
  vf sums[N][VECTORS];
  for (int n = 0; n < N; ++n)
    for (int c = 0; c < VECTORS; ++c) sums[n][c] = vf{};
  for (i64 u = 0; u < units; ++u) {
    vu v[VECTORS];
#pragma GCC unroll 4
    for (int c = 0; c < VECTORS; ++c) {
      v[c] = load(values + u * channels + c * LANES);
      fetch_next_chunk(values + u * channels + c * LANES, channels / P::PAIR);
    }
#pragma GCC unroll 6
    for (int n = 0; n < N; ++n) {
      const vu a = broadcast(weights[n * CHUNK_SLOTS + u]);
#pragma GCC unroll 4
      for (int c = 0; c < VECTORS; ++c) sums[n][c] = P::fma(sums[n][c], a, v[c]);
    }
  }
  for (int n = 0; n < N; ++n)
    for (int c = 0; c < VECTORS; ++c) storef(to[n] + c * LANES, sums[n][c]);
}

template <class P, int N>
static inline void accumulate_all_channels(const u32* weights, const u32* values, i64 channels,
                                           i64 units, float* const* to) {
  float* at[N];
  for (i64 c = 0; c < channels;) {
    for (int n = 0; n < N; ++n) at[n] = to[n] + c;
    const i64 now = std::min<i64>((channels - c) / LANES, VALUE_VECTORS);
    const u32* from = values + c;
    switch (now) {
      case 1:
        accumulate_values<P, N, 1>(weights, from, channels, units, at);
        break;
      case 2:
        accumulate_values<P, N, 2>(weights, from, channels, units, at);
        break;
      case 3:
        accumulate_values<P, N, 3>(weights, from, channels, units, at);
        break;
      default:
        accumulate_values<P, N, 4>(weights, from, channels, units, at);
    }
    c += now * LANES;
  }
}

#if defined(BYTELM_AMX)
// `score` by AMX, for up to 16 queries. The memory of all 16 is read.
static inline void amx_score(int count, const u32* q, i64 units, const u32* keys,
                             const CacheView& view, i64 first, i64 stop, const i64* positions,
                             float scale, bool masked, float* scores, vf* best) {
  const i64 q_bytes = units * sizeof *q, line = LANES * sizeof *keys;
  asm volatile("" ::: "memory");  // memory that tiles load must be written before
  for (i64 slot = first; slot < stop; slot += 2 * LANES) {
    const u32* tile = keys + slot * units;
    const u32* next = tile + LANES * units;
    _tile_zero(0);
    _tile_zero(1);
    for (i64 u = 0; u < units; u += TILE) {
      for (i64 i = u; i < u + TILE; ++i) {
        fetch_next_chunk(tile + i * LANES, units);
        fetch_next_chunk(next + i * LANES, units);
      }
      _tile_loadd(4, q + u, q_bytes);
      _tile_loadd(5, tile + u * LANES, line);
      _tile_dpbf16ps(0, 4, 5);
      _tile_loadd(6, next + u * LANES, line);
      _tile_dpbf16ps(1, 4, 6);
    }
    _tile_stored(0, scores + slot - first, CHUNK_SLOTS * sizeof *scores);
    _tile_stored(1, scores + slot - first + LANES, CHUNK_SLOTS * sizeof *scores);
  }
  asm volatile("" ::: "memory");
  for (i64 at = first; at < stop; at += LANES) {
    const SlotVector slots(view, at);
    for (int n = 0; n < count; ++n) {
      float* const here = scores + n * CHUNK_SLOTS + at - first;
      vf s = loadf(here) * scale;
      if (masked) s = slots.masked(s, positions[n]);
      storef(here, s);
      best[n] = maximum(s, best[n]);
    }
  }
}

// `accumulate_values` by AMX, for up to 16 queries and all channels.
static inline void amx_accumulate_values(int count, const u32* weights, const u32* values,
                                         i64 channels, i64 units, float* const* to) {
  alignas(64) float sums[TILE][2 * LANES];
  const i64 weight_bytes = CHUNK_SLOTS * sizeof *weights, bytes = channels * sizeof *values;
  for (i64 c = 0; c < channels; c += 2 * LANES) {
    asm volatile("" ::: "memory");
    _tile_zero(0);
    _tile_zero(1);
    for (i64 u = 0; u < units; u += TILE) {
      const u32* from = values + u * channels + c;
      for (i64 i = 0; i < TILE; ++i) {
        fetch_next_chunk(from + i * channels, channels / BF16::PAIR);
        fetch_next_chunk(from + i * channels + LANES, channels / BF16::PAIR);
      }
      _tile_loadd(4, weights + u, weight_bytes);
      _tile_loadd(5, from, bytes);
      _tile_dpbf16ps(0, 4, 5);
      _tile_loadd(6, from + LANES, bytes);
      _tile_dpbf16ps(1, 4, 6);
    }
    _tile_stored(0, sums[0], sizeof *sums);
    _tile_stored(1, sums[0] + LANES, sizeof *sums);
    asm volatile("" ::: "memory");
    for (int n = 0; n < count; ++n) std::memcpy(to[n] + c, sums[n], sizeof *sums);
  }
}
#endif

// Whether attention runs on AMX. It depends on the model alone.
template <class P>
static inline bool amx_fits(i64 channels) {
  return TILED<P> && channels % (2 * TILE) == 0;
}

// The softmax weights of `count` queries (at most QUERIES, by AMX TILE) over a chunk. `to[n]` gets
// the largest score and the sum of the weights.
template <class P>
static inline void softmax_weights(int count, const u32* q, i64 units, const u32* keys,
                                   const CacheView& view, i64 first, i64 stop, const i64* positions,
                                   float scale, u32* weights, i64 channels, float* const* to) {
  constexpr int MOST = TILED<P> ? (int)TILE : QUERIES;
  alignas(64) float scores[MOST * CHUNK_SLOTS];
  i64 lowest = positions[0], highest = positions[0];
  for (int n = 1; n < count; ++n)
    lowest = std::min(lowest, positions[n]), highest = std::max(highest, positions[n]);
  vf best[MOST];
  for (int n = 0; n < MOST; ++n) best[n] = broadcastf(-INFINITY);
  if (!view.none_visible(first, stop, lowest, highest)) {
    const bool all_visible = view.all_visible(first, stop, lowest, highest);
#if defined(BYTELM_AMX)
    if (amx_fits<P>(channels)) {
      amx_score(count, q, units, keys, view, first, stop, positions, scale, !all_visible,
                scores, best);
    } else
#endif
#define SCORE(N)                                                              \
  case N:                                                                     \
    if constexpr (N <= QUERIES) {                                             \
      const auto run = all_visible ? score<P, N, false> : score<P, N, true>;  \
      run(q, units, keys, view, first, stop, positions, scale, scores, best); \
    }                                                                         \
    break;
      switch (count) { SCORE(1) SCORE(2) SCORE(3) SCORE(4) SCORE(5) SCORE(6) SCORE(7) SCORE(8) }
#undef SCORE
  }
  for (int n = 0; n < count; ++n) {
    const float most = reduce_max(best[n]);
    typename P::Value* weight = (typename P::Value*)(weights + n * CHUNK_SLOTS);
    vf sum = vf{};
    if (most == -INFINITY) {  // sees no slot of the chunk
      std::memset(weight, 0, (stop - first) * sizeof *weight);
    } else {
      for (i64 s = 0; s < stop - first; s += LANES) {
        const vf w = P::exp(loadf(scores + n * CHUNK_SLOTS + s) - broadcastf(most));
        sum = sum + w;
        P::narrow_lanes(w, weight + s);
      }
    }
    to[n][channels] = most;
    to[n][channels + 1] = reduce_add(sum);
  }
}

// The partial results `to[n]` of `count` <= TASK_QUERIES queries q [count][units] for chunk number
// `chunk`. All queries read the keys before any reads the values: each of the two fits the L1 cache
// alone.
template <class P>
static inline void attend_chunk(int count, const u32* q, i64 units, i64 channels, const u32* keys,
                                const u32* values, const CacheView& view, i64 chunk,
                                const i64* positions, float scale, float* const* to) {
  alignas(64) u32 weights[(TASK_QUERIES + TILE) * CHUNK_SLOTS];  // AMX reads whole tiles of rows
  const i64 first = chunk * CHUNK_SLOTS;
  const i64 last = std::min(view.stop(), first + CHUNK_SLOTS);
  const i64 stop = first + (last - first + 2 * LANES - 1) / (2 * LANES) * (2 * LANES);
  const int group = amx_fits<P>(channels) ? (int)TILE : QUERIES;
  for (int n = 0; n < count; n += group)
    softmax_weights<P>(std::min(group, count - n), q + n * units, units, keys, view, first, stop,
                       positions + n, scale, weights + n * CHUNK_SLOTS, channels, to + n);
  const i64 pairs = (stop - first) / P::PAIR;
  values += first / P::PAIR * channels;
#if defined(BYTELM_AMX)
  if (amx_fits<P>(channels)) {
    for (int n = 0; n < count; n += group)
      amx_accumulate_values(std::min(group, count - n), weights + n * CHUNK_SLOTS, values, channels,
                            pairs, to + n);
    return;
  }
#endif
  for (int n = 0; n < count;) {
    const u32* own = weights + n * CHUNK_SLOTS;
    const int left = count - n;
    const int now = left <= VALUE_QUERIES ? left : std::min((left + 1) / 2, VALUE_QUERIES);
#define ACCUMULATE(N)                                                      \
  case N:                                                                  \
    if constexpr (N <= VALUE_QUERIES)                                      \
      accumulate_all_channels<P, N>(own, values, channels, pairs, to + n); \
    break;
    switch (now) {
      ACCUMULATE(1) ACCUMULATE(2) ACCUMULATE(3) ACCUMULATE(4) ACCUMULATE(5) ACCUMULATE(6)
    }
#undef ACCUMULATE
    n += now;
  }
}

// A query's result from its chunks' partial results, which adjoin. (Never inlined, so that every
// caller runs the same instructions.)
template <class P>
__attribute__((noinline)) static void combine_chunks(float* partials, i64 chunks, i64 channels,
                                                     typename P::Value* out) {
  const i64 size = partial_size(channels);
  float most = -INFINITY, total = 0;
  for (i64 c = 0; c < chunks; ++c) most = std::max(most, partials[c * size + channels]);
  for (i64 c = 0; c < chunks; ++c) {
    float* part = partials + c * size + channels;
    part[2] = part[0] == -INFINITY ? 0 : P::exp(broadcastf(part[0] - most))[0];
    total += part[2] * part[1];
  }
  for (i64 j = 0; j < channels; j += LANES) {
    vf sum = vf{};
    for (i64 c = 0; c < chunks; ++c)
      sum = sum + partials[c * size + channels + 2] * loadf(partials + c * size + j);
    P::narrow_lanes(sum / total, out + j);
  }
}
