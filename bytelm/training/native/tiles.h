// The parts of attention: small products that stay in registers, and the layouts they read.
//
// All five products of attention (scores, their gradient, and the sums over keys or over queries)
// are one: to[row][lanes] += sum over units of a[row][unit], spread over the lanes, times
// b[unit][lanes]. A unit is one float32 or two neighbouring bfloat16 along what is summed over. So
// each matrix has at most three layouts:
//   rows   [row][unit of channels]         the matrix as it is given, channels padded to whole
//   vectors across [unit of channels][row]         rows are lanes: keys against a query's row pairs
//   [unit of rows][channel]         channels are lanes: values under a query's weights
#pragma once
#include <algorithm>
#include <memory>
#include "strip.h"

static constexpr i64 KEYS = 64;     // of a block of keys
static constexpr i64 QUERIES = 64;  // of a block of queries
static constexpr int ROWS = 4;      // of a tile of scores
static constexpr i64 MAX_CHANNELS = 256;  // of a head: attend.py's MAX_HEAD_SIZE
static constexpr int KEY_VECTORS = KEYS / LANES;
template <class P>
static constexpr i64 GROUP = TILED<P> ? STRIP : 8;  // rows that products take together

// Rows x vectors of a product that fit the registers.
#if defined(__AVX512F__)
static constexpr int WIDE = 4;
#else
static constexpr int WIDE = 1;
#endif

static inline i64 up_to(i64 n, i64 multiple) { return (n + multiple - 1) / multiple * multiple; }

// A thread's own buffer that only grows, in units of 32 bits, aligned to vectors.
class Scratch {
 public:
  u32* of(i64 units) {
    if (units > size_) {
      memory_.reset(new (std::align_val_t(64)) u32[units]);
      size_ = units;
    }
    return memory_.get();
  }

 private:
  struct Delete {
    void operator()(u32* p) const { ::operator delete[](p, std::align_val_t(64)); }
  };
  std::unique_ptr<u32[], Delete> memory_;
  i64 size_ = 0;
};

// Hands out parts of a Scratch, one after the other.
struct ScratchParts {
  u32* next;
  u32* units(i64 count) {
    u32* const here = next;
    next += up_to(count, LANES);
    return here;
  }
  float* floats(i64 count) { return (float*)units(count); }
};

// 2^x for x <= 0, and 2^-100 below -100: softmax's weights, where 2^-100 counts as 0.
static constexpr float MIN_EXPONENT = -100.0f;
// Coefficients from the highest power. BF16: right to 7e-5 of itself, a 25th of bfloat16's
// rounding.
static constexpr float EXP2_BF16[] = {5.517166722e-2f, 2.426111221e-1f, 6.932609858e-1f,
                                      9.999280736e-1f};
// Right to float32's last bits.
static constexpr float EXP2_F32[] = {1.534581190e-4f, 1.339993122e-3f, 9.618488957e-3f,
                                     5.550328777e-2f, 2.402264689e-1f, 6.931472057e-1f, 1.0f};

template <int COUNT>
static inline rf exp2_register(rf x, const float (&coefficients)[COUNT]) {
  const rf lowest = broadcast_register(MIN_EXPONENT);
  // In this order what is not a number stays that.
  x = select_register((ru)(lowest > x), lowest, x);
  const rf n = x + ROUND_MAGIC, f = x - (n - ROUND_MAGIC);
  rf y = rf{} + coefficients[0];
#pragma GCC unroll 8
  for (int i = 1; i < COUNT; ++i) y = y * f + coefficients[i];
  return (rf)((ru)y + ((ru)n << 23));
}
static inline rf exp2_weight(rf x, BF16) { return exp2_register(x, EXP2_BF16); }
static inline rf exp2_weight(rf x, F32) { return exp2_register(x, EXP2_F32); }

// Two rows of 16 lanes as one vector of pairs along the rows (bfloat16 only).
#define LOW_HIGH(i) i, i + 16
static inline vu pairs_of(vf a, vf b) {
#if defined(__AVX512BF16__)
  typedef uint16_t vh32 __attribute__((vector_size(64)));
  const vh32 both = (vh32)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
  return (vu)__builtin_shufflevector(both, both, LOW_HIGH(0), LOW_HIGH(1), LOW_HIGH(2), LOW_HIGH(3),
                                     LOW_HIGH(4), LOW_HIGH(5), LOW_HIGH(6), LOW_HIGH(7),
                                     LOW_HIGH(8), LOW_HIGH(9), LOW_HIGH(10), LOW_HIGH(11),
                                     LOW_HIGH(12), LOW_HIGH(13), LOW_HIGH(14), LOW_HIGH(15));
#else
  const vu x = (vu)a + 0x7fffu + (((vu)a >> 16) & 1u), y = (vu)b + 0x7fffu + (((vu)b >> 16) & 1u);
  return (x >> 16) | (y & broadcast(0xffff0000u));
#endif
}
#undef LOW_HIGH

