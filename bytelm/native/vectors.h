// Vectors of 16 lanes, and the two storage types.
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
typedef uint16_t vh __attribute__((vector_size(32)));
typedef uint32_t u32;
typedef int64_t i64;

static constexpr int LANES = 16;

// One register of this machine. Compilers keep vectors that are larger than a register in memory,
// so the loops that matter sum in registers: a vector of LANES lanes is PARTS of them.
// (BYTELM_REGISTER_LANES is for tests.)
#if defined(BYTELM_REGISTER_LANES)
static constexpr int REGISTER = BYTELM_REGISTER_LANES;
#elif defined(__AVX512F__)
static constexpr int REGISTER = 16;
#elif defined(__AVX__)
static constexpr int REGISTER = 8;
#else
static constexpr int REGISTER = 4;
#endif
static constexpr int PARTS = LANES / REGISTER;
typedef float rf __attribute__((vector_size(4 * REGISTER)));
typedef uint32_t ru __attribute__((vector_size(4 * REGISTER)));

// How many registers of sums fit beside what they are made of.
#if defined(__AVX512F__) || defined(__aarch64__)
static constexpr int SUM_REGISTERS = 24;
#else
static constexpr int SUM_REGISTERS = 12;
#endif

static inline ru load_register(const u32* p) {
  ru v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
static inline void store_register(float* p, rf v) { std::memcpy(p, &v, sizeof v); }
// Register p of a vector of LANES lanes.
template <class V>
static inline rf part_of(const V& v, int p) {
  return (rf)load_register((const u32*)&v + p * REGISTER);
}
static inline void set_part(vf& v, int p, rf part) {
  store_register((float*)&v + p * REGISTER, part);
}
static inline rf broadcast_register(float x) { return rf{} + x; }
static inline rf select_register(ru mask, rf yes, rf no) {
  return (rf)(((ru)yes & mask) | ((ru)no & ~mask));
}

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
static inline vu broadcast(u32 x) { return vu{} + x; }
static inline vf broadcastf(float x) { return vf{} + x; }
static inline vf select(vi mask, vf yes, vf no) {
  return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
}

static constexpr float LOG2E = 1.44269504088896341f;
static constexpr float ROUND_MAGIC = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer

// e^x for x <= 0, and 0 below -87, where float32 ends. Cephes' polynomial, right to float32's last
// bits.
static inline vf exp_accurate(vf x) {
  const vi alive = x > broadcastf(-87.0f);  // elsewhere the result is not used
  vf n = x * LOG2E + ROUND_MAGIC;
  const vu whole = (vu)n;
  n = n - ROUND_MAGIC;
  vf r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  vf y = broadcastf(1.9875691500e-4f);
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  return select(alive, (vf)((vu)y + (whole << 23)), vf{});
}

// The same with a relative error of about 1e-5, far less than bfloat16's rounding.
static inline vf exp_fast(vf x) {
  const vi alive = x > broadcastf(-87.0f);
  const vf power = x * LOG2E, n = power + ROUND_MAGIC, f = power - (n - ROUND_MAGIC);
  vf y = broadcastf(9.57008172e-3f);
  y = y * f + 5.59178591e-2f;
  y = y * f + 2.40247458e-1f;
  y = y * f + 6.93121791e-1f;
  y = y * f + 9.99999285e-1f;
  return select(alive, (vf)((vu)y + ((vu)n << 23)), vf{});
}

// A storage type P multiplies units by operands: what is broadcast to all lanes. An operand is made
// of one unit, by P::widen_units.

struct F32 {
  typedef float Value;
  static constexpr int PAIR = 1;
  typedef float Operand;
  static constexpr int OPERANDS = 1;  // of a unit
  static inline void widen_units(const u32* from, i64 units, Operand* to) {
    std::memcpy(to, from, units * sizeof *to);
  }
  static inline void operand_lanes(vf v, Operand* row, i64 at) { storef(row + at, v); }
  static inline rf fma(rf sum, const Operand* a, ru w) {
#if defined(__AVX512F__) && !defined(BYTELM_REGISTER_LANES)
    return (rf)_mm512_fmadd_ps(_mm512_set1_ps(*a), (__m512)w, (__m512)sum);
#else
    return sum + *a * (rf)w;
#endif
  }
  // The same by a unit that is no operand yet.
  static inline rf fma_unit(rf sum, u32 a, ru w) {
    Operand operand;
    std::memcpy(&operand, &a, sizeof a);
    return fma(sum, &operand, w);
  }
  static inline vf fma(vf sum, vu a, vu w) {
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)w, (__m512)sum);
#else
    return sum + (vf)a * (vf)w;
#endif
  }
  static inline vf exp(vf x) { return exp_accurate(x); }
  static inline float widen(Value v) { return v; }
  static inline Value narrow(float f) { return f; }
  static inline void narrow_lanes(vf v, Value* to) { storef(to, v); }
  static inline void narrow_two(vf v, vf w, Value* to) {
    storef(to, v);
    storef(to + LANES, w);
  }
};

