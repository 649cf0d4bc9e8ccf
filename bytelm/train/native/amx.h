// Products by Intel's AMX, of 16 rows of 16 units and as many units of 16 lanes an instruction: the
// sums of tiles.h, laid out the same, in another order.
#pragma once
#include <algorithm>
#include <type_traits>
#include "vectors.h"
#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__linux__)
#define BYTELM_AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif

struct TiledBF16 : BF16 {};  // bfloat16 multiplied by AMX
template <class P>
static constexpr bool TILED = std::is_same<P, TiledBF16>::value;
static constexpr i64 STRIP = 32;  // rows, lanes and values along what is summed: whole tiles

template <class P>
struct Prepared {  // what a thread that multiplies holds
  Prepared() {}
};

#if defined(BYTELM_AMX)

// Linux gives tiles to a process that asks for them.
static inline bool tiles_allowed() {
  static const bool allowed = [] {
    const long ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
  }();
  return allowed;
}

// While it lives, this thread's tiles are eight of 16 rows x 64 bytes; afterwards they have the
// shapes that they had, as torch's products shape them too.
template <>
struct Prepared<TiledBF16> {
  struct alignas(64) Shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  Shapes before;

  Prepared() {
    // Not the intrinsics: GCC 12's tell the compiler of the first 8 bytes only.
    asm volatile("sttilecfg %0" : "=m"(before));
    Shapes shapes{};
    shapes.palette = 1;
    std::fill(shapes.row_bytes, shapes.row_bytes + 8, 64);
    std::fill(shapes.rows, shapes.rows + 8, 16);
    load(shapes);
  }
  ~Prepared() { load(before); }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

  static void load(const Shapes& shapes) {
    if (shapes.palette) {
      asm volatile("ldtilecfg %0" : : "m"(shapes));
    } else {
      _tile_release();
    }
  }
};

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