// Store rows q and q + 1 (q even) of 16 keys, from key number k: as pairs, and as rows.
static inline void store_pairs(vf a, vf b, u32* pairs, i64 q, i64 k, BF16) {
  const vu both = pairs_of(a, b);
  std::memcpy(pairs + q / 2 * KEYS + k, &both, sizeof both);
}
static inline void store_pairs(vf a, vf b, u32* pairs, i64 q, i64 k, F32) {
  storef((float*)pairs + q * KEYS + k, a);
  storef((float*)pairs + (q + 1) * KEYS + k, b);
}
template <class P>
static inline void store_rows(vf a, vf b, u32* rows, i64 q, i64 k) {
  P::narrow_two(a, b, (typename P::Value*)rows + q * KEYS + k);
}

// `count` channels of a row of a result.
template <class V>
static inline void copy_row(const V* from, V* to, i64 count) {
  for (; count >= LANES; count -= LANES, from += LANES, to += LANES)
    std::memcpy(to, from, LANES * sizeof *to);  // of a size that is known to the compiler: no call
  if (count > 0) std::memcpy(to, from, count * sizeof *to);
}

// The sums of N rows x VECTORS vectors, in registers. They are never copied several registers at a
// time: the compiler would keep them in memory for good.
template <int N, int VECTORS>
struct Sums {
  rf parts[N][VECTORS][PARTS];

  // with(r, at, sum): register `sum` of row r begins at lane `at`.
  template <class With>
  inline __attribute__((always_inline)) void each(With with) {
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r)
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j)
#pragma GCC unroll 4
        for (int p = 0; p < PARTS; ++p) with(r, j * LANES + p * REGISTER, parts[r][j][p]);
  }

  // Add a[r * row + u * unit] x vector j of b[u * width].
  template <class P>
  inline __attribute__((always_inline)) void add(const u32* a, i64 row, i64 unit, const u32* b,
                                                 i64 width, i64 units) {
    for (i64 u = 0; u < units; ++u, a += unit, b += width)
#pragma GCC unroll 8
      for (int r = 0; r < N; ++r) {
        const u32 one = a[r * row];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j)
#pragma GCC unroll 4
          for (int p = 0; p < PARTS; ++p)
            parts[r][j][p] = P::fma_unit(parts[r][j][p], one,
                                         load_register(b + j * LANES + p * REGISTER));
      }
  }
};

template <class P, int N, int VECTORS>
static inline void add_tile(const u32* a, i64 row, i64 unit, const u32* b, i64 width, i64 units,
                            float* to, i64 to_row) {
  Sums<N, VECTORS> sums;
  sums.each([&](int r, int at, rf& sum) { sum = (rf)load_register((u32*)to + r * to_row + at); });
  sums.template add<P>(a, row, unit, b, width, units);
  sums.each([&](int r, int at, rf& sum) { store_register(to + r * to_row + at, sum); });
}

// to[row][0, width) += the product; `rows` is a multiple of GROUP, `width` of LANES. By AMX, `unit`
// is 1, and all are multiples of STRIP.
template <class P>
static inline void add_product(const u32* a, i64 row, i64 unit, const u32* b, i64 width, i64 units,
                               i64 rows, float* to, i64 to_row) {
  if constexpr (TILED<P>) {
    for (i64 c = 0; c < width; c += STRIP)
      for (i64 r = 0; r < rows; r += STRIP)
        tile_product<true>(a + r * row, row, b + c, width, units / LANES, to + r * to_row + c,
                           to_row);
    return;
  }
  for (i64 c = 0; c < width;) {
    const i64 left = (width - c) / LANES;
    const i64 now = WIDE == 1 || left == 1 ? 1 : left >= 4 ? 4 : 2, step = now == 4 ? 4 : 8;
    for (i64 r = 0; r < rows; r += step) {
      const u32* from = a + r * row;
      float* at = to + r * to_row + c;
      if (now == 4) {
        add_tile<P, 4, WIDE>(from, row, unit, b + c, width, units, at, to_row);
      } else if (now == 2) {
        add_tile<P, 8, WIDE == 1 ? 1 : 2>(from, row, unit, b + c, width, units, at, to_row);
      } else if constexpr (WIDE == 1) {
        add_tile<P, 4, 1>(from, row, unit, b + c, width, units, at, to_row);
        add_tile<P, 4, 1>(from + 4 * row, row, unit, b + c, width, units, at + 4 * to_row, to_row);
      } else {
        add_tile<P, 8, 1>(from, row, unit, b + c, width, units, at, to_row);
      }
    }
    c += now * LANES;
  }
}

template <class P, int V>
static inline void score_tile(const u32* rows, i64 units, const u32* across,
                              vf (&scores)[ROWS][KEY_VECTORS], int first) {
  Sums<ROWS, V> sums;
  sums.each([](int, int, rf& sum) { sum = rf{}; });
  sums.template add<P>(rows, units, 1, across + first * LANES, KEYS, units);
  sums.each([&](int r, int at, rf& sum) {
    store_register((float*)scores[r] + first * LANES + at, sum);
  });
}

