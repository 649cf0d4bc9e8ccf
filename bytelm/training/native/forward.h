// Attention forward (Dao 2023, FlashAttention-2): a block of queries at a time over the blocks of
// keys that it sees, with a running maximum and sum for each query.
#pragma once
#include "call.h"
#include "parallel.h"

static constexpr i64 CHUNK = 512;         // queries of a task, which packs its own keys
static constexpr float NO_SCORE = -1e30f;  // the maximum before any score
// A weight may reach 2^MAX_EXCESS before the running maximum follows: to follow each small rise
// would cost more.
static constexpr float MAX_EXCESS = 8.0f;

// Whether a lane of `tops` is above the limit.
static inline bool exceeds(const rf (&tops)[PARTS], float limit) {
#if defined(__AVX512F__) && !defined(BYTELM_REGISTER_LANES)
  return _mm512_cmp_ps_mask((__m512)tops[0], _mm512_set1_ps(limit), _CMP_GT_OQ);
#else
  ru found = ru{};
#pragma GCC unroll 4
  for (int p = 0; p < PARTS; ++p) found |= (ru)(tops[p] > limit);
  u32 any = 0;
#pragma GCC unroll 16
  for (int i = 0; i < REGISTER; ++i) any |= found[i];
  return any;
#endif
}

template <class P>
struct ForwardTask {
  typedef typename P::Value Value;
  const AttentionCall& call;
  const i64 padded = call.padded<P>(), units = padded / P::PAIR, pairs = KEYS / P::PAIR;
  u32 *keys_across, *value_pairs, *rows, *weights;
  float *maxima, *sums, *out;
  float* strip;  // AMX's scores of STRIP queries

  // Query chunk `number` of batch row b and key-value head g.
  void attend_chunk(i64 b, i64 g, i64 number) {
    const i64 start = number * CHUNK, stop = std::min(start + CHUNK, call.length);
    const i64 lowest = call.first_key(b, start) / KEYS * KEYS, end = up_to(stop, KEYS);
    static thread_local Scratch space;
    ScratchParts parts{space.of((end - lowest) * (units + padded / P::PAIR) + QUERIES * units +
                                QUERIES * (pairs + 1 + LANES + padded) + STRIP * KEYS + 8 * LANES)};
    keys_across = parts.units((end - lowest) * units);
    value_pairs = parts.units((end - lowest) * padded / P::PAIR);
    rows = parts.units(QUERIES * units);
    weights = parts.units(QUERIES * pairs);
    maxima = parts.floats(QUERIES);
    sums = parts.floats(QUERIES * LANES);
    out = parts.floats(QUERIES * padded);
    strip = parts.floats(STRIP * KEYS);
    for (i64 key = lowest; key < stop; key += KEYS) pack_keys_and_values(b, g, key, key - lowest);
    for (i64 h = g * call.heads_per_group(); h < (g + 1) * call.heads_per_group(); ++h)
      for (i64 t = start; t < stop; t += QUERIES) attend_queries(b, h, t, lowest);
  }

  void pack_keys_and_values(i64 b, i64 g, i64 key, i64 at) {
    const i64 count = std::min(KEYS, call.length - key);
    pack_rows<P>(call.k.at<Value>(b, key, g), call.k.position_stride, call.channels, count, KEYS,
                 padded, rows);
    transpose(rows, KEYS, units, keys_across + at * units);
    pack_rows<P>(call.v.at<Value>(b, key, g), call.v.position_stride, call.channels, count, KEYS,
                 padded, rows);
    pack_pairs(rows, KEYS, padded, value_pairs + at * padded / P::PAIR, P());
  }

  void attend_queries(i64 b, i64 h, i64 t, i64 lowest) {
    const i64 count = std::min(QUERIES, call.length - t), padded_count = up_to(count, GROUP<P>);
    pack_rows<P>(call.q.at<Value>(b, t, h), call.q.position_stride, call.channels, count,
                 padded_count, padded, rows);
    std::fill(maxima, maxima + QUERIES, NO_SCORE);
    std::fill(sums, sums + QUERIES * LANES, 0.0f);
    std::fill(out, out + QUERIES * padded, 0.0f);
    for (i64 key = call.first_key(b, t) / KEYS * KEYS; key < t + count; key += KEYS) {
      const BlockPair blocks{call, b, t, key};
      const i64 at = key - lowest;
      const u32* const values = value_pairs + at * padded / P::PAIR;
      if (blocks.all_visible()) {
        softmax_block<false>(blocks, padded_count, keys_across + at * units);
        add_product<P>(weights, pairs, 1, values, padded, pairs, padded_count, out, padded);
        continue;
      }
      softmax_block<true>(blocks, padded_count, keys_across + at * units);
      for (i64 r = 0; r < padded_count; r += GROUP<P>)
        add_product<P>(weights + r * pairs, pairs, 1, values, padded, blocks.value_units<P>(r),
                       GROUP<P>, out + r * padded, padded);
    }
    float* const log_sum = call.log_sum(b, h) + t;
    for (i64 r = 0; r < count; ++r) {
      const float sum = reduce_add(loadf(sums + r * LANES)), factor = 1.0f / sum;
      log_sum[r] = sum;
      alignas(64) Value narrow[MAX_CHANNELS];
      for (i64 c = 0; c < padded; c += LANES)
        P::narrow_lanes(loadf(out + r * padded + c) * factor, narrow + c);
      copy_row(narrow, call.y.at<Value>(b, t + r, h), call.channels);
    }
    for (i64 r = 0; r < count; ++r) log_sum[r] = maxima[r] * call.scale() + std::log(log_sum[r]);
  }

