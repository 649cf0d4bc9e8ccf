// The functions that Python calls (through ctypes), for either type of storage.
#include "backward.h"
#include "forward.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
#define FUNCTIONS(P)                                                       \
  EXPORT void forward_##P(const Call* call) { forward<P>(*call); }         \
  EXPORT void backward_##P(const Call* call) { backward<P>(*call); }
FUNCTIONS(F32)
FUNCTIONS(BF16)
