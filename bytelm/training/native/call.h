// What Python hands over: sizes, strides and addresses, and which keys each position sees.
#pragma once
#include "tiles.h"

struct TensorView {  // as in structs.py: (batch row, position, head, channel), channels adjoin
  void* address;
  i64 batch_stride, position_stride, head_stride;  // in values
  template <class V>
  V* at(i64 b, i64 t, i64 h) const {
    return (V*)address + b * batch_stride + t * position_stride + h * head_stride;
  }
};

struct AttentionCall {  // as in structs.py
  i64 batch, length, heads, kv_heads, channels, threads;
  const i64* first_keys;  // [batch row][position]: the first visible key; null: key 0 for all
  i64 first_keys_batch_stride;
  float* log_sums;  // [batch row][head][position]: log of the sum of exp(score)
  TensorView q, k, v, y, dy, dq, dk, dv;

  template <class P>
  i64 padded() const {
    return up_to(channels, TILED<P> ? STRIP : LANES);
  }
  i64 heads_per_group() const { return heads / kv_heads; }
  float scale() const { return 1.0f / std::sqrt((float)channels); }
  i64 first_key(i64 b, i64 t) const {
    return first_keys ? first_keys[b * first_keys_batch_stride + t] : 0;
  }
  // The first position at or after t that sees no key before `key`. (first_key never decreases.)
  i64 visible_end(i64 b, i64 t, i64 key) const {
    i64 low = t, high = length;
    if (!first_keys) return length;
    while (low < high) {
      const i64 middle = (low + high) / 2;
      if (first_key(b, middle) >= key)
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }
  float* log_sum(i64 b, i64 h) const { return log_sums + (b * heads + h) * length; }
};

// A block of queries and a block of keys of batch row b, each named by its first position.
struct BlockPair {
  const AttentionCall& call;
  i64 b, query, key;

  // Whether every query sees every key.
  bool all_visible() const {
    const i64 last = std::min(query + QUERIES, call.length) - 1;
    return key + KEYS - 1 <= query && call.first_key(b, last) <= key;
  }
  // How many of the block's keys are not after the last of the queries [row, row + rows).
  i64 visible_keys(i64 row, i64 rows) const {
    return std::max<i64>(0, std::min(KEYS, query + row + rows - key));
  }
  // The same for GROUP queries from `row`, in whole units of a product over the keys.
  template <class P>
  i64 value_units(i64 row) const {
    return up_to(visible_keys(row, GROUP<P>), TILED<P> ? STRIP : P::PAIR) / P::PAIR;
  }
  // Which keys of the block's vector number j query `row` sees.
  vi visible(i64 row, int j) const {
    const i64 t = query + row, first = call.first_key(b, std::min(t, call.length - 1));
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const vi at = lane + (int32_t)(key + j * LANES);
    return (at <= (int32_t)t) & (at >= (int32_t)first);
  }
};
