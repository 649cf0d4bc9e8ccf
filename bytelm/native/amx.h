// Intel's AMX: one instruction multiplies a tile of 16 rows of 16 units by one of 16 units of 16
// lanes. Each sum takes its units in their order, 16 at a time, whatever the other rows are.
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
struct AmxScope {  // a thread that computes holds one; only AMX needs anything
  AmxScope() {}
};

#if !defined(BYTELM_AMX)

static inline bool amx_allowed() { return false; }

#else

// Whether Linux lets this process use tiles: it must ask for them.
static inline bool amx_allowed() {
  static const bool allowed = [] {
    const long ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
  }();
  return allowed;
}

// While it lives, this thread has eight tiles of 16 rows x 64 bytes. Afterwards it has the tiles it
// had before, since torch configures tiles too.
template <>
struct AmxScope<TiledBF16> {
  struct alignas(64) TileConfig {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  TileConfig before;

  AmxScope() {
    // Not the intrinsics: GCC 12's tell the compiler of the first 8 bytes only.
    asm volatile("sttilecfg %0" : "=m"(before));
    TileConfig config{};
    config.palette = 1;
    std::fill(config.row_bytes, config.row_bytes + 8, 64);
    std::fill(config.rows, config.rows + 8, 16);
    load(config);
  }
  ~AmxScope() { load(before); }
  AmxScope(const AmxScope&) = delete;
  AmxScope& operator=(const AmxScope&) = delete;

  static void load(const TileConfig& config) {
    if (config.palette) {
      asm volatile("ldtilecfg %0" : : "m"(config));
    } else {
      _tile_release();
    }
  }
};

#endif