// Scores of ROWS rows (units of channels) against the first `vectors` x 16 keys of a block. AMX
// has them in memory already.
template <class P>
static inline void score(const u32* rows, i64 units, const u32* across, const float* strip,
                         int vectors, vf (&scores)[ROWS][KEY_VECTORS]) {
  if (TILED<P>) {
    for (int r = 0; r < ROWS; ++r)
      for (int j = 0; j < vectors; ++j) scores[r][j] = loadf(strip + r * KEYS + j * LANES);
    return;
  }
  if (WIDE == 1) {
    for (int j = 0; j < vectors; ++j) score_tile<P, 1>(rows, units, across, scores, j);
    return;
  }
  switch (vectors) {
    case 1:
      return score_tile<P, 1>(rows, units, across, scores, 0);
    case 2:
      return score_tile<P, 2>(rows, units, across, scores, 0);
    case 3:
      return score_tile<P, 3>(rows, units, across, scores, 0);
    default:
      return score_tile<P, KEY_VECTORS>(rows, units, across, scores, 0);
  }
}

// AMX's scores of STRIP rows against the keys of a block up to number `reach`.
template <class P>
static inline void score_strip(const u32* rows, i64 units, const u32* across, i64 reach,
                               float* strip) {
  if constexpr (TILED<P>)
    for (i64 k = 0; k < reach; k += STRIP)
      tile_product<false>(rows, units, across + k, KEYS, units / LANES, strip + k, KEYS);
}

// The layouts. `from` is a matrix whose rows are `stride` values apart. `count` rows exist; the
// rest, and the channels beyond `channels`, become zero.

template <class P>
static inline void pack_rows(const typename P::Value* from, i64 stride, i64 channels, i64 count,
                             i64 rows, i64 padded, u32* to) {
  if (channels == padded && padded % (LANES * P::PAIR) == 0) {  // in whole vectors
    for (i64 r = 0; r < count; ++r)
      for (i64 c = 0; c < padded; c += LANES * P::PAIR, to += LANES)
        std::memcpy(to, from + r * stride + c, LANES * sizeof *to);
    std::fill(to, to + (rows - count) * padded / P::PAIR, 0u);
    return;
  }
  auto* at = (typename P::Value*)to;
  for (i64 r = 0; r < rows; ++r, at += padded) {
    const i64 kept = r < count ? channels : 0;
    if (kept) std::memcpy(at, from + r * stride, kept * sizeof *at);
    std::memset((void*)(at + kept), 0, (padded - kept) * sizeof *at);
  }
}

// rows [rows][padded / PAIR] -> pairs [rows / PAIR][padded].
static inline void pack_pairs(const u32* rows, i64 count, i64 padded, u32* to, BF16) {
  for (i64 r = 0; r < count; r += 2, rows += padded)
    for (i64 c = 0; c < padded; c += LANES, to += LANES) {
      vh low, high;
      std::memcpy(&low, rows + c / 2, sizeof low);
      std::memcpy(&high, rows + (padded + c) / 2, sizeof high);
      const vu pairs = __builtin_convertvector(low, vu) | __builtin_convertvector(high, vu) << 16;
      std::memcpy(to, &pairs, sizeof pairs);
    }
}
static inline void pack_pairs(const u32* rows, i64 count, i64 padded, u32* to, F32) {
  std::memcpy(to, rows, count * padded * sizeof *to);
}

// A vector; or, where only `count` = LANES / 2 values are left, its first half and zeros.
static inline vu load_part(const u32* p, i64 count) {
  if (count >= LANES) return load(p);
  vu v = vu{};
  std::memcpy(&v, p, LANES / 2 * sizeof *p);
  return v;
}

template <class P>
static inline float dot(const u32* a, const u32* b, i64 units) {
  vf sum = vf{};
  for (i64 u = 0; u < units; u += LANES) {
    sum = P::fma(sum, load_part(a + u, units - u), load_part(b + u, units - u));
  }
  return reduce_add(sum);
}

// rows [count][columns] -> [columns][count], 16 x 16 at a time by four perfect shuffles.
static inline void transpose(const u32* from, i64 count, i64 columns, u32* to) {
  for (i64 k = 0; k < count; k += LANES)
    for (i64 first = 0; first < columns; first += LANES) {
      const i64 here = std::min<i64>(columns - first, LANES);
      vu v[LANES], w[LANES];
      for (int i = 0; i < LANES; ++i) v[i] = load_part(from + (k + i) * columns + first, here);
      for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < LANES / 2; ++i) {
          w[2 * i] = __builtin_shufflevector(v[i], v[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                             21, 6, 22, 7, 23);
          w[2 * i + 1] = __builtin_shufflevector(v[i], v[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                 28, 13, 29, 14, 30, 15, 31);
        }
        std::copy(w, w + LANES, v);
      }
      for (i64 u = 0; u < here; ++u) std::memcpy(to + (first + u) * count + k, &v[u], sizeof v[u]);
    }
}
