// Attention backward (Dao 2023, FlashAttention-2): one block of keys at a time, over the blocks of
// queries that see it. The weights are computed again from the queries' stored log-sums.
//
// With weights W = exp(score - log sum), dW = dY V' and D = sum over channels of Y dY:
//   dScore = W (dW - D),  dV = W' dY,  dK = scale dScore' Q,  dQ = scale dScore K.
// A task is a chunk of keys of one group (a batch row and a key-value head). Where a group has
// several chunks, each has its own sums for dQ. These are added afterwards in the chunks' order. So
// what is computed depends on the sizes alone, not on the number of threads.
#pragma once
#include <vector>
#include "call.h"
#include "parallel.h"

// A call has at least this many tasks, if its groups are long enough to be divided.
static constexpr i64 MIN_TASKS = 32;
static constexpr i64 CHUNK_KEYS = 1024;  // a chunk has at least this many

static inline i64 chunk_keys(const AttentionCall& call) {
  const i64 groups = call.batch * call.kv_heads;
  const i64 most = (call.length + CHUNK_KEYS - 1) / CHUNK_KEYS;
  const i64 chunks = std::min((MIN_TASKS + groups - 1) / groups, most);
  return up_to((call.length + chunks - 1) / chunks, KEYS);
}

template <class P>
struct BackwardTask {
  typedef typename P::Value Value;
  const AttentionCall& call;
  const i64 padded = call.padded<P>(), units = padded / P::PAIR, pairs = KEYS / P::PAIR;
  u32 *keys, *values, *key_pairs;  // of a block of keys
  u32 *query_rows, *out_rows;  // [copy][position - start]; out: dY
  u32 *query_pairs, *out_pairs;  // of each block of these; see pack_query_pairs
  u32* rows;  // of a block, while it is packed
  u32 *weight_pairs, *score_pairs, *score_rows;  // W, and twice dScore
  float *dk, *dv;  // [channel][key] of a block of keys
  float *log2_sums, *dots;  // like query_rows: log sum (base 2), D
  float *scores, *dw_strip;  // AMX's products of STRIP queries
  i64 start, end;  // the positions that see the chunk

  // dK and dV of the keys [first, stop), and this chunk's sums for dQ:
  // dq [copy][position - start][padded channels].
  void process_chunk(i64 b, i64 g, i64 first, i64 stop, float* dq) {
    static thread_local Scratch space;
    const i64 block = KEYS * units, square = QUERIES * pairs, copies = call.heads_per_group();
    const i64 queries = end - start, all = copies * queries;
    ScratchParts parts{space.of(4 * block + 4 * all * units + 3 * square + 2 * KEYS * padded +
                                2 * all + 2 * STRIP * KEYS)};
    for (u32** p : {&keys, &values, &key_pairs, &rows}) *p = parts.units(block);
    for (u32** p : {&query_rows, &out_rows, &query_pairs, &out_pairs})
      *p = parts.units(all * units);
    for (u32** p : {&weight_pairs, &score_pairs, &score_rows}) *p = parts.units(square);
    for (float** p : {&dk, &dv}) *p = parts.floats(KEYS * padded);
    for (float** p : {&log2_sums, &dots}) *p = parts.floats(all);
    for (float** p : {&scores, &dw_strip}) *p = parts.floats(STRIP * KEYS);
    std::fill(dq, dq + all * padded, 0.0f);
    for (i64 r = 0; r < copies; ++r) load_queries(b, g * copies + r, r * queries);
    for (i64 key = first; key < stop; key += KEYS) {
      load_keys(b, g, key);
      const i64 last = call.visible_end(b, key, std::min(key + KEYS, call.length));
      for (i64 r = 0; r < copies; ++r)
        for (i64 t = key; t < last; t += QUERIES)
          accumulate_gradients({call, b, t, key}, r * queries + t - start,
                               dq + (r * queries + t - start) * padded);
      store_gradient(dk, call.scale(), call.dk, b, g, key);
      store_gradient(dv, 1.0f, call.dv, b, g, key);
    }
  }

  // Find the queries that see the chunk [first, stop) of the keys.
  void begin(i64 b, i64 first, i64 stop) {
    start = first;
    end = up_to(call.visible_end(b, first, stop), QUERIES);
  }

  // Pack what is needed of head h's queries, from row number `to` on.
  void load_queries(i64 b, i64 h, i64 to) {
    for (i64 t = start; t < end; t += QUERIES, to += QUERIES) {
      const i64 count = std::min(QUERIES, call.length - t);
      u32 *const q = query_rows + to * units, *const dy = out_rows + to * units;
      pack_rows<P>(call.q.at<Value>(b, t, h), call.q.position_stride, call.channels, count, QUERIES,
                   padded, q);
      pack_rows<P>(call.dy.at<Value>(b, t, h), call.dy.position_stride, call.channels, count,
                   QUERIES, padded, dy);
      pack_rows<P>(call.y.at<Value>(b, t, h), call.y.position_stride, call.channels, count, QUERIES,
                   padded, rows);
      const float* log_sum = call.log_sum(b, h) + t;
      for (i64 r = 0; r < QUERIES; ++r) {
        log2_sums[to + r] = r < count ? log_sum[r] * LOG2E : 0.0f;
        dots[to + r] = dot<P>(rows + r * units, dy + r * units, units);
      }
      pack_query_pairs(q, query_pairs + to * units);
      pack_query_pairs(dy, out_pairs + to * units);
    }
  }

