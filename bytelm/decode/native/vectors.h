// Vectors of 16 lanes, the two storage types, and the small dense products of a decoding step.
//
// What every function here keeps: each output is one sequential sum over its inputs, in an order
// that depends on nothing but the model. So a row's result is the same bits whatever rows, blocks
// and threads run beside it, and speculative decoding equals plain decoding in bfloat16 as well.
//
// Storage is counted in units of 32 bits: one float32, or two neighbouring bfloat16.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef uint32_t u32;
typedef int64_t i64;

static constexpr int LANES = 16;
static constexpr int PANEL = 64;  // outputs of a packed matrix that lie side by side

static inline vu load(const u32* p) {
  vu v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
static inline vf loadf(const float* p) {
  vf v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
static inline void storef(float* p, vf v) { std::memcpy(p, &v, sizeof v); }
static inline vu spread(u32 x) { return vu{} + x; }
static inline vf spreadf(float x) { return vf{} + x; }
static inline vf choose(vi mask, vf yes, vf no) { return (vf)(((vi)yes & mask) | ((vi)no & ~mask)); }

struct F32 {
  typedef float Value;
  static constexpr int PAIR = 1;
  static inline vf fma(vf sum, vu a, vu w) {
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)w, (__m512)sum);
#else
    return sum + (vf)a * (vf)w;
#endif
  }
  static inline float widen(Value v) { return v; }
  static inline Value narrow(float f) { return f; }
};

struct BF16 {
  typedef uint16_t Value;
  static constexpr int PAIR = 2;
  static inline vf fma(vf sum, vu a, vu w) {
#if defined(__AVX512BF16__)
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)w);
#else
    const vu high = spread(0xffff0000u);
    sum = sum + (vf)(a & high) * (vf)(w & high);
    return sum + (vf)(a << 16) * (vf)(w << 16);
#endif
  }
  static inline float widen(Value v) {
    u32 bits = (u32)v << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
  }
  static inline Value narrow(float f) {  // to the nearest, ties to even
    u32 bits;
    std::memcpy(&bits, &f, 4);
    return (Value)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
};

// e^x for x <= 0 (Cephes' polynomial); 0 below -87, where float32 ends.
static inline vf exponential(vf x) {
  const vi alive = x > spreadf(-87.0f);
  x = choose(alive, x, vf{});
  const vf magic = spreadf(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  vf n = x * 1.44269504088896341f + magic;
  const vi whole = (vi)n - (vi)magic;
  n = n - magic;
  vf r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  vf y = spreadf(1.9875691500e-4f);
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  const vf power = (vf)((whole + 127) << 23);
  return choose(alive, y * power, vf{});
}

static inline float sum_of(vf v) {
  float lanes[LANES], sum = 0;
  storef(lanes, v);
  for (int i = 0; i < LANES; ++i) sum += lanes[i];
  return sum;
}
static inline float max_of(vf v) {
  float lanes[LANES];
  storef(lanes, v);
  float best = lanes[0];
  for (int i = 1; i < LANES; ++i) best = lanes[i] > best ? lanes[i] : best;
  return best;
}

// ROWS rows of x (units, `stride` apart) against one packed panel: out(row, sums of 4 x 16).
template <class P, int ROWS, class Out>
static inline void panel_product(const u32* x, i64 stride, const u32* panel, i64 units, i64 row,
                                 const Out& out) {
  vf sums[ROWS][4];
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < 4; ++j) sums[r][j] = vf{};
  for (i64 u = 0; u < units; ++u, panel += PANEL) {
    __builtin_prefetch(panel + 16 * PANEL);
    __builtin_prefetch(panel + 16 * PANEL + 16);
    __builtin_prefetch(panel + 16 * PANEL + 32);
    __builtin_prefetch(panel + 16 * PANEL + 48);
    const vu w0 = load(panel), w1 = load(panel + 16), w2 = load(panel + 32), w3 = load(panel + 48);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const vu a = spread(x[r * stride + u]);
      sums[r][0] = P::fma(sums[r][0], a, w0);
      sums[r][1] = P::fma(sums[r][1], a, w1);
      sums[r][2] = P::fma(sums[r][2], a, w2);
      sums[r][3] = P::fma(sums[r][3], a, w3);
    }
  }
  for (int r = 0; r < ROWS; ++r) out(row + r, sums[r]);
}

static constexpr int ROWS_AT_ONCE = 6;  // 6 x 4 sums, 4 weights and a broadcast fill 32 registers

template <class P, class Out>
static inline void panel_rows(int rows, const u32* x, i64 stride, const u32* panel, i64 units,
                              i64 row, const Out& out) {
  switch (rows) {
    case 1: return panel_product<P, 1>(x, stride, panel, units, row, out);
    case 2: return panel_product<P, 2>(x, stride, panel, units, row, out);
    case 3: return panel_product<P, 3>(x, stride, panel, units, row, out);
    case 4: return panel_product<P, 4>(x, stride, panel, units, row, out);
    case 5: return panel_product<P, 5>(x, stride, panel, units, row, out);
    default: return panel_product<P, 6>(x, stride, panel, units, row, out);
  }
}

// A share of x (rows, units) times a packed matrix: thread `me` of `threads` takes its part of the
// (panel, group of rows) pairs and calls out(row, panel, sums) for each row and panel.
template <class P, class Out>
static inline void product(int me, int threads, const u32* x, i64 stride, i64 rows,
                           const u32* matrix, i64 panels, i64 units, const Out& out) {
  if (rows == 0) return;
  const i64 groups = (rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
  const i64 items = panels * groups;
  for (i64 item = items * me / threads; item < items * (me + 1) / threads; ++item) {
    const i64 panel = item / groups, group = item % groups;
    const i64 first = rows * group / groups, last = rows * (group + 1) / groups;
    panel_rows<P>((int)(last - first), x + first * stride, stride, matrix + panel * units * PANEL,
                  units, first, [&](i64 row, const vf* sums) { out(row, panel, sums); });
  }
}

// RMSNorm of one row of `width` floats (`padded` to lanes with zeros) into storage.
template <class P>
static inline void normalize(const float* x, const float* weight, i64 width, i64 padded, float eps,
                             typename P::Value* out) {
  vf squares = vf{};
  for (i64 i = 0; i < padded; i += LANES) {
    const vf v = loadf(x + i);
    squares = squares + v * v;
  }
  const float scale = 1.0f / std::sqrt(sum_of(squares) / (float)width + eps);
  for (i64 i = 0; i < padded; ++i) out[i] = P::narrow(x[i] * scale * weight[i]);
}
