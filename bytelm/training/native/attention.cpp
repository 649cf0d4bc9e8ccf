// The functions that Python calls through ctypes, for both storage types.
#include "backward.h"
#include "forward.h"
#include "layouts.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
EXPORT void forward_F32(const AttentionCall* call) { forward<F32>(*call); }
EXPORT void backward_F32(const AttentionCall* call) { backward<F32>(*call); }

template <class P>
static void run(const AttentionCall& call, bool back) {
  back ? backward<P>(call) : forward<P>(call);
}
static void run_bf16(const AttentionCall& call, bool back) {
#if defined(BYTELM_AMX)
  if (amx_allowed()) return run<TiledBF16>(call, back);
#endif
  run<BF16>(call, back);
}
EXPORT void forward_BF16(const AttentionCall* call) { run_bf16(*call, false); }
EXPORT void backward_BF16(const AttentionCall* call) { run_bf16(*call, true); }
