// The functions that Python calls (through ctypes), for either type of storage.
#include "backward.h"
#include "forward.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
EXPORT void forward_F32(const Call* call) { forward<F32>(*call); }
EXPORT void backward_F32(const Call* call) { backward<F32>(*call); }

template <class P>
static void run(const Call& call, bool back) { back ? backward<P>(call) : forward<P>(call); }
static void run_bf16(const Call& call, bool back) {
#if defined(BYTELM_AMX)
  if (tiles_allowed()) return run<TiledBF16>(call, back);
#endif
  run<BF16>(call, back);
}
EXPORT void forward_BF16(const Call* call) { run_bf16(*call, false); }
EXPORT void backward_BF16(const Call* call) { run_bf16(*call, true); }
