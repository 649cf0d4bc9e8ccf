// Attention backward (Dao 2023, FlashAttention-2): a block of keys at a time over the blocks of
// queries that see it. The weights are computed anew from the queries' stored log-sums.
//
// With weights W = exp(score - log sum), dW = dY V' and D = sum over channels of Y dY:
//   dScore = W (dW - D),  dV = W' dY,  dK = scale dScore' Q,  dQ = scale dScore K.
// A piece of work has a chunk of keys of one group to itself. Where a group has several chunks,
// each has sums of its own for dQ, which are then added in the chunks' order: what is computed
// depends on the sizes alone, and not on the number of threads.
#pragma once
#include <vector>
#include "call.h"

static constexpr i64 PIECES = 32;        // of work, at least, where a group may be divided
static constexpr i64 CHUNK_KEYS = 1024;  // of a chunk, at least

static inline i64 chunk_keys(const Call& call) {
  const i64 lots = call.batch * call.groups;
  const i64 most = (call.length + CHUNK_KEYS - 1) / CHUNK_KEYS;
  const i64 chunks = std::min((PIECES + lots - 1) / lots, most);
  return up_to((call.length + chunks - 1) / chunks, KEYS);
}

template <class P>
struct Backward {
  typedef typename P::Value Value;
  const Call& call;
  const i64 padded = call.padded(), units = padded / P::PAIR, pairs = KEYS / P::PAIR;
  u32 *keys, *values, *key_pairs;                      // of a block of keys
  u32 *query_rows, *out_rows, *query_pairs, *out_pairs;  // of a block of queries; out: dY
  u32 *weight_pairs, *score_pairs, *score_rows;        // W, and twice dScore
  float *dk, *dv;                                      // [channel][key] of a block of keys
  float *limits, *means;                               // [copy][position]: log sum (base 2), D
  i64 start, end;                                      // the positions that see the chunk

  // Sums for dQ, [copy][position - start][padded channels], of chunk [first, stop) of the keys.
  void piece(i64 b, i64 g, i64 first, i64 stop, float* dq) {
    static thread_local Space space;
    const i64 block = KEYS * units, square = QUERIES * pairs;
    begin(b, first, stop);
    const i64 seen = end - start, copies = call.copies();
    Parts parts{space.of(3 * block + 2 * QUERIES * units + 2 * block + 2 * square +
                         QUERIES * KEYS / P::PAIR + 2 * KEYS * padded + 2 * copies * seen +
                         16 * LANES)};
    for (u32** p : {&keys, &values, &key_pairs, &query_rows, &out_rows, &query_pairs, &out_pairs})
      *p = parts.units(block);
    for (u32** p : {&weight_pairs, &score_pairs, &score_rows}) *p = parts.units(square);
    for (float** p : {&dk, &dv}) *p = parts.floats(KEYS * padded);
    for (float** p : {&limits, &means}) *p = parts.floats(copies * seen);
    std::fill(dq, dq + copies * seen * padded, 0.0f);
    for (i64 r = 0; r < copies; ++r) recall(b, g * copies + r, r * seen);
    for (i64 key = first; key < stop; key += KEYS) {
      take_keys(b, g, key);
      const i64 last = call.blind_to(b, key, std::min(key + KEYS, call.length));
      for (i64 r = 0; r < copies; ++r)
        for (i64 t = key; t < last; t += QUERIES)
          meet({call, b, t, key}, g * copies + r, r * seen + t - start,
               dq + (r * seen + t - start) * padded);
      give(dk, call.scale(), call.dk, b, g, key);
      give(dv, 1.0f, call.dv, b, g, key);
    }
  }

  void begin(i64 b, i64 first, i64 stop) {
    start = first;
    end = up_to(call.blind_to(b, first, stop), QUERIES);
  }

