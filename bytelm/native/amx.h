// Intel's AMX: products of a tile of 16 rows of 16 units and one of 16 units of 16 lanes, in one
// instruction. Every sum is over its units in their order, 16 at a time, whatever rows are beside.
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

static constexpr i64 TILE = 16;  // rows, or units

template <class P>
struct Prepared {  // what a thread that multiplies holds
  Prepared() {}
};

#if !defined(BYTELM_AMX)

static inline bool tiles_allowed() { return false; }

#else

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

#endif
