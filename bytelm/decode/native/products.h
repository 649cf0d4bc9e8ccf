// The small dense products of a decoding step.
//
// Each output is one sequential sum over its inputs, in an order that depends on the model alone.
// So a row's result is the same bits whatever rows, blocks and threads run beside it, and
// speculative decoding equals plain decoding in bfloat16 as well.
#pragma once
#include <vector>
#include "amx.h"

static constexpr int PANEL = 64;  // outputs of a packed matrix that adjoin

static constexpr int PANEL_REGISTERS = PANEL / REGISTER;
// Rows that are multiplied by a panel at a time: as many as leave two registers of sums to each, so
// that a panel's values are used often once they are loaded.
static constexpr int MANY_ROWS = SUM_REGISTERS / 2;
static constexpr int QUERIES = SUM_REGISTERS / 2 < 8 ? SUM_REGISTERS / 2 : 8;
static constexpr int VALUE_QUERIES = 6;
static constexpr i64 PREFETCH = 16;  // units ahead

// The largest power of two that is at most `most`.
static constexpr int power_of_two(int most) { return most < 2 ? 1 : 2 * power_of_two(most / 2); }

// Registers of sums that each of `count` rows or queries gets, of `most` that it could use.
static constexpr int registers_each(int count, int most) {
  const int fit = power_of_two(SUM_REGISTERS / count);
  return fit < most ? fit : most;
}

// A product calls out(row, panel, sums): sums are the 4 vectors of a panel's outputs.

// ROWS rows of operands against REGISTERS registers of a packed panel, into to[row * PANEL].
template <class P, int ROWS, int REGISTERS>
static inline void panel_pass(const typename P::Operand* x, i64 stride, const u32* panel, i64 units,
                              float* to) {
  rf sums[ROWS][REGISTERS];
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < REGISTERS; ++j) sums[r][j] = rf{};
  for (i64 u = 0; u < units; ++u, panel += PANEL, x += P::OPERANDS) {
    ru w[REGISTERS];
#pragma GCC unroll 16
    for (int j = 0; j < REGISTERS; ++j) {
      if (j * REGISTER % LANES == 0) __builtin_prefetch(panel + PREFETCH * PANEL + j * REGISTER);
      w[j] = load_register(panel + j * REGISTER);
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 16
      for (int j = 0; j < REGISTERS; ++j) sums[r][j] = P::fma(sums[r][j], x + r * stride, w[j]);
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < REGISTERS; ++j) store_register(to + r * PANEL + j * REGISTER, sums[r][j]);
}

template <class P, int ROWS, class Out>
static inline void panel_product(const typename P::Operand* x, i64 stride, const u32* panel,
                                 i64 units, i64 row, i64 number, const Out& out) {
  constexpr int REGISTERS = registers_each(ROWS, PANEL_REGISTERS);
  alignas(64) float sums[ROWS][PANEL];
  for (int j = 0; j < PANEL_REGISTERS; j += REGISTERS)
    panel_pass<P, ROWS, REGISTERS>(x, stride, panel + j * REGISTER, units, sums[0] + j * REGISTER);
  for (int r = 0; r < ROWS; ++r) {
    vf lanes[PANEL / LANES];
    std::memcpy(lanes, sums[r], sizeof lanes);
    out(row + r, number, lanes);
  }
}

template <class P, class Out>
static inline void panel_rows(int rows, const typename P::Operand* x, i64 stride, const u32* panel,
                              i64 units, i64 row, i64 number, const Out& out) {
#define ROWS(N)                                                                                   \
  case N:                                                                                         \
    if constexpr (N <= MANY_ROWS) panel_product<P, N>(x, stride, panel, units, row, number, out); \
    return;
  switch (rows) {
    ROWS(1)
    ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
  }
#undef ROWS
}

