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
  const i64 padded = call.padded<P>(), units = padded / P::PAIR, pairs = KEYS / P::PAIR;
  u32 *keys, *values, *key_pairs;                      // of a block of keys
  u32 *query_rows, *out_rows;                          // [copy][position - start]; out: dY
  u32 *query_pairs, *out_pairs;                        // of each block of these; see take_turned
  u32* rows;                                           // of a block, for a moment
  u32 *weight_pairs, *score_pairs, *score_rows;        // W, and twice dScore
  float *dk, *dv;                                      // [channel][key] of a block of keys
  float *limits, *means;                               // like query_rows: log sum (base 2), D
  float *scores, *changes;                             // AMX's products of STRIP queries
  i64 start, end;                                      // the positions that see the chunk

  // Sums for dQ, [copy][position - start][padded channels], of chunk [first, stop) of the keys.
  void piece(i64 b, i64 g, i64 first, i64 stop, float* dq) {
    static thread_local Space space;
    const i64 block = KEYS * units, square = QUERIES * pairs, copies = call.copies();
    const i64 seen = end - start, all = copies * seen;
    Parts parts{space.of(4 * block + 4 * all * units + 3 * square + 2 * KEYS * padded + 2 * all +
                         2 * STRIP * KEYS)};
    for (u32** p : {&keys, &values, &key_pairs, &rows}) *p = parts.units(block);
    for (u32** p : {&query_rows, &out_rows, &query_pairs, &out_pairs})
      *p = parts.units(all * units);
    for (u32** p : {&weight_pairs, &score_pairs, &score_rows}) *p = parts.units(square);
    for (float** p : {&dk, &dv}) *p = parts.floats(KEYS * padded);
    for (float** p : {&limits, &means}) *p = parts.floats(all);
    for (float** p : {&scores, &changes}) *p = parts.floats(STRIP * KEYS);
    std::fill(dq, dq + all * padded, 0.0f);
    for (i64 r = 0; r < copies; ++r) recall(b, g * copies + r, r * seen);
    for (i64 key = first; key < stop; key += KEYS) {
      take_keys(b, g, key);
      const i64 last = call.blind_to(b, key, std::min(key + KEYS, call.length));
      for (i64 r = 0; r < copies; ++r)
        for (i64 t = key; t < last; t += QUERIES)
          meet({call, b, t, key}, r * seen + t - start, dq + (r * seen + t - start) * padded);
      give(dk, call.scale(), call.dk, b, g, key);
      give(dv, 1.0f, call.dv, b, g, key);
    }
  }

  void begin(i64 b, i64 first, i64 stop) {
    start = first;
    end = up_to(call.blind_to(b, first, stop), QUERIES);
  }

  // What the chunk's meetings want to know of head h's queries, to row number `to`.
  void recall(i64 b, i64 h, i64 to) {
    for (i64 t = start; t < end; t += QUERIES, to += QUERIES) {
      const i64 count = std::min(QUERIES, call.length - t);
      u32 *const q = query_rows + to * units, *const dy = out_rows + to * units;
      take_rows<P>(call.q.at<Value>(b, t, h), call.q.position, call.channels, count, QUERIES,
                   padded, q);
      take_rows<P>(call.dy.at<Value>(b, t, h), call.dy.position, call.channels, count, QUERIES,
                   padded, dy);
      take_rows<P>(call.y.at<Value>(b, t, h), call.y.position, call.channels, count, QUERIES,
                   padded, rows);
      const float* log_sum = call.log_sum(b, h) + t;
      for (i64 r = 0; r < QUERIES; ++r) {
        limits[to + r] = r < count ? log_sum[r] * LOG2E : 0.0f;
        means[to + r] = dot<P>(rows + r * units, dy + r * units, units);
      }
      take_turned(q, query_pairs + to * units);
      take_turned(dy, out_pairs + to * units);
    }
  }

  // Pairs of a block of queries that products go through: [unit of queries][channel], and for AMX
  // [channel][unit of queries].
  void take_turned(const u32* from, u32* to) {
    take_pairs(from, QUERIES, padded, TILED<P> ? rows : to, P());
    if (TILED<P>) transpose(rows, QUERIES / P::PAIR, padded, to);
  }

  void take_keys(i64 b, i64 g, i64 key) {
    const i64 count = std::min(KEYS, call.length - key);
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

  // A block of keys meets a block of queries that are recalled from row number `at`.
  void meet(const Meeting& meeting, i64 at, float* dq) {
    const i64 t = meeting.query, count = std::min(QUERIES, call.length - t);
    const i64 rounded = up_to(count, GROUP<P>), steps = rounded / P::PAIR;
    const bool whole = meeting.whole();
    if (whole) weigh_all<false>(meeting, rounded, at); else weigh_all<true>(meeting, rounded, at);
    const i64 row = TILED<P> ? QUERIES / P::PAIR : 1, unit = TILED<P> ? 1 : padded;
    add_product<P>(out_pairs + at * units, row, unit, weight_pairs, KEYS, steps, padded, dv, KEYS);
    add_product<P>(query_pairs + at * units, row, unit, score_pairs, KEYS, steps, padded, dk, KEYS);
    if (whole) {
      add_product<P>(score_rows, pairs, 1, key_pairs, padded, pairs, rounded, dq, padded);
      return;
    }
    for (i64 r = 0; r < rounded; r += GROUP<P>)
      add_product<P>(score_rows + r * pairs, pairs, 1, key_pairs, padded, meeting.units<P>(r),
                     GROUP<P>, dq + r * padded, padded);
  }

  template <bool MASKED>
  void weigh_all(const Meeting& meeting, i64 rounded, i64 at) {
    for (i64 r = 0; r < rounded; r += ROWS) {
      if (r % STRIP == 0) {
        const i64 reach = MASKED ? meeting.reach(r, STRIP) : KEYS;
        score_strip<P>(query_rows + (at + r) * units, units, keys, reach, scores);
        score_strip<P>(out_rows + (at + r) * units, units, values, reach, changes);
      }
      weigh<MASKED>(meeting, r, at + r);
    }
  }

  // W and dScore of ROWS queries, recalled from row number `at`.
  template <bool MASKED>
  void weigh(const Meeting& meeting, i64 row, i64 at) {
    const float scale = call.scale() * LOG2E;
    const int vectors =
        MASKED ? (int)(meeting.reach(row, ROWS) + LANES - 1) / LANES : KEY_VECTORS;
    const i64 strip = row % STRIP * KEYS;
    vf weights[ROWS][KEY_VECTORS], slopes[ROWS][KEY_VECTORS];
    if (vectors) {
      score<P>(query_rows + at * units, units, keys, scores + strip, vectors, weights);
      for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < vectors; ++j)
          weights[r][j] = power(weights[r][j] * scale - spreadf(limits[at + r]), P());
      score<P>(out_rows + at * units, units, values, changes + strip, vectors, slopes);
    }
#pragma GCC unroll 2
    for (int r = 0; r < ROWS; r += 2)
      for (int j = 0; j < KEY_VECTORS; j += 2) {
        vf d[2][2];  // [row][vector]
        for (int v = 0; v < 2; ++v) {
          vf w[2] = {vf{}, vf{}};
          d[0][v] = d[1][v] = vf{};
          for (int i = 0; i < 2 && j + v < vectors; ++i) {
            w[i] = weights[r + i][j + v];
            if (MASKED) w[i] = choose(meeting.seen(row + r + i, j + v), w[i], vf{});
            d[i][v] = w[i] * (slopes[r + i][j + v] - spreadf(means[at + r + i]));
          }
          store_pairs(w[0], w[1], weight_pairs, row + r, (j + v) * LANES, P());
          store_pairs(d[0][v], d[1][v], score_pairs, row + r, (j + v) * LANES, P());
        }
        for (int i = 0; i < 2; ++i)
          store_rows<P>(d[i][0], d[i][1], score_rows, row + r + i, j * LANES);
      }
  }

  // The sums of a block of keys, [channel][key], as rows of the gradient.
  void give(const float* sums, float scale, const Lying& to, i64 b, i64 g, i64 key) {
    u32* const turned = weight_pairs;  // free until queries come
    static_assert(sizeof(float) == sizeof(u32), "");
    const i64 count = std::min(KEYS, call.length - key);
    for (i64 c = 0; c < call.channels; c += LANES) {
      transpose((const u32*)sums + c * KEYS, LANES, KEYS, turned);
      const i64 kept = std::min<i64>(LANES, call.channels - c);
      for (i64 k = 0; k < count; ++k) {
        Value narrow[LANES];
        P::narrow_lanes(loadf((const float*)turned + k * LANES) * scale, narrow);
        put_row(narrow, to.at<Value>(b, key + k, g) + c, kept);
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
  for (i64 c = 0; c < call.padded<P>(); c += LANES) {
    vf sum = vf{};
    for (i64 i = 0; i < chunks; ++i)
      if (sums[i]) sum = sum + loadf(sums[i] + c);
    P::narrow_lanes(sum * call.scale(), narrow + c);
  }
  put_row(narrow, call.dq.at<Value>(b, t, h), call.channels);
}

template <class P>
static void backward(const Call& call) {
  const i64 length = chunk_keys(call), chunks = (call.length + length - 1) / length;
  const i64 lots = call.batch * call.groups, copies = call.copies(), padded = call.padded<P>();
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
    const Prepared<P> prepared;
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