  template <bool MASKED>
  void softmax_block(const BlockPair& blocks, i64 padded_count, const u32* keys) {
    for (i64 r = 0; r < padded_count; r += ROWS) {
      if (r % STRIP == 0)
        score_strip<P>(rows + r * units, units, keys, MASKED ? blocks.visible_keys(r, STRIP) : KEYS,
                       strip);
      softmax_rows<MASKED>(blocks, r, keys);
    }
  }

  // The weights of ROWS queries, relative to their running maxima. Both sums follow a new maximum.
  template <bool MASKED>
  void softmax_rows(const BlockPair& blocks, i64 row, const u32* keys) {
    const float scale = call.scale() * LOG2E;
    const int vectors =
        MASKED ? (int)(blocks.visible_keys(row, ROWS) + LANES - 1) / LANES : KEY_VECTORS;
    vf scores[ROWS][KEY_VECTORS];
    if (vectors)
      score<P>(rows + row * units, units, keys, strip + row % STRIP * KEYS, vectors, scores);
    for (int r = 0; r < ROWS; ++r) {
      if (MASKED)
        for (int j = 0; j < vectors; ++j)
          scores[r][j] = select(blocks.visible(row + r, j), scores[r][j], broadcastf(NO_SCORE));
      follow_maximum(scores[r], vectors, row + r, scale);
      weigh<MASKED>(blocks, scores[r], vectors, row + r, scale);
    }
  }

  // The running maximum of a query follows scores that are far above it.
  void follow_maximum(const vf (&scores)[KEY_VECTORS], int vectors, i64 row, float scale) {
    rf tops[PARTS];
#pragma GCC unroll 4
    for (int p = 0; p < PARTS; ++p) tops[p] = broadcast_register(NO_SCORE);
    for (int j = 0; j < vectors; ++j)
#pragma GCC unroll 4
      for (int p = 0; p < PARTS; ++p) {
        const rf score = part_of(scores[j], p);
        tops[p] = select_register((ru)(tops[p] > score), tops[p], score);
      }
    if (!exceeds(tops, maxima[row] + MAX_EXCESS / scale)) return;
    vf top = vf{};
    for (int p = 0; p < PARTS; ++p) set_part(top, p, tops[p]);
    rescale(row, reduce_max(top), scale);
  }

  // The weights of a query's keys, and their sum.
  template <bool MASKED>
  void weigh(const BlockPair& blocks, const vf (&scores)[KEY_VECTORS], int vectors, i64 row,
             float scale) {
    const rf limit = broadcast_register(maxima[row] * scale);
    float* const row_sums = sums + row * LANES;
    for (int j = 0; j < KEY_VECTORS; j += 2) {
      vf two[2] = {vf{}, vf{}};
      for (int i = 0; i < 2 && j + i < vectors; ++i) {
        const vi visible = MASKED ? blocks.visible(row, j + i) : vi{};
#pragma GCC unroll 4
        for (int p = 0; p < PARTS; ++p) {
          rf weight = exp2_weight(part_of(scores[j + i], p) * scale - limit, P());
          if (MASKED) weight = select_register((ru)part_of(visible, p), weight, rf{});
          float* const sum = row_sums + p * REGISTER;
          store_register(sum, (rf)load_register((const u32*)sum) + weight);
          set_part(two[i], p, weight);
        }
      }
      P::narrow_two(two[0], two[1], (Value*)(weights + row * pairs) + j * LANES);
    }
  }

  void rescale(i64 row, float top, float scale) {
    const rf power = broadcast_register((maxima[row] - top) * scale);
    const vf factor = broadcastf(exp2_weight(power, P())[0]);
    maxima[row] = top;
    storef(sums + row * LANES, loadf(sums + row * LANES) * factor);
    for (i64 c = 0; c < padded; c += LANES)
      storef(out + row * padded + c, loadf(out + row * padded + c) * factor);
  }
};

template <class P>
static void forward(const AttentionCall& call) {
  const i64 chunks = (call.length + CHUNK - 1) / CHUNK, groups = call.batch * call.kv_heads;
  // The last chunks see most keys: the longest tasks go first.
  parallel_for(groups * chunks, call.threads, [&](i64 i) {
    const AmxScope<P> amx_scope;
    ForwardTask<P>{call}.attend_chunk(i % groups / call.kv_heads, i % groups % call.kv_heads,
                                      chunks - 1 - i / groups);
  });
}