  // Log-sums and D of head h's queries.
  void recall(i64 b, i64 h, i64 to) {
    const i64 count = std::min(end, call.length) - start;
    std::fill(limits + to, limits + to + end - start, 0.0f);
    std::fill(means + to, means + to + end - start, 0.0f);
    const float* log_sum = call.log_sum(b, h) + start;
    for (i64 t = 0; t < count; ++t) {
      limits[to + t] = log_sum[t] * LOG2E;
      const Value* y = call.y.at<Value>(b, start + t, h);
      const Value* dy = call.dy.at<Value>(b, start + t, h);
      float sum = 0;
      for (i64 c = 0; c < call.channels; ++c) sum += P::widen(y[c]) * P::widen(dy[c]);
      means[to + t] = sum;
    }
  }

  void take_keys(i64 b, i64 g, i64 key) {
    const i64 count = std::min(KEYS, call.length - key);
    u32* const rows = query_rows;  // free until queries come
    take_rows<P>(call.v.at<Value>(b, key, g), call.v.position, call.channels, count, KEYS, padded,
                 rows);
    transpose(rows, KEYS, units, values);
    take_rows<P>(call.k.at<Value>(b, key, g), call.k.position, call.channels, count, KEYS, padded,
                 rows);
    transpose(rows, KEYS, units, keys);
    take_pairs(rows, KEYS, padded, key_pairs, P());
    std::fill(dk, dk + KEYS * padded, 0.0f);
    std::fill(dv, dv + KEYS * padded, 0.0f);
  }

  // A block of keys meets a block of head h's queries, whose limits and means lie at `at`.
  void meet(const Meeting& meeting, i64 h, i64 at, float* dq) {
    const i64 t = meeting.query, count = std::min(QUERIES, call.length - t);
    const i64 rounded = up_to(count, 8);
    take_rows<P>(call.q.at<Value>(meeting.b, t, h), call.q.position, call.channels, count, rounded,
                 padded, query_rows);
    take_rows<P>(call.dy.at<Value>(meeting.b, t, h), call.dy.position, call.channels, count,
                 rounded, padded, out_rows);
    take_pairs(query_rows, rounded, padded, query_pairs, P());
    take_pairs(out_rows, rounded, padded, out_pairs, P());
    const bool whole = meeting.whole();
    for (i64 r = 0; r < rounded; r += ROWS) {
      if (whole) {
        weigh<false>(meeting, r, limits + at + r, means + at + r);
      } else {
        weigh<true>(meeting, r, limits + at + r, means + at + r);
      }
    }
    const i64 steps = rounded / P::PAIR;
    add_product<P>(out_pairs, 1, padded, weight_pairs, KEYS, steps, padded, dv, KEYS);
    add_product<P>(query_pairs, 1, padded, score_pairs, KEYS, steps, padded, dk, KEYS);
    if (whole) {
      add_product<P>(score_rows, pairs, 1, key_pairs, padded, pairs, rounded, dq, padded);
      return;
    }
    for (i64 r = 0; r < rounded; r += 8)
      add_product<P>(score_rows + r * pairs, pairs, 1, key_pairs, padded,
                     up_to(meeting.reach(r, 8), P::PAIR) / P::PAIR, 8, dq + r * padded, padded);
  }