  // Pairs of a block of queries, to be summed over the queries: [unit of queries][channel], for AMX
  // [channel][unit of queries].
  void pack_query_pairs(const u32* from, u32* to) {
    pack_pairs(from, QUERIES, padded, TILED<P> ? rows : to, P());
    if (TILED<P>) transpose(rows, QUERIES / P::PAIR, padded, to);
  }

  void load_keys(i64 b, i64 g, i64 key) {
    const i64 count = std::min(KEYS, call.length - key);
    pack_rows<P>(call.v.at<Value>(b, key, g), call.v.position_stride, call.channels, count, KEYS,
                 padded, rows);
    transpose(rows, KEYS, units, values);
    pack_rows<P>(call.k.at<Value>(b, key, g), call.k.position_stride, call.channels, count, KEYS,
                 padded, rows);
    transpose(rows, KEYS, units, keys);
    pack_pairs(rows, KEYS, padded, key_pairs, P());
    std::fill(dk, dk + KEYS * padded, 0.0f);
    std::fill(dv, dv + KEYS * padded, 0.0f);
  }

  // Add to dQ, dK and dV what one pair of blocks gives. The queries are packed at row number `at`.
  void accumulate_gradients(const BlockPair& blocks, i64 at, float* dq) {
    const i64 t = blocks.query, count = std::min(QUERIES, call.length - t);
    const i64 padded_count = up_to(count, GROUP<P>), steps = padded_count / P::PAIR;
    const bool all_visible = blocks.all_visible();
    if (all_visible)
      softmax_gradient_block<false>(blocks, padded_count, at);
    else
      softmax_gradient_block<true>(blocks, padded_count, at);
    const i64 row = TILED<P> ? QUERIES / P::PAIR : 1, unit = TILED<P> ? 1 : padded;
    add_product<P>(out_pairs + at * units, row, unit, weight_pairs, KEYS, steps, padded, dv, KEYS);
    add_product<P>(query_pairs + at * units, row, unit, score_pairs, KEYS, steps, padded, dk, KEYS);
    if (all_visible) {
      add_product<P>(score_rows, pairs, 1, key_pairs, padded, pairs, padded_count, dq, padded);
      return;
    }
    for (i64 r = 0; r < padded_count; r += GROUP<P>)
      add_product<P>(score_rows + r * pairs, pairs, 1, key_pairs, padded, blocks.value_units<P>(r),
                     GROUP<P>, dq + r * padded, padded);
  }

  template <bool MASKED>
  void softmax_gradient_block(const BlockPair& blocks, i64 padded_count, i64 at) {
    for (i64 r = 0; r < padded_count; r += ROWS) {
      if (r % STRIP == 0) {
        const i64 key_count = MASKED ? blocks.visible_keys(r, STRIP) : KEYS;
        score_strip<P>(query_rows + (at + r) * units, units, keys, key_count, scores);
        score_strip<P>(out_rows + (at + r) * units, units, values, key_count, dw_strip);
      }
      softmax_gradient_rows<MASKED>(blocks, r, at + r);
    }
  }

  // W and dScore of ROWS queries, which are packed at row number `at`.
  template <bool MASKED>
  void softmax_gradient_rows(const BlockPair& blocks, i64 row, i64 at) {
    const float scale = call.scale() * LOG2E;
    const int vectors =
        MASKED ? (int)(blocks.visible_keys(row, ROWS) + LANES - 1) / LANES : KEY_VECTORS;
    const i64 strip = row % STRIP * KEYS;
    vf weights[ROWS][KEY_VECTORS], dw[ROWS][KEY_VECTORS];
    if (vectors) {
      score<P>(query_rows + at * units, units, keys, scores + strip, vectors, weights);
      score<P>(out_rows + at * units, units, values, dw_strip + strip, vectors, dw);
    }
    for (int r = 0; r < ROWS; ++r) {
      const rf log_sum = broadcast_register(log2_sums[at + r]);
      const rf mean = broadcast_register(dots[at + r]);
      for (int j = 0; j < vectors; ++j) {
        const vi visible = MASKED ? blocks.visible(row + r, j) : vi{};
#pragma GCC unroll 4
        for (int p = 0; p < PARTS; ++p) {
          rf weight = exp2_weight(part_of(weights[r][j], p) * scale - log_sum, P());
          if (MASKED) weight = select_register((ru)part_of(visible, p), weight, rf{});
          set_part(weights[r][j], p, weight);
          set_part(dw[r][j], p, weight * (part_of(dw[r][j], p) - mean));
        }
      }
      for (int j = vectors; j < KEY_VECTORS; ++j) weights[r][j] = dw[r][j] = vf{};
    }
    for (int r = 0; r < ROWS; r += 2)
      for (int j = 0; j < KEY_VECTORS; j += 2) {
        for (int v = j; v < j + 2; ++v) {
          store_pairs(weights[r][v], weights[r + 1][v], weight_pairs, row + r, v * LANES, P());
          store_pairs(dw[r][v], dw[r + 1][v], score_pairs, row + r, v * LANES, P());
        }
        for (int i = r; i < r + 2; ++i)
          store_rows<P>(dw[i][j], dw[i][j + 1], score_rows, row + i, j * LANES);
      }
  }