// The operands of rows of units: the units themselves, or a copy that this thread keeps.
template <class P>
static inline const typename P::Operand* operands(const u32* x, i64 stride, i64 rows, i64 units) {
  typedef typename P::Operand Operand;
  if constexpr (P::OPERANDS == 1) {
    return (const Operand*)x;
  } else {
    static thread_local std::vector<Operand> copy;
    const i64 size = stride * P::OPERANDS;
    if ((i64)copy.size() < rows * size) copy.resize(rows * size);
    for (i64 r = 0; r < rows; ++r) P::widen_units(x + r * stride, units, copy.data() + r * size);
    return copy.data();
  }
}

#if defined(BYTELM_AMX)
// Rows [0, rows) of x, at most 16, against one packed panel, by AMX. All 16 rows are read.
template <class Out>
static inline void amx_product(const u32* x, i64 stride, i64 rows, const u32* panel, i64 units,
                               i64 row, i64 number, const Out& out) {
  alignas(64) float sums[TILE][PANEL];
  const i64 x_bytes = stride * sizeof *x, panel_bytes = PANEL * sizeof *panel;
  asm volatile("" ::: "memory");  // memory that tiles load must be written before
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (i64 u = 0; u < units; u += TILE, panel += TILE * PANEL) {
    for (i64 line = 0; line < TILE * PANEL; line += LANES)
      __builtin_prefetch(panel + TILE * PANEL + line);
    _tile_loadd(4, x + u, x_bytes);
    _tile_loadd(5, panel, panel_bytes);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, panel + LANES, panel_bytes);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(7, panel + 2 * LANES, panel_bytes);
    _tile_dpbf16ps(2, 4, 7);
    _tile_loadd(5, panel + 3 * LANES, panel_bytes);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_stored(0, sums[0], sizeof *sums);
  _tile_stored(1, sums[0] + LANES, sizeof *sums);
  _tile_stored(2, sums[0] + 2 * LANES, sizeof *sums);
  _tile_stored(3, sums[0] + 3 * LANES, sizeof *sums);
  asm volatile("" ::: "memory");
  for (i64 r = 0; r < rows; ++r) {
    vf lanes[PANEL / LANES];
    std::memcpy(lanes, sums[r], sizeof lanes);
    out(row + r, number, lanes);
  }
}
#endif

// A share of x (rows, units) times a packed matrix: thread `me` of `threads` takes its part of the
// (panel, group of rows) pairs.
template <class P, class Out>
static inline void product(int me, int threads, const u32* x, i64 stride, i64 rows,
                           const u32* matrix, i64 panels, i64 units, const Out& out) {
  if (rows == 0) return;
  const i64 most = TILED<P> ? TILE : MANY_ROWS;
  const i64 groups = (rows + most - 1) / most;
  const i64 items = panels * groups;
  const i64 begin = items * me / threads, end = items * (me + 1) / threads;
  if (begin == end) return;
#if !defined(BYTELM_AMX)
  const auto* all = operands<P>(x, stride, rows, units);
#else
  const typename P::Operand* all = (const typename P::Operand*)x;
  if constexpr (!TILED<P>) all = operands<P>(x, stride, rows, units);
#endif
  for (i64 item = begin; item < end; ++item) {
    const i64 panel = item / groups, group = item % groups;
    const i64 first = rows * group / groups, last = rows * (group + 1) / groups;
    const u32* weights = matrix + panel * units * PANEL;
#if defined(BYTELM_AMX)
    if constexpr (TILED<P>) {
      amx_product(x + first * stride, stride, last - first, weights, units, first, panel, out);
      continue;
    }
#endif
    const i64 size = stride * P::OPERANDS;
    panel_rows<P>((int)(last - first), all + first * size, size, weights, units, first, panel, out);
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
  const float sum = reduce_add(squares);
  // 0, but NaN if the squares overflow: the scale would be 0 then, and the overflow go unnoticed.
  const float unbounded = sum * 0.0f;
  const float scale = 1.0f / std::sqrt(sum / (float)width + eps) + unbounded;
  for (i64 i = 0; i < padded; i += LANES)
    P::narrow_lanes(loadf(x + i) * scale * loadf(weight + i), out + i);
}