  // W and dScore of ROWS queries.
  template <bool MASKED>
  void weigh(const Meeting& meeting, i64 row, const float* limit, const float* mean) {
    const float scale = call.scale() * LOG2E;
    const int vectors =
        MASKED ? (int)(meeting.reach(row, ROWS) + LANES - 1) / LANES : KEY_VECTORS;
    vf weights[ROWS][KEY_VECTORS], changes[ROWS][KEY_VECTORS];
    if (vectors) {
      score<P>(query_rows + row * units, units, keys, vectors, weights);
      for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < vectors; ++j)
          weights[r][j] = power(weights[r][j] * scale - spreadf(limit[r]), P());
      score<P>(out_rows + row * units, units, values, vectors, changes);
    }
#pragma GCC unroll 2
    for (int r = 0; r < ROWS; r += 2)
      for (int j = 0; j < KEY_VECTORS; ++j) {
        vf w[2] = {vf{}, vf{}}, d[2] = {vf{}, vf{}};
        for (int i = 0; i < 2; ++i) {
          if (j < vectors) w[i] = weights[r + i][j];
          if (MASKED && j < vectors) w[i] = choose(meeting.seen(row + r + i, j), w[i], vf{});
          if (j < vectors) d[i] = w[i] * (changes[r + i][j] - spreadf(mean[r + i]));
        }
        store_pairs(w[0], w[1], weight_pairs, row + r, j * LANES, P());
        store_pairs(d[0], d[1], score_pairs, row + r, j * LANES, P());
        store_rows<P>(d[0], score_rows, row + r, j * LANES);
        store_rows<P>(d[1], score_rows, row + r + 1, j * LANES);
      }
  }

  // The sums of a block of keys, [channel][key], as rows of the gradient.
  void give(const float* sums, float scale, const Lying& to, i64 b, i64 g, i64 key) {
    u32* const rows = weight_pairs;  // free until queries come
    static_assert(sizeof(float) == sizeof(u32), "");
    const i64 count = std::min(KEYS, call.length - key);
    for (i64 c = 0; c < padded; c += LANES) {
      transpose((const u32*)sums + c * KEYS, LANES, KEYS, rows);
      const i64 kept = std::min<i64>(LANES, call.channels - c);
      for (i64 k = 0; k < count; ++k) {
        Value narrow[LANES];
        P::narrow_lanes(loadf((const float*)rows + k * LANES) * scale, narrow);
        std::memcpy(to.at<Value>(b, key + k, g) + c, narrow, kept * sizeof(Value));
      }
    }
  }
};

// dQ of position t of head h: the chunks' sums in their order, scaled.
template <class P>
static inline void give_query(const Call& call, i64 b, i64 t, i64 h, const float* const* sums,
                              i64 chunks) {
  typedef typename P::Value Value;
  alignas(64) Value narrow[256];
  for (i64 c = 0; c < call.padded(); c += LANES) {
    vf sum = vf{};
    for (i64 i = 0; i < chunks; ++i)
      if (sums[i]) sum = sum + loadf(sums[i] + c);
    P::narrow_lanes(sum * call.scale(), narrow + c);
  }
  std::memcpy(call.dq.at<Value>(b, t, h), narrow, call.channels * sizeof(Value));
}

template <class P>
static void backward(const Call& call) {
  const i64 length = chunk_keys(call), chunks = (call.length + length - 1) / length;
  const i64 lots = call.batch * call.groups, copies = call.copies(), padded = call.padded();
  std::vector<Space> partial(chunks > 1 ? chunks * lots : 0);
  std::vector<i64> ends(chunks * lots);
  // What each position's dQ is in the chunks; null in one that it does not see.
  const auto give = [&](i64 b, i64 g, i64 t, i64 r, float* const* sums) {
    const float* own[PIECES];
    for (i64 c = 0; c < chunks; ++c) {
      const i64 start = c * length, seen = ends[c * lots + b * call.groups + g] - start;
      own[c] = t >= start && t < start + seen ? sums[c] + (r * seen + t - start) * padded : nullptr;
    }
    give_query<P>(call, b, t, g * copies + r, own, chunks);
  };
  // The first chunks are seen by most: they go first.
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)call.threads)
  for (i64 i = 0; i < lots * chunks; ++i) {
    static thread_local Space shared;
    const i64 b = i % lots / call.groups, g = i % lots % call.groups, first = i / lots * length;
    const i64 stop = std::min(first + length, call.length);
    Backward<P> work{call};
    work.begin(b, first, stop);
    ends[i] = work.end;
    float* dq = (float*)(chunks > 1 ? partial[i] : shared).of(copies * (work.end - first) * padded);
    work.piece(b, g, first, stop, dq);
    if (chunks == 1)
      for (i64 r = 0; r < copies; ++r)
        for (i64 t = 0; t < call.length; ++t) give(b, g, t, r, &dq);
  }
  if (chunks == 1) return;
#pragma omp parallel for schedule(static) num_threads((int)call.threads)
  for (i64 i = 0; i < lots * copies; ++i) {
    const i64 lot = i / copies, b = lot / call.groups, g = lot % call.groups;
    float* sums[PIECES];
    for (i64 c = 0; c < chunks; ++c) sums[c] = (float*)partial[c * lots + lot].of(0);
    for (i64 t = 0; t < call.length; ++t) give(b, g, t, i % copies, sums);
  }
}