  // Store the sums of a block of keys, [channel][key], as rows of the gradient.
  void store_gradient(const float* sums, float scale, const TensorView& to, i64 b, i64 g, i64 key) {
    u32* const transposed = weight_pairs;  // free between two blocks of keys
    static_assert(sizeof(float) == sizeof(u32), "");
    const i64 count = std::min(KEYS, call.length - key);
    for (i64 c = 0; c < call.channels; c += LANES) {
      transpose((const u32*)sums + c * KEYS, LANES, KEYS, transposed);
      const i64 kept = std::min<i64>(LANES, call.channels - c);
      for (i64 k = 0; k < count; ++k) {
        Value narrow[LANES];
        P::narrow_lanes(loadf((const float*)transposed + k * LANES) * scale, narrow);
        copy_row(narrow, to.at<Value>(b, key + k, g) + c, kept);
      }
    }
  }
};

// Store dQ of position t of head h: the chunks' sums, added in their order, scaled.
template <class P>
static inline void store_query_gradient(const AttentionCall& call, i64 b, i64 t, i64 h,
                                        const float* const* sums, i64 chunks) {
  typedef typename P::Value Value;
  alignas(64) Value narrow[MAX_CHANNELS];
  for (i64 c = 0; c < call.padded<P>(); c += LANES) {
    vf sum = vf{};
    for (i64 i = 0; i < chunks; ++i)
      if (sums[i]) sum = sum + loadf(sums[i] + c);
    P::narrow_lanes(sum * call.scale(), narrow + c);
  }
  copy_row(narrow, call.dq.at<Value>(b, t, h), call.channels);
}

template <class P>
static void backward(const AttentionCall& call) {
  const i64 length = chunk_keys(call), chunks = (call.length + length - 1) / length;
  const i64 groups = call.batch * call.kv_heads, copies = call.heads_per_group(),
            padded = call.padded<P>();
  std::vector<Scratch> partial(chunks > 1 ? chunks * groups : 0);
  std::vector<i64> ends(chunks * groups);
  // Store one query's dQ. A chunk that the query does not see has no sums for it.
  const auto store_query = [&](i64 b, i64 g, i64 t, i64 r, float* const* sums) {
    const float* own[MIN_TASKS];
    for (i64 c = 0; c < chunks; ++c) {
      const i64 start = c * length, queries = ends[c * groups + b * call.kv_heads + g] - start;
      own[c] = t >= start && t < start + queries ? sums[c] + (r * queries + t - start) * padded
                                                 : nullptr;
    }
    store_query_gradient<P>(call, b, t, g * copies + r, own, chunks);
  };
  // Most queries see the first chunks: the longest tasks go first.
  parallel_for(groups * chunks, call.threads, [&](i64 i) {
    static thread_local Scratch shared;
    const AmxScope<P> amx_scope;
    const i64 b = i % groups / call.kv_heads, g = i % groups % call.kv_heads,
              first = i / groups * length;
    const i64 stop = std::min(first + length, call.length);
    BackwardTask<P> work{call};
    work.begin(b, first, stop);
    ends[i] = work.end;
    float* dq = (float*)(chunks > 1 ? partial[i] : shared).of(copies * (work.end - first) * padded);
    work.process_chunk(b, g, first, stop, dq);
    if (chunks == 1)
      for (i64 r = 0; r < copies; ++r)
        for (i64 t = 0; t < call.length; ++t) store_query(b, g, t, r, &dq);
  });
  if (chunks == 1) return;
  parallel_for(groups * copies, call.threads, [&](i64 i) {
    const i64 group = i / copies, b = group / call.kv_heads, g = group % call.kv_heads;
    float* sums[MIN_TASKS];
    for (i64 c = 0; c < chunks; ++c) sums[c] = (float*)partial[c * groups + group].of(0);
    for (i64 t = 0; t < call.length; ++t) store_query(b, g, t, i % copies, sums);
  });
}
