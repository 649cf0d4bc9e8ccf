// Attention's products by AMX: whole tiles, in the layouts that tiles.h describes.
#pragma once
#include "amx.h"

static constexpr i64 STRIP = 32;  // rows, lanes and values along what is summed

#if defined(BYTELM_AMX)

// to[STRIP][STRIP] = or += a[row][unit] x b[unit][lane], over `steps` times 16 units.
template <bool ADD>
static inline void tile_product(const u32* a, i64 row, const u32* b, i64 width, i64 steps,
                                float* to, i64 to_row) {
  const i64 a_bytes = row * sizeof *a, b_bytes = width * sizeof *b, to_bytes = to_row * sizeof *to;
  float* const below = to + LANES * to_row;
  asm volatile("" ::: "memory");  // what is read must have been written
  if (ADD) {
    _tile_loadd(0, to, to_bytes);
    _tile_loadd(1, to + LANES, to_bytes);
    _tile_loadd(2, below, to_bytes);
    _tile_loadd(3, below + LANES, to_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (; steps > 0; --steps, a += LANES, b += LANES * width) {
    _tile_loadd(4, a, a_bytes);
    _tile_loadd(6, b, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + LANES, b_bytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + LANES * row, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, to, to_bytes);
  _tile_stored(1, to + LANES, to_bytes);
  _tile_stored(2, below, to_bytes);
  _tile_stored(3, below + LANES, to_bytes);
  asm volatile("" ::: "memory");
}

#else

template <bool ADD>  // never called
void tile_product(const u32*, i64, const u32*, i64, i64, float*, i64);

#endif
