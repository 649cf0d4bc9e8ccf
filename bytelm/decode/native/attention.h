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

// Tiles of 16 keys that N queries are multiplied by at a time.
template <int N>
static constexpr int TILES = registers_each(N * PARTS, N == 1 ? 4 : 2);

// Scores of N queries over the slots [from, stop), COUNT tiles at a time, and their largest lanes.
// Returns the slot where less than COUNT tiles are left. Scores are stored from slot `first` on.
template <class P, int N, int COUNT, bool MASKED>
static i64 score_tiles(const typename P::Operand* q, i64 units, const u32* keys,
                       const CacheView& view, i64 first, i64 from, i64 stop, const i64* positions,
                       float scale, float* scores, vf* best) {
  i64 slot = from;
  for (; slot + COUNT * LANES <= stop; slot += COUNT * LANES) {
    const u32* tile = keys + slot * units;
    rf sums[N][COUNT * PARTS];
    for (int n = 0; n < N; ++n)
      for (int j = 0; j < COUNT * PARTS; ++j) sums[n][j] = rf{};
    for (i64 u = 0; u < units; ++u) {
      ru k[COUNT * PARTS];
#pragma GCC unroll 16
      for (int j = 0; j < COUNT * PARTS; ++j) {
        const u32* at = tile + (j / PARTS * units + u) * LANES;
        if (j % PARTS == 0) fetch_next_chunk(at, units);
        k[j] = load_register(at + j % PARTS * REGISTER);
      }
#pragma GCC unroll 12
      for (int n = 0; n < N; ++n) {
        const auto* a = q + (n * units + u) * P::OPERANDS;
#pragma GCC unroll 16
        for (int j = 0; j < COUNT * PARTS; ++j) sums[n][j] = P::fma(sums[n][j], a, k[j]);
      }
    }
    for (int t = 0; t < COUNT; ++t) {
      const i64 at = slot + t * LANES;
      const SlotVector slots(view, at);
      for (int n = 0; n < N; ++n) {
        vf s;
        std::memcpy(&s, sums[n] + t * PARTS, sizeof s);
        s = s * scale;
        if (MASKED) s = slots.masked(s, positions[n]);
        storef(scores + n * CHUNK_SLOTS + at - first, s);
        best[n] = maximum(s, best[n]);
      }
    }
  }
  return slot;
}

// The same over the slots [first, stop), a multiple of 32.
template <class P, int N, bool MASKED>
static void score(const typename P::Operand* q, i64 units, const u32* keys, const CacheView& view,
                  i64 first, i64 stop, const i64* positions, float scale, float* scores, vf* best) {
  const i64 rest = score_tiles<P, N, TILES<N>, MASKED>(q, units, keys, view, first, first, stop,
                                                       positions, scale, scores, best);
  score_tiles<P, N, 1, MASKED>(q, units, keys, view, first, rest, stop, positions, scale, scores,
                               best);
}

// to[n][channels] = sums over the slots: weights of N queries times REGISTERS registers of values.
template <class P, int N, int REGISTERS>
static void accumulate_values(const typename P::Operand* weights, const u32* values, i64 channels,
                              i64 units, float* const* to) {
  rf sums[N][REGISTERS];
  for (int n = 0; n < N; ++n)
    for (int c = 0; c < REGISTERS; ++c) sums[n][c] = rf{};
  for (i64 u = 0; u < units; ++u) {
    ru v[REGISTERS];
#pragma GCC unroll 16
    for (int c = 0; c < REGISTERS; ++c) {
      const u32* at = values + u * channels + c * REGISTER;
      if (c * REGISTER % LANES == 0) fetch_next_chunk(at, channels / P::PAIR);
      v[c] = load_register(at);
    }
#pragma GCC unroll 12
    for (int n = 0; n < N; ++n) {
      const auto* a = weights + n * CHUNK_SLOTS + u * P::OPERANDS;
#pragma GCC unroll 16
      for (int c = 0; c < REGISTERS; ++c) sums[n][c] = P::fma(sums[n][c], a, v[c]);
    }
  }
  for (int n = 0; n < N; ++n)
    for (int c = 0; c < REGISTERS; ++c) store_register(to[n] + c * REGISTER, sums[n][c]);
}