struct BF16 {
  typedef uint16_t Value;
  static constexpr int PAIR = 2;
#if defined(__AVX512BF16__) && !defined(BYTELM_REGISTER_LANES)
  typedef u32 Operand;
  static constexpr int OPERANDS = 1;
  static inline void widen_units(const u32* from, i64 units, Operand* to) {
    std::memcpy(to, from, units * sizeof *to);
  }
  static inline void operand_lanes(vf v, Operand* row, i64 at) {
    narrow_lanes(v, (Value*)row + at);
  }
  static inline rf fma(rf sum, const Operand* a, ru w) {
    return (rf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)*a), (__m512bh)w);
  }
#else
  // Both values of a unit as float32, so that they need no work in the loop.
  typedef float Operand;
  static constexpr int OPERANDS = 2;
  static inline void widen_units(const u32* from, i64 units, Operand* to) {
    const Value* values = (const Value*)from;
    for (i64 i = 0; i < PAIR * units; ++i) to[i] = widen(values[i]);
  }
  static inline void operand_lanes(vf v, Operand* row, i64 at) {
    const vu bits = (vu)v;
    storef(row + at, (vf)((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u));
  }
  static inline rf fma(rf sum, const Operand* a, ru w) {
    sum = sum + a[1] * (rf)(w & 0xffff0000u);
    return sum + a[0] * (rf)(w << 16);
  }
#endif
  static inline rf fma_unit(rf sum, u32 a, ru w) {
    Operand operand[OPERANDS];
    widen_units(&a, 1, operand);
    return fma(sum, operand, w);
  }
  static inline vf fma(vf sum, vu a, vu w) {
#if defined(__AVX512BF16__)
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)w);
#else
    const vu high = broadcast(0xffff0000u);
    sum = sum + (vf)(a & high) * (vf)(w & high);
    return sum + (vf)(a << 16) * (vf)(w << 16);
#endif
  }
  static inline vf exp(vf x) { return exp_fast(x); }
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
  static inline void narrow_lanes(vf v, Value* to) {
#if defined(__AVX512BF16__)
    const auto lanes = _mm512_cvtneps_pbh((__m512)v);
#else
    const vu bits = (vu)v;
    const auto lanes = __builtin_convertvector((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, vh);
#endif
    std::memcpy(to, &lanes, LANES * sizeof *to);
  }
  static inline void narrow_two(vf v, vf w, Value* to) {
#if defined(__AVX512BF16__)
    const auto lanes = _mm512_cvtne2ps_pbh((__m512)w, (__m512)v);
    std::memcpy(to, &lanes, sizeof lanes);
#else
    narrow_lanes(v, to);
    narrow_lanes(w, to + LANES);
#endif
  }
};

static inline vf maximum(vf a, vf b) {
#if defined(__AVX512F__)
  return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#else
  return select(a > b, a, b);
#endif
}

// Sums and maxima across lanes, by halves.
#define FOLD_LANES(v, fold)                                                                      \
  v = fold(v,                                                                                    \
           __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)); \
  v = fold(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3));    \
  v = fold(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1));    \
  v = fold(v, __builtin_shufflevector(v, v, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0));
static inline vf add_lanes(vf a, vf b) { return a + b; }
static inline float reduce_add(vf v) {
  FOLD_LANES(v, add_lanes)
  return v[0];
}
static inline float reduce_max(vf v) {
  FOLD_LANES(v, maximum)
  return v[0];
}
#undef FOLD_LANES
