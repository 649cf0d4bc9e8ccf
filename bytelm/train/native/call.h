// What Python hands over: sizes, strides and addresses, and what each position may see.
#pragma once
#include "tiles.h"

struct Lying {  // a tensor (batch row, position, head, channel), channels side by side
  i64 address, batch, position, head;  // strides in values
  template <class V>
  V* at(i64 b, i64 t, i64 h) const {
    return (V*)address + b * batch + t * position + h * head;
  }
};

struct Call {
  i64 batch, length, heads, groups, channels, threads;
  i64 first, first_batch;  // (batch, position): the first visible key; address 0: the first of all
  i64 log_sums;            // (batch, head, position) float32: log of the sum of exp(score)
  Lying q, k, v, y, dy, dq, dk, dv;

  template <class P>
  i64 padded() const { return up_to(channels, TILED<P> ? STRIP : LANES); }
  i64 copies() const { return heads / groups; }
  float scale() const { return 1.0f / std::sqrt((float)channels); }
  i64 first_of(i64 b, i64 t) const {
    return first ? ((const i64*)first)[b * first_batch + t] : 0;
  }
  // The first position at or after t that sees no key before `key`. (first_of never decreases.)
  i64 blind_to(i64 b, i64 t, i64 key) const {
    i64 low = t, high = length;
    if (!first) return length;
    while (low < high) {
      const i64 middle = (low + high) / 2;
      if (first_of(b, middle) >= key) high = middle; else low = middle + 1;
    }
    return low;
  }
  float* log_sum(i64 b, i64 h) const { return (float*)log_sums + (b * heads + h) * length; }
};

// A block of keys beside a block of queries of batch row b, by position.
struct Meeting {
  const Call& call;
  i64 b, query, key;

  bool whole() const {
    const i64 last = std::min(query + QUERIES, call.length) - 1;
    return key + KEYS - 1 <= query && call.first_of(b, last) <= key;
  }
  // Of the block's keys, those up to which any of the queries [row, row + rows) sees.
  i64 reach(i64 row, i64 rows) const {
    return std::max<i64>(0, std::min(KEYS, query + row + rows - key));
  }
  // In units, what a product over the keys that any of GROUP queries from `row` sees goes through.
  template <class P>
  i64 units(i64 row) const {
    return up_to(reach(row, GROUP<P>), TILED<P> ? STRIP : P::PAIR) / P::PAIR;
  }
  // Which keys of the block's vector number j query `row` sees.
  vi seen(i64 row, int j) const {
    const i64 t = query + row, first = call.first_of(b, std::min(t, call.length - 1));
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const vi at = lane + (int32_t)(key + j * LANES);
    return (at <= (int32_t)t) & (at >= (int32_t)first);
  }
};
