// Loops whose turns the threads of one call share.
#pragma once
#include "vectors.h"
#if defined(__SANITIZE_THREAD__)
#include <thread>
#include <vector>
#endif

// Call body(i) once for every i in [0, count); a free thread takes the next i. Returns when all are
// done.
template <class Body>
static inline void parallel_for(i64 count, i64 threads, const Body& body) {
#if defined(__SANITIZE_THREAD__)
  // TSan does not see how OpenMP's threads wait for each other, so plain threads take the turns.
  // Each takes fixed ones: nothing orders two threads' turns, and a race between any of them is
  // found.
  std::vector<std::thread> team;
  for (i64 thread = 0; thread < threads; ++thread)
    team.emplace_back([&, thread] {
      for (i64 i = thread; i < count; i += threads) body(i);
    });
  for (auto& thread : team) thread.join();
#else
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)threads)
  for (i64 i = 0; i < count; ++i) body(i);
#endif
}