// The same for the channels [c, channels), with at most REGISTERS registers at a time.
template <class P, int N, int REGISTERS>
static inline void accumulate_channels(const typename P::Operand* weights, const u32* values, i64 c,
                                       i64 channels, i64 units, float* const* to) {
  for (; c + REGISTERS * REGISTER <= channels; c += REGISTERS * REGISTER) {
    float* at[N];
    for (int n = 0; n < N; ++n) at[n] = to[n] + c;
    accumulate_values<P, N, REGISTERS>(weights, values + c, channels, units, at);
  }
  if constexpr (REGISTERS > 1)
    accumulate_channels<P, N, REGISTERS / 2>(weights, values, c, channels, units, to);
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
static inline void softmax_weights(int count, const typename P::Operand* q, i64 units,
                                   const u32* keys, const CacheView& view, i64 first, i64 stop,
                                   const i64* positions, float scale, typename P::Operand* weights,
                                   i64 channels, float* const* to) {
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
      amx_score(count, (const u32*)q, units, keys, view, first, stop, positions, scale, !all_visible,
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
    typename P::Operand* weight = weights + n * CHUNK_SLOTS;
    vf sum = vf{};
    if (most == -INFINITY) {  // sees no slot of the chunk
      std::memset(weight, 0, CHUNK_SLOTS * sizeof *weight);
    } else {
      for (i64 s = 0; s < stop - first; s += LANES) {
        const vf w = P::exp(loadf(scores + n * CHUNK_SLOTS + s) - broadcastf(most));
        sum = sum + w;
        P::operand_lanes(w, weight, s);
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
static inline void attend_chunk(int count, const typename P::Operand* q, i64 units, i64 channels,
                                const u32* keys, const u32* values, const CacheView& view,
                                i64 chunk, const i64* positions, float scale, float* const* to) {
  // AMX reads whole tiles of rows.
  alignas(64) typename P::Operand weights[(TASK_QUERIES + TILE) * CHUNK_SLOTS];
  const i64 first = chunk * CHUNK_SLOTS;
  const i64 last = std::min(view.stop(), first + CHUNK_SLOTS);
  const i64 stop = first + (last - first + 2 * LANES - 1) / (2 * LANES) * (2 * LANES);
  const auto [lowest, highest] = std::minmax_element(positions, positions + count);
  if (view.none_visible(first, stop, *lowest, *highest)) {  // it adds nothing: read no values
    for (int n = 0; n < count; ++n) {
      std::memset(to[n], 0, partial_size(channels) * sizeof *to[n]);
      to[n][channels] = -INFINITY;
    }
    return;
  }
  const int group = amx_fits<P>(channels) ? (int)TILE : QUERIES;
  for (int n = 0; n < count; n += group)
    softmax_weights<P>(std::min(group, count - n), q + n * units * P::OPERANDS, units, keys, view, first, stop,
                       positions + n, scale, weights + n * CHUNK_SLOTS, channels, to + n);
  const i64 pairs = (stop - first) / P::PAIR;
  values += first / P::PAIR * channels;
#if defined(BYTELM_AMX)
  if (amx_fits<P>(channels)) {
    for (int n = 0; n < count; n += group)
      amx_accumulate_values(std::min(group, count - n), (const u32*)weights + n * CHUNK_SLOTS,
                            values, channels, pairs, to + n);
    return;
  }
#endif
  for (int n = 0; n < count;) {
    const typename P::Operand* own = weights + n * CHUNK_SLOTS;
    const int left = count - n;
    const int now = left <= VALUE_QUERIES ? left : std::min((left + 1) / 2, VALUE_QUERIES);
#define ACCUMULATE(N)                                                      \
  case N:                                                                  \
    if constexpr (N <= VALUE_QUERIES)                                      \
      accumulate_channels<P, N, registers_each(N, 4 * PARTS)>(own, values, 0, channels, pairs, to + n); \
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
