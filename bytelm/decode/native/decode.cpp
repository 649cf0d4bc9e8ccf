// The functions that Python calls through ctypes, for each storage type.
#include "decoder.h"
#include "layouts.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
#define FUNCTIONS(P)                                                                          \
  EXPORT Decoder<P>* create_##P(const Sizes* sizes, const ModelTensors* model) {              \
    return new Decoder<P>(*sizes, *model);                                                    \
  }                                                                                           \
  EXPORT void destroy_##P(Decoder<P>* d) { delete d; }                                        \
  EXPORT void set_sampling_##P(Decoder<P>* d, const Sampling* sampling) {                     \
    d->set_sampling(*sampling);                                                               \
  }                                                                                           \
  EXPORT void set_gate_##P(Decoder<P>* d, float gate) { d->set_gate(gate); }                  \
  EXPORT void set_costs_##P(Decoder<P>* d, const double* costs_s, i64 by_clock) {             \
    d->set_costs(costs_s, by_clock);                                                          \
  }                                                                                           \
  EXPORT void admit_##P(Decoder<P>* d, i64 b, i64* text, i64 length, i64 limit, i64 sample) { \
    d->admit(b, text, length, limit, sample);                                                 \
  }                                                                                           \
  EXPORT void release_##P(Decoder<P>* d, i64 b) { d->release(b); }                            \
  EXPORT void prefill_##P(Decoder<P>* d, i64 b, i64 there) { d->prefill(b, there); }          \
  EXPORT i64 run_##P(Decoder<P>* d, i64 steps, i64* ids, i64* counts) {                       \
    return d->run(steps, ids, counts);                                                        \
  }                                                                                           \
  EXPORT void fed_counts_##P(Decoder<P>* d, i64* counts) { d->fed_counts(counts); }           \
  EXPORT double time_step_##P(Decoder<P>* d, i64 position, i64 width, i64 rounds) {           \
    return d->time_step(position, width, rounds);                                             \
  }                                                                                           \
  EXPORT void logits_after_##P(Decoder<P>* d, i64 b, float* logits) { d->logits_after(b, logits); }
FUNCTIONS(F32)
FUNCTIONS(BF16)
#if defined(BYTELM_AMX)
FUNCTIONS(TiledBF16)
#endif
// Whether there is AMX, and Linux lets this process use it.
EXPORT int amx() { return amx_allowed(); }
