// Attention of a few queries over one row's cache of one key-value head.
//
// Keys lie in tiles of 16 slots, [slots / 16][units][16], so that 16 scores are one vector; values
// lie as [slots / PAIR][channels][PAIR], so that 16 channels are. Slot s holds the newest position
// p with p = s (mod slots). Scores are masked by position, so what lies in a slot that a query may
// not see adds an exact zero, and the order of the sums is that of the slots alone.
#pragma once
#include "vectors.h"

static constexpr int QUERIES = 8;  // a task's queries: their rows of scores stay in the L2 cache

struct View {  // what the slots of a row hold, and which of them a query may see
  i64 slots, window, last;  // last: the newest position that has been written
  i64 stop() const { return last + 1 < slots ? last + 1 : slots; }
};

// Scores of up to QUERIES queries over slots [0, stop), masked; stop is a multiple of 32.
template <class P, int N>
static inline void score(const u32* q, i64 units, const u32* keys, const View& view, i64 stop,
                         const i64* positions, float scale, float* scores, i64 stride, vf* best) {
  const i64 newest = view.last % view.slots, base = view.last - newest;
  vi lane;
  for (int i = 0; i < LANES; ++i) lane[i] = i;
  for (i64 slot = 0; slot < stop; slot += 2 * LANES) {
    const u32* tile = keys + slot * units;
    const u32* next = tile + LANES * units;
    vf sums[N][2];
    for (int n = 0; n < N; ++n) sums[n][0] = sums[n][1] = vf{};
    for (i64 u = 0; u < units; ++u) {
      const vu k0 = load(tile + u * LANES), k1 = load(next + u * LANES);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const vu a = spread(q[n * units + u]);
        sums[n][0] = P::fma(sums[n][0], a, k0);
        sums[n][1] = P::fma(sums[n][1], a, k1);
      }
    }
    for (int half = 0; half < 2; ++half) {
      const i64 first = slot + half * LANES;
      const vi at = lane + (int32_t)first;
      // Slots after the newest hold what was written a turn of the ring ago, if anything.
      const vi older = at > (int32_t)newest;
      const vi held = at + (int32_t)base - (older & (int32_t)view.slots);
      const vi real = (held >= 0) & (at < (int32_t)view.slots);
      for (int n = 0; n < N; ++n) {
        vi seen = real & (held <= (int32_t)positions[n]);
        if (view.window) seen &= held > (int32_t)(positions[n] - view.window);
        const vf masked = choose(seen, sums[n][half] * scale, spreadf(-INFINITY));
        storef(scores + n * stride + first, masked);
        best[n] = choose(masked > best[n], masked, best[n]);
      }
    }
  }
}

// sums[n] += weights of query n over the slots, times 16 * CHUNKS channels of the values.
template <class P, int N, int CHUNKS>
static inline void weigh(const u32* weights, i64 stride, const u32* values, i64 channels, i64 units,
                         const float* total, typename P::Value* const* out) {
  vf sums[N][CHUNKS];
  for (int n = 0; n < N; ++n)
    for (int c = 0; c < CHUNKS; ++c) sums[n][c] = vf{};
  for (i64 u = 0; u < units; ++u) {
    vu v[CHUNKS];
#pragma GCC unroll 4
    for (int c = 0; c < CHUNKS; ++c) v[c] = load(values + u * channels + c * LANES);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const vu a = spread(weights[n * stride + u]);
#pragma GCC unroll 4
      for (int c = 0; c < CHUNKS; ++c) sums[n][c] = P::fma(sums[n][c], a, v[c]);
    }
  }
  for (int n = 0; n < N; ++n) {
    float lanes[CHUNKS * LANES];
    for (int c = 0; c < CHUNKS; ++c) storef(lanes + c * LANES, sums[n][c]);
    for (int c = 0; c < CHUNKS * LANES; ++c) out[n][c] = P::narrow(lanes[c] / total[n]);
  }
}

template <class P, int N>
static inline void weigh_all(const u32* weights, i64 stride, const u32* values, i64 channels,
                             i64 units, const float* total, typename P::Value* const* out) {
  typename P::Value* at[N];
  for (i64 c = 0; c < channels;) {
    for (int n = 0; n < N; ++n) at[n] = out[n] + c;
    const i64 left = (channels - c) / LANES;
    const u32* from = values + c;
    if (left >= 4) weigh<P, N, 4>(weights, stride, from, channels, units, total, at), c += 64;
    else if (left == 3) weigh<P, N, 3>(weights, stride, from, channels, units, total, at), c += 48;
    else if (left == 2) weigh<P, N, 2>(weights, stride, from, channels, units, total, at), c += 32;
    else weigh<P, N, 1>(weights, stride, from, channels, units, total, at), c += 16;
  }
}

// Attention of `count` <= QUERIES queries: q [count][units], out[n] -> channels values.
// `scratch` holds QUERIES rows of scores and as many of weights, `stride` floats each.
template <class P>
static inline void attend(int count, const u32* q, i64 units, i64 channels, const u32* keys,
                          const u32* values, const View& view, const i64* positions, float scale,
                          float* scratch, i64 stride, typename P::Value* const* out) {
  const i64 stop = (view.stop() + 31) / 32 * 32;
  vf best[QUERIES];
  for (int n = 0; n < QUERIES; ++n) best[n] = spreadf(-INFINITY);
#define SCORE(N) \
  case N: score<P, N>(q, units, keys, view, stop, positions, scale, scratch, stride, best); break;
  switch (count) { SCORE(1) SCORE(2) SCORE(3) SCORE(4) SCORE(5) SCORE(6) SCORE(7) SCORE(8) }
#undef SCORE
  float* weights = scratch + QUERIES * stride;
  float total[QUERIES];
  for (int n = 0; n < count; ++n) {
    const vf most = spreadf(max_of(best[n]));
    const float* row = scratch + n * stride;
    typename P::Value* to = (typename P::Value*)(weights + n * stride);
    vf sum = vf{};
    for (i64 s = 0; s < stop; s += LANES) {
      const vf w = exponential(loadf(row + s) - most);
      sum = sum + w;
      float lanes[LANES];
      storef(lanes, w);
      for (int i = 0; i < LANES; ++i) to[s + i] = P::narrow(lanes[i]);
    }
    total[n] = sum_of(sum);
  }
  const u32* from = (const u32*)weights;
  const i64 pairs = stop / P::PAIR;
  for (int n = 0; n < count; n += 4) {
    const u32* own = from + n * stride;
    switch (count - n) {
      case 1: weigh_all<P, 1>(own, stride, values, channels, pairs, total + n, out + n); break;
      case 2: weigh_all<P, 2>(own, stride, values, channels, pairs, total + n, out + n); break;
      case 3: weigh_all<P, 3>(own, stride, values, channels, pairs, total + n, out + n); break;
      default: weigh_all<P, 4>(own, stride, values, channels, pairs, total + n, out + n);
    }
  }
}
