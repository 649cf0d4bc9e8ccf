// Attention of a ragged batch of tokens over their rows' caches, divided among the threads.
#pragma once
#include <atomic>
#include <vector>
#include "attention.h"
#include "structs.h"
#include "team.h"

struct Tokens {  // a ragged batch; a row's tokens adjoin, in the order of their positions
  i64 count = 0;
  std::vector<i64> row, position;
};

template <class P>
class BatchAttention {
  typedef typename P::Value Value;

 public:
  std::vector<i64> newest;  // of each row, the newest position that the cache holds; -1: none

  BatchAttention(const Sizes& sizes, Team& team) : s_(sizes), team_(team) {
    head_units_ = s_.padded_head_size / P::PAIR;
    query_size_ =
        (s_.padded_slots + CHUNK_SLOTS - 1) / CHUNK_SLOTS * partial_size(s_.padded_head_size);
    task_size_ = TASK_QUERIES * query_size_;
    partials_.resize(task_size_ * s_.threads * (s_.threads > 1 ? TASKS_A_THREAD : 1));
    newest.assign(s_.batch, -1);
  }

  // Divide the work of `list`. By one thread, before a barrier.
  void plan(const Tokens& list) {
    split_.clear();
    tasks_.clear();
    next_task_.store(0);
    // The queries of a token's heads that share a key-value head adjoin: they are one run.
    const i64 copies = s_.heads / s_.kv_heads;
    for (i64 t = 0; t < list.count;) {
      i64 end = t;
      while (end < list.count && list.row[end] == list.row[t]) ++end;
      const i64 all = (end - t) * copies, blocks = (all + TASK_QUERIES - 1) / TASK_QUERIES;
      for (i64 g = 0; g < s_.kv_heads; ++g)
        for (i64 block = 0; block < blocks; ++block) {
          const i64 first = all * block / blocks, count = all * (block + 1) / blocks - first;
          const i64 last = list.position[t + (first + count - 1) / copies];
          tasks_.push_back({t, g, first, count, 0, view(list.row[t], last, 0).chunks(), -1});
        }
      t = end;
    }
    if (s_.threads > 1 && (i64)tasks_.size() <= TASKS_A_THREAD * s_.threads) split_tasks();
  }

  // The planned work: from queries [token][head][channel] to outputs of the same shape.
  void attend_sync(const LayerTensors& layer, const Tokens& list, const Value* queries,
                   Value* outputs, int me) {
    for (i64 i; (i = next_task_.fetch_add(1, std::memory_order_relaxed)) < (i64)tasks_.size();) {
      const Task& task = tasks_[i];
      float* partials = partials_.data() + (task.split < 0 ? me : task.split) * task_size_;
      run_task(layer, list, task, queries, partials);
      if (task.split < 0) combine_queries(task, partials, task.last_chunk, 0, task.count, outputs);
    }
    if (!split_.empty()) {
      team_.barrier();
      for (i64 i = 0; i < (i64)split_.size(); ++i)
        combine_queries(split_[i], partials_.data() + i * task_size_, split_[i].last_chunk,
                        split_[i].count * me / s_.threads, split_[i].count * (me + 1) / s_.threads,
                        outputs);
    }
    team_.barrier();
  }

 private:
  // Queries [first, first + count) of one row and key-value head, over chunks [chunk, last_chunk)
  // of its slots. `split`: the number of the task that this is a piece of; -1: it is whole.
  struct Task {
    i64 token, group, first, count, chunk, last_chunk, split;
  };

  // With fewer tasks than this for each thread some threads would wait: tasks are then split.
  static constexpr i64 TASKS_A_THREAD = 4;

  void split_tasks() {
    tasks_.swap(split_);
    for (i64 i = 0; i < (i64)split_.size(); ++i)
      for (i64 piece = 0; piece < s_.threads; ++piece) {
        Task task = split_[i];
        const i64 chunks = task.last_chunk;
        task.chunk = chunks * piece / s_.threads;
        task.last_chunk = chunks * (piece + 1) / s_.threads;
        task.split = i;
        if (task.chunk < task.last_chunk) tasks_.push_back(task);
      }
  }

  // A ring that has turned is read whole; before that, nothing past the last query is.
  CacheView view(i64 row, i64 last, i64 window) const {
    return {s_.slots, window, newest[row] < s_.slots ? last : newest[row]};
  }
  i64 query_token(const Task& task, i64 n) const {
    return task.token + (task.first + n) / (s_.heads / s_.kv_heads);
  }
  // The number of the task's query `n` among all queries (token, head).
  i64 query_index(const Task& task, i64 n) const {
    const i64 copies = s_.heads / s_.kv_heads;
    return query_token(task, n) * s_.heads + task.group * copies + (task.first + n) % copies;
  }

  void combine_queries(const Task& task, float* partials, i64 chunks, i64 first, i64 last,
                       Value* outputs) {
    for (i64 n = first; n < last; ++n)
      combine_chunks<P>(partials + n * query_size_, chunks, s_.padded_head_size,
                        outputs + query_index(task, n) * s_.padded_head_size);
  }

  void run_task(const LayerTensors& layer, const Tokens& list, const Task& task,
                const Value* queries, float* partials) {
    std::vector<typename P::Operand> q((TASK_QUERIES + TILE) * head_units_ * P::OPERANDS);
    i64 positions[TASK_QUERIES];
    float* to[TASK_QUERIES];
    for (i64 n = 0; n < task.count; ++n) {
      positions[n] = list.position[query_token(task, n)];
      const Value* query = queries + query_index(task, n) * s_.padded_head_size;
      P::widen_units((const u32*)query, head_units_, q.data() + n * head_units_ * P::OPERANDS);
    }
    const i64 row = list.row[task.token];
    const CacheView seen = view(row, positions[task.count - 1], layer.window);
    const i64 plane = (row * s_.kv_heads + task.group) * s_.padded_slots * head_units_;
    for (i64 chunk = task.chunk; chunk < task.last_chunk; ++chunk) {
      for (i64 n = 0; n < task.count; ++n)
        to[n] = partials + n * query_size_ + chunk * partial_size(s_.padded_head_size);
      attend_chunk<P>((int)task.count, q.data(), head_units_, s_.padded_head_size,
                      layer.keys + plane, layer.values + plane, seen, chunk, positions,
                      1.0f / std::sqrt((float)s_.head_size), to);
    }
  }

  const Sizes& s_;
  Team& team_;
  std::vector<Task> tasks_, split_;  // what threads take; and the whole tasks, if they are split
  std::atomic<i64> next_task_{0};
  std::vector<float> partials_;
  i64 head_units_, task_size_, query_size_;  // sizes: floats of a task's partials, of one query's
};
