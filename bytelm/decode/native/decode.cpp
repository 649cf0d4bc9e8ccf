// The functions that Python calls (through ctypes), for either type of storage.
#include "decoder.h"

template <class P>
static Decoder<P>* build(const i64* sizes, float eps, i64 chunk, void* const* pointers) {
  Sizes s;
  std::memcpy(&s, sizes, sizeof s);
  auto* d = new Decoder<P>(s, eps, chunk);
  void* const* p = pointers;
  d->embedding = (const typename P::Value*)*p++;
  d->tables = (const typename P::Value*)*p++;
  d->multipliers = (const i64*)*p++;
  d->cosines = (const float*)*p++;
  d->sines = (const float*)*p++;
  d->head_norm = (const float*)*p++;
  for (int i = 0; i < 2; ++i) d->unembeddings.push_back((const u32*)*p++);
  for (i64 l = 0; l < s.trunk_layers + s.head_layers; ++l, p += 9)
    d->layers.push_back({(const float*)p[0], (const u32*)p[1], (const u32*)p[2], (const u32*)p[3],
                         (const float*)p[4], (const u32*)p[5], (const u32*)p[6], (u32*)p[7],
                         (u32*)p[8]});
  return d;
}

#define EXPORT extern "C" __attribute__((visibility("default")))
#define FUNCTIONS(P)                                                                               \
  EXPORT void* new_##P(const i64* sizes, float eps, i64 chunk, void* const* pointers) {            \
    return build<P>(sizes, eps, chunk, pointers);                                                  \
  }                                                                                                \
  EXPORT void delete_##P(void* d) { delete (Decoder<P>*)d; }                                       \
  EXPORT void sample_##P(void* d, const Sampling* options) {                                       \
    ((Decoder<P>*)d)->sample(*options);                                                            \
  }                                                                                                \
  EXPORT void admit_##P(void* d, i64 b, i64* text, i64 length, i64 limit, i64 sample) {            \
    ((Decoder<P>*)d)->admit(b, text, length, limit, sample);                                       \
  }                                                                                                \
  EXPORT void stop_##P(void* d, i64 b) { ((Decoder<P>*)d)->rows[b].live = false; }                 \
  EXPORT void gate_##P(void* d, float gate) { ((Decoder<P>*)d)->feeding.fix(gate); }               \
  EXPORT void price_##P(void* d, const double* costs_s, i64 by_clock) {                            \
    ((Decoder<P>*)d)->feeding.price(costs_s, by_clock);                                            \
  }                                                                                                \
  EXPORT double cost_##P(void* d, i64 position, i64 width, i64 rounds) {                           \
    return ((Decoder<P>*)d)->cost(position, width, rounds);                                        \
  }                                                                                                \
  EXPORT void run_##P(void* d, i64 steps, i64* ids, i64* counts) {                                 \
    ((Decoder<P>*)d)->run(steps, ids, counts);                                                     \
  }                                                                                                \
  EXPORT void fed_##P(void* d, i64* counts) {                                                      \
    std::copy(((Decoder<P>*)d)->fed.begin(), ((Decoder<P>*)d)->fed.end(), counts);                 \
  }                                                                                                \
  EXPORT void peek_##P(void* d, i64 b, float* logits) { ((Decoder<P>*)d)->peek(b, logits); }
FUNCTIONS(F32)
FUNCTIONS(BF16)
#if defined(BYTELM_AMX)
FUNCTIONS(TiledBF16)
#endif
// Whether there is AMX, and Linux lets this process use it.
EXPORT int tiles() { return tiles_allowed(); }
