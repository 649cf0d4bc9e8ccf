// The small dense products of a decoding step.
//
// Each output is one sequential sum over its inputs, in an order that depends on the model alone.
// So a row's result is the same bits whatever rows, blocks and threads run beside it, and
// speculative decoding equals plain decoding in bfloat16 as well.
#pragma once
#include "amx.h"

static constexpr int PANEL = 64;  // outputs of a packed matrix that adjoin

// How many sums fit the registers: a vector of 16 lanes is one register of AVX-512, and two or four
// of a smaller machine.
#if defined(__AVX512F__)
static constexpr int FEW_ROWS = 6;  // rows x 4 vectors of a panel, in one pass over it
static constexpr int MANY_ROWS = 12;  // rows x 2 vectors, in two passes over a half each
static constexpr int QUERIES = 8;  // queries x 2 vectors of scores
static constexpr int VALUE_QUERIES = 6;  // queries x VALUE_VECTORS of values
static constexpr int VALUE_VECTORS = 4;
#else
static constexpr int FEW_ROWS = 1;
static constexpr int MANY_ROWS = 3;
static constexpr int QUERIES = 3;
static constexpr int VALUE_QUERIES = 3;
static constexpr int VALUE_VECTORS = 2;
#endif

static constexpr i64 PREFETCH = 16;  // units ahead

// A panel's product calls out(row, panel, sums, first, step): sums[i] are the 16 outputs of the
// panel's vector number first + i * step.

// ROWS rows of x (units, `stride` apart) against VECTORS of the 4 vectors of one packed panel.
template <class P, int ROWS, int VECTORS, class Out>
static inline void panel_product(const u32* x, i64 stride, const u32* panel, i64 units,
                                 const Out& out) {
  constexpr int STEP = PANEL / LANES / VECTORS;
  vf sums[ROWS][VECTORS];
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < VECTORS; ++j) sums[r][j] = vf{};
  for (i64 u = 0; u < units; ++u, panel += PANEL) {
    vu w[VECTORS];
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) {
      __builtin_prefetch(panel + PREFETCH * PANEL + j * STEP * LANES);
      w[j] = load(panel + j * STEP * LANES);
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; ++r) {
      const vu a = broadcast(x[r * stride + u]);
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) sums[r][j] = P::fma(sums[r][j], a, w[j]);
    }
  }
  for (int r = 0; r < ROWS; ++r) out(r, sums[r], STEP);
}

template <class P, int ROWS, class Out>
static inline void panel_halves(const u32* x, i64 stride, const u32* panel, i64 units, i64 row,
                                i64 number, const Out& out) {
  if constexpr (ROWS <= FEW_ROWS) {
    panel_product<P, ROWS, 4>(x, stride, panel, units, [&](int r, const vf* sums, int step) {
      out(row + r, number, sums, 0, step);
    });
  } else {
    for (int half = 0; half < 2; ++half)
      panel_product<P, ROWS, 2>(
          x, stride, panel + half * LANES, units,
          [&](int r, const vf* sums, int step) { out(row + r, number, sums, half, step); });
  }
}

template <class P, class Out>
static inline void panel_rows(int rows, const u32* x, i64 stride, const u32* panel, i64 units,
                              i64 row, i64 number, const Out& out) {
#define ROWS(N)                                                                                  \
  case N:                                                                                        \
    if constexpr (N <= MANY_ROWS) panel_halves<P, N>(x, stride, panel, units, row, number, out); \
    return;
  switch (rows) {
    ROWS(1)
    ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
  }
#undef ROWS
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
    out(row + r, number, lanes, 0, 1);
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
  for (i64 item = items * me / threads; item < items * (me + 1) / threads; ++item) {
    const i64 panel = item / groups, group = item % groups;
    const i64 first = rows * group / groups, last = rows * (group + 1) / groups;
    const u32 *from = x + first * stride, *weights = matrix + panel * units * PANEL;
#if defined(BYTELM_AMX)
    if constexpr (TILED<P>) {
      amx_product(from, stride, last - first, weights, units, first, panel, out);
      continue;
    }
#endif
    panel_rows<P>((int)(last - first), from, stride, weights, units, first, panel, out);
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
