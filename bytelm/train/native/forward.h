// Attention forward (Dao 2023, FlashAttention-2): a block of queries at a time over the blocks of
// keys that it sees, with a running maximum and sum for each query.
#pragma once
#include "call.h"

static constexpr i64 CHUNK = 512;         // queries of a piece of work, which prepares its own keys
static constexpr float NOTHING = -1e30f;  // the maximum before any score
// A weight may come to 2^SLACK before the running maximum follows: most maxima are found late.
static constexpr float SLACK = 8.0f;

static inline bool exceeds(vf v, float limit) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, _mm512_set1_ps(limit), _CMP_GT_OQ);
#else
  return max_of(v) > limit;
#endif
}

template <class P>
struct Forward {
  typedef typename P::Value Value;
  const Call& call;
  const i64 padded = call.padded<P>(), units = padded / P::PAIR, pairs = KEYS / P::PAIR;
  u32 *across, *paired, *rows, *weights;
  float *most, *sums, *out;
  float* strip;  // AMX's scores of STRIP queries

  // Query chunk `number` of batch row b and group g.
  void piece(i64 b, i64 g, i64 number) {
    const i64 start = number * CHUNK, stop = std::min(start + CHUNK, call.length);
    const i64 lowest = call.first_of(b, start) / KEYS * KEYS, end = up_to(stop, KEYS);
    static thread_local Space space;
    Parts parts{space.of((end - lowest) * (units + padded / P::PAIR) + QUERIES * units +
                         QUERIES * (pairs + 1 + LANES + padded) + STRIP * KEYS +
                         8 * LANES)};
    across = parts.units((end - lowest) * units);
    paired = parts.units((end - lowest) * padded / P::PAIR);
    rows = parts.units(QUERIES * units);
    weights = parts.units(QUERIES * pairs);
    most = parts.floats(QUERIES);
    sums = parts.floats(QUERIES * LANES);
    out = parts.floats(QUERIES * padded);
    strip = parts.floats(STRIP * KEYS);
    for (i64 key = lowest; key < stop; key += KEYS) prepare(b, g, key, key - lowest);
    for (i64 h = g * call.copies(); h < (g + 1) * call.copies(); ++h)
      for (i64 t = start; t < stop; t += QUERIES) attend(b, h, t, lowest);
  }

  void prepare(i64 b, i64 g, i64 key, i64 at) {
    const i64 count = std::min(KEYS, call.length - key);
    take_rows<P>(call.k.at<Value>(b, key, g), call.k.position, call.channels, count, KEYS, padded,
                 rows);
    transpose(rows, KEYS, units, across + at * units);
    take_rows<P>(call.v.at<Value>(b, key, g), call.v.position, call.channels, count, KEYS, padded,
                 rows);
    take_pairs(rows, KEYS, padded, paired + at * padded / P::PAIR, P());
  }

  void attend(i64 b, i64 h, i64 t, i64 lowest) {
    const i64 count = std::min(QUERIES, call.length - t), rounded = up_to(count, GROUP<P>);
    take_rows<P>(call.q.at<Value>(b, t, h), call.q.position, call.channels, count, rounded, padded,
                 rows);
    std::fill(most, most + QUERIES, NOTHING);
    std::fill(sums, sums + QUERIES * LANES, 0.0f);
    std::fill(out, out + QUERIES * padded, 0.0f);
    for (i64 key = call.first_of(b, t) / KEYS * KEYS; key < t + count; key += KEYS) {
      const Meeting meeting{call, b, t, key};
      const i64 at = key - lowest;
      const u32* const values = paired + at * padded / P::PAIR;
      if (meeting.whole()) {
        weigh_all<false>(meeting, rounded, across + at * units);
        add_product<P>(weights, pairs, 1, values, padded, pairs, rounded, out, padded);
        continue;
      }
      weigh_all<true>(meeting, rounded, across + at * units);
      for (i64 r = 0; r < rounded; r += GROUP<P>)
        add_product<P>(weights + r * pairs, pairs, 1, values, padded, meeting.units<P>(r),
                       GROUP<P>, out + r * padded, padded);
    }
    float* const log_sum = call.log_sum(b, h) + t;
    for (i64 r = 0; r < count; ++r) {
      const float sum = sum_of(loadf(sums + r * LANES)), factor = 1.0f / sum;
      log_sum[r] = sum;
      alignas(64) Value narrow[256];
      for (i64 c = 0; c < padded; c += LANES)
        P::narrow_lanes(loadf(out + r * padded + c) * factor, narrow + c);
      put_row(narrow, call.y.at<Value>(b, t + r, h), call.channels);
    }
    for (i64 r = 0; r < count; ++r) log_sum[r] = most[r] * call.scale() + std::log(log_sum[r]);
  }

  template <bool MASKED>
  void weigh_all(const Meeting& meeting, i64 rounded, const u32* keys) {
    for (i64 r = 0; r < rounded; r += ROWS) {
      if (r % STRIP == 0)
        score_strip<P>(rows + r * units, units, keys, MASKED ? meeting.reach(r, STRIP) : KEYS,
                       strip);
      weigh<MASKED>(meeting, r, keys);
    }
  }

  // The weights of ROWS queries, relative to their maxima so far; both sums follow a new maximum.
  template <bool MASKED>
  void weigh(const Meeting& meeting, i64 row, const u32* keys) {
    const float scale = call.scale() * LOG2E;
    const int vectors =
        MASKED ? (int)(meeting.reach(row, ROWS) + LANES - 1) / LANES : KEY_VECTORS;
    vf scores[ROWS][KEY_VECTORS];
    if (vectors)
      score<P>(rows + row * units, units, keys, strip + row % STRIP * KEYS, vectors, scores);
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) {
      vf top = spreadf(NOTHING);
      for (int j = 0; j < vectors; ++j) {
        if (MASKED) scores[r][j] = choose(meeting.seen(row + r, j), scores[r][j], spreadf(NOTHING));
        top = larger(top, scores[r][j]);
      }
      if (exceeds(top, most[row + r] + SLACK / scale)) raise(row + r, max_of(top), scale);
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) {
      const vf limit = spreadf(most[row + r] * scale);
      vf sum = loadf(sums + (row + r) * LANES);
      for (int j = 0; j < KEY_VECTORS; j += 2) {
        vf two[2] = {vf{}, vf{}};
        for (int i = 0; i < 2; ++i) {
          if (j + i >= vectors) break;
          two[i] = power(scores[r][j + i] * scale - limit, P());
          if (MASKED) two[i] = choose(meeting.seen(row + r, j + i), two[i], vf{});
          sum = sum + two[i];
        }
        P::narrow_two(two[0], two[1], (Value*)(weights + (row + r) * pairs) + j * LANES);
      }
      storef(sums + (row + r) * LANES, sum);
    }
  }

  void raise(i64 row, float top, float scale) {
    const vf factor = power(spreadf((most[row] - top) * scale), P());
    most[row] = top;
    storef(sums + row * LANES, loadf(sums + row * LANES) * factor);
    for (i64 c = 0; c < padded; c += LANES)
      storef(out + row * padded + c, loadf(out + row * padded + c) * factor);
  }
};

template <class P>
static void forward(const Call& call) {
  const i64 chunks = (call.length + CHUNK - 1) / CHUNK, lots = call.batch * call.groups;
  // The last chunks see most: they go first, so that no thread is left with one in the end.
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)call.threads)
  for (i64 i = 0; i < lots * chunks; ++i) {
    const Prepared<P> prepared;
    Forward<P>{call}.piece(i % lots / call.groups, i % lots % call.groups, chunks - 1 - i / lots);
  }
}
