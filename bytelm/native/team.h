// A team of threads that run one function together: parked between calls, spinning at barriers.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

static inline void pause_thread() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class Team {
 public:
  explicit Team(int size) : size_(size) {
    for (int me = 1; me < size; ++me) workers_.emplace_back([this, me] { work(me); });
  }
  ~Team() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      ++turn_;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  int size() const { return size_; }

  // Run job(me) on every thread, the caller's being number 0; returns when all are done.
  void run(const std::function<void(int)>& job) {
    if (size_ == 1) return job(0);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      ++turn_;
    }
    wake_.notify_all();
    job(0);
    barrier();
  }

  // Wait until every thread of the team has called this. All of them see what any wrote before.
  void barrier() {
    if (size_ == 1) return;
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
      // On a busy machine the other threads may not be running at all: let them.
      if (spins < 4000)
        pause_thread();
      else
        std::this_thread::yield();
    }
  }

 private:
  void work(int me) {
    unsigned done = 0;
    while (true) {
      for (int spins = 0; turn_.load(std::memory_order_acquire) == done && spins < 4000; ++spins)
        pause_thread();
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return turn_.load() != done; });
        done = turn_.load();
        if (stop_) return;
      }
      (*job_)(me);
      barrier();
    }
  }

  const int size_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<unsigned> turn_{0};
  const std::function<void(int)>* job_ = nullptr;
  bool stop_ = false;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
};
