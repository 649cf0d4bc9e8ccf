// The model's forward over a ragged batch of tokens: any rows, any number of tokens of each.
//
// It computes what bytelm.model.model.Model computes (tests hold the two together), with the
// residual stream in float32 and matrices, keys and values in the storage type. Every function is
// run by all threads of the team at once; `me` is the thread's number.
#pragma once
#include <algorithm>
#include "attention.h"
#include "team.h"

struct Sizes {  // as `sizes` in stepper.py, in this order
  i64 width, padded_width, head_size, padded_head, heads, kv_heads, hidden_panels, trunk_layers,
      head_layers, chained, vocab, window, batch, slots, padded_slots, context, orders,
      table_rows, history, capacity, k, threads;
};

// Sizes::chained: 0 where heads read the trunk; else which way each reads another's output. The
// layers come in the order in which they run.
enum { CAUSAL = 1, ANTICAUSAL = 2 };

struct LayerWeights {
  const float* attention_norm;
  const u32* q;
  const u32* kv;
  const u32* out;
  const float* feed_forward_norm;
  const u32* up;
  const u32* down;
  u32* keys;    // [batch][kv_heads][padded_slots / 16][units][16]
  u32* values;  // [batch][kv_heads][padded_slots / PAIR][channels]
};

struct Tokens {  // a ragged batch; tokens of a row are neighbours, in the order of their positions
  i64 count = 0;
  std::vector<i64> row, position;
};

// Queries [first, first + count) of one row and key-value head, over chunks [chunk, last_chunk) of
// its slots. `area`: where their parts go, -1 for the thread's own.
struct Task {
  i64 token, group, first, count, chunk, last_chunk, area;
};

// Fewer tasks than this for each thread would leave some without work: rows are then split.
static constexpr i64 TASKS_A_THREAD = 4;

template <class P>
struct Engine {
  typedef typename P::Value Value;
  Sizes s;
  float norm_eps;
  Team team;
  const Value* embedding;
  const Value* tables;
  const i64* multipliers;  // [orders][history + 1]
  const float* cosines;    // [positions][head_size / 2]
  const float* sines;
  const float* head_norm;
  std::vector<LayerWeights> layers;
  std::vector<const u32*> unembeddings;  // head 1's; then all drafting heads' in one, if they are
  i64 units, head_units, out_units, down_units, q_panels, kv_panels, out_panels, vocab_panels;

  Tokens tokens, z_tokens, picked;
  std::vector<const i64*> text;   // a row's ids, for the n-grams' history
  std::vector<i64> newest;        // the newest position of each row that has been written
  std::vector<float> x, z, picked_x, links, projected, kv_projected, parts;
  std::vector<Value> normed, queries, mixed, inner;
  std::vector<Task> tasks, whole;  // what threads take; and, where rows are split, what was split
  std::atomic<i64> next_task{0};
  i64 area_size, query_size;  // floats of a task's parts, and of one query's

  Engine(const Sizes& sizes, float eps) : s(sizes), norm_eps(eps), team((int)sizes.threads) {
    units = (s.padded_width + P::PAIR - 1) / P::PAIR;
    head_units = s.padded_head / P::PAIR;
    out_units = s.heads * head_units;
    down_units = s.hidden_panels * 32 / P::PAIR;
    auto panels = [](i64 outputs) { return (outputs + PANEL - 1) / PANEL; };
    q_panels = panels(s.heads * s.padded_head);
    kv_panels = panels(2 * s.kv_heads * s.padded_head);
    out_panels = panels(s.width);
    vocab_panels = panels(s.vocab);
    const i64 most = s.capacity, read = most + TILE;  // AMX reads whole tiles of rows
    x.resize(most * s.padded_width);
    z.resize(most * s.padded_width);
    picked_x.resize(most * s.padded_width);
    if (s.chained) links.resize(s.head_layers * s.batch * s.k * s.padded_width);
    projected.resize(most * q_panels * PANEL);
    kv_projected.resize(most * kv_panels * PANEL);
    normed.resize(read * s.padded_width);
    queries.resize(most * s.heads * s.padded_head);
    mixed.resize(read * s.heads * s.padded_head);
    inner.resize(read * s.hidden_panels * 32);
    query_size = (s.padded_slots + CHUNK_SLOTS - 1) / CHUNK_SLOTS * part_size(s.padded_head);
    area_size = TASK_QUERIES * query_size;
    parts.resize(area_size * s.threads * (s.threads > 1 ? TASKS_A_THREAD : 1));
    newest.assign(s.batch, -1);
    text.assign(s.batch, nullptr);
    for (auto* list : {&tokens, &z_tokens, &picked}) {
      list->row.resize(most);
      list->position.resize(most);
    }
  }

  i64 share(i64 items, int me) const { return items * me / s.threads; }

  // Rows of float32 to normed storage; each thread its part.
  void norm_rows(int me, const float* from, i64 rows, const float* weight) {
    for (i64 t = share(rows, me); t < share(rows, me + 1); ++t)
      normalize<P>(from + t * s.padded_width, weight, s.width, s.padded_width, norm_eps,
                   normed.data() + t * s.padded_width);
  }

  void embed(int me) {
    for (i64 t = share(tokens.count, me); t < share(tokens.count, me + 1); ++t) {
      float* to = x.data() + t * s.padded_width;
      const i64* ids = ids_of(t);
      const i64 position = tokens.position[t];
      const Value* own = embedding + ids[0] * s.width;
      for (i64 d = 0; d < s.width; ++d) to[d] = P::widen(own[d]);
      for (i64 d = s.width; d < s.padded_width; ++d) to[d] = 0;
      for (i64 order = 0; order < s.orders; ++order) {
        uint64_t hash = 0;
        for (i64 back = 0; back <= s.history; ++back) {
          const i64 id = back <= position ? ids[-back] : pad;
          hash += (uint64_t)(id + 1) * (uint64_t)multipliers[order * (s.history + 1) + back];
        }
        const i64 bucket = (i64)((hash >> 33) & 0x7fffffffu) % s.table_rows;
        const Value* row = tables + (order * s.table_rows + bucket) * s.width;
        for (i64 d = 0; d < s.width; ++d) to[d] += P::widen(row[d]);
      }
    }
  }
  static constexpr i64 pad = 261;
  const i64* ids_of(i64 t) const { return text[tokens.row[t]] + tokens.position[t]; }

  // Rotate one head's channels by its position's angles, into storage.
  void rotate(const float* from, i64 position, Value* to) const {
    const i64 half = s.head_size / 2;
    const float *cosine = cosines + position * half, *sine = sines + position * half;
    for (i64 c = 0; c < half; ++c) {
      const float a = from[c], b = from[c + half];
      to[c] = P::narrow(a * cosine[c] - b * sine[c]);
      to[c + half] = P::narrow(b * cosine[c] + a * sine[c]);
    }
    for (i64 c = s.head_size; c < s.padded_head; ++c) to[c] = P::narrow(0);
  }

  void write_cache(const LayerWeights& layer, const Tokens& list, int me) {
    std::vector<Value> key(s.padded_head);
    for (i64 t = share(list.count, me); t < share(list.count, me + 1); ++t) {
      const i64 slot = list.position[t] % s.slots;
      for (i64 g = 0; g < s.kv_heads; ++g) {
        const i64 plane = (list.row[t] * s.kv_heads + g) * s.padded_slots * head_units;
        const float* from = kv_projected.data() + t * kv_panels * PANEL + g * s.padded_head;
        rotate(from, list.position[t], key.data());
        const u32* pairs = (const u32*)key.data();
        u32* tile = layer.keys + plane + slot / LANES * head_units * LANES + slot % LANES;
        for (i64 u = 0; u < head_units; ++u) tile[u * LANES] = pairs[u];
        const float* value = from + s.kv_heads * s.padded_head;
        Value* to = (Value*)(layer.values + plane + slot / P::PAIR * s.padded_head);
        for (i64 c = 0; c < s.padded_head; ++c)
          to[c * P::PAIR + slot % P::PAIR] = P::narrow(value[c]);
      }
    }
  }

  void rotate_queries(const Tokens& list, int me) {
    for (i64 t = share(list.count, me); t < share(list.count, me + 1); ++t)
      for (i64 h = 0; h < s.heads; ++h)
        rotate(projected.data() + t * q_panels * PANEL + h * s.padded_head, list.position[t],
               queries.data() + (t * s.heads + h) * s.padded_head);
  }

  // A ring that has turned is read whole; before that, nothing past the last query is.
  View view(i64 row, i64 last) const {
    return {s.slots, s.window, newest[row] < s.slots ? last : newest[row]};
  }

  // The queries of a token's heads that share a key-value head are neighbours: one run of queries.
  void plan(const Tokens& list) {
    whole.clear();
    const i64 copies = s.heads / s.kv_heads;
    for (i64 t = 0; t < list.count;) {
      i64 end = t;
      while (end < list.count && list.row[end] == list.row[t]) ++end;
      const i64 all = (end - t) * copies, blocks = (all + TASK_QUERIES - 1) / TASK_QUERIES;
      for (i64 g = 0; g < s.kv_heads; ++g)
        for (i64 block = 0; block < blocks; ++block) {
          const i64 first = all * block / blocks, count = all * (block + 1) / blocks - first;
          const i64 last = list.position[t + (first + count - 1) / copies];
          whole.push_back({t, g, first, count, 0, view(list.row[t], last).chunks(), -1});
        }
      t = end;
    }
    split_tasks();
  }

  void split_tasks() {
    const i64 few = s.threads > 1 ? TASKS_A_THREAD * s.threads : 0;
    if ((i64)whole.size() > few) {
      tasks.swap(whole);
      whole.clear();
      return;
    }
    tasks.clear();
    for (i64 i = 0; i < (i64)whole.size(); ++i)
      for (i64 piece = 0; piece < s.threads; ++piece) {
        Task task = whole[i];
        const i64 chunks = task.last_chunk;
        task.chunk = chunks * piece / s.threads, task.last_chunk = chunks * (piece + 1) / s.threads;
        task.area = i;
        if (task.chunk < task.last_chunk) tasks.push_back(task);
      }
  }

  i64 query_token(const Task& task, i64 n) const {
    return task.token + (task.first + n) / (s.heads / s.kv_heads);
  }
  // Where query `n` of a task lies among all queries (token, head).
  i64 query_index(const Task& task, i64 n) const {
    const i64 copies = s.heads / s.kv_heads;
    return query_token(task, n) * s.heads + task.group * copies + (task.first + n) % copies;
  }

  void join_queries(const Task& task, float* area, i64 chunks, i64 first, i64 last) {
    for (i64 n = first; n < last; ++n)
      join<P>(area + n * query_size, chunks, s.padded_head,
              mixed.data() + query_index(task, n) * s.padded_head);
  }

  void run_task(const LayerWeights& layer, const Tokens& list, const Task& task, float* area) {
    std::vector<u32> q((TASK_QUERIES + TILE) * head_units);
    i64 positions[TASK_QUERIES];
    float* to[TASK_QUERIES];
    for (i64 n = 0; n < task.count; ++n) {
      positions[n] = list.position[query_token(task, n)];
      std::memcpy(q.data() + n * head_units, queries.data() + query_index(task, n) * s.padded_head,
                  head_units * 4);
    }
    const i64 row = list.row[task.token];
    const View seen = view(row, positions[task.count - 1]);
    const i64 plane = (row * s.kv_heads + task.group) * s.padded_slots * head_units;
    for (i64 chunk = task.chunk; chunk < task.last_chunk; ++chunk) {
      for (i64 n = 0; n < task.count; ++n)
        to[n] = area + n * query_size + chunk * part_size(s.padded_head);
      attend_chunk<P>((int)task.count, q.data(), head_units, s.padded_head, layer.keys + plane,
                      layer.values + plane, seen, chunk, positions,
                      1.0f / std::sqrt((float)s.head_size), to);
    }
  }

  void run_tasks(const LayerWeights& layer, const Tokens& list, int me) {
    for (i64 at; (at = next_task.fetch_add(1)) < (i64)tasks.size();) {
      const Task& task = tasks[at];
      float* area = parts.data() + (task.area < 0 ? me : task.area) * area_size;
      run_task(layer, list, task, area);
      if (task.area < 0) join_queries(task, area, task.last_chunk, 0, task.count);
    }
    if (whole.empty()) return;
    team.barrier();
    for (i64 i = 0; i < (i64)whole.size(); ++i)
      join_queries(whole[i], parts.data() + i * area_size, whole[i].last_chunk,
                   share(whole[i].count, me), share(whole[i].count, me + 1));
  }

  auto add_to(float* to) const {
    return [this, to](i64 row, i64 panel, const vf* sums, int first, int step) {
      float* at = to + row * s.padded_width + panel * PANEL;
      for (i64 j = first; j < 4 && panel * PANEL + j * LANES < s.padded_width; j += step, ++sums)
        storef(at + j * LANES, loadf(at + j * LANES) + *sums);
    };
  }
  auto put_in(float* to, i64 stride) const {
    return [=](i64 row, i64 panel, const vf* sums, int first, int step) {
      float* at = to + row * stride + panel * PANEL;
      for (int j = first; j < 4; j += step, ++sums) storef(at + j * LANES, *sums);
    };
  }

  // One layer on `list`: its keys and values if `keep`, and the residual stream `to` if `query`.
  void run_layer(const LayerWeights& layer, const Tokens& list, float* to, bool keep, bool query,
                 int me) {
    const int n = (int)s.threads;
    norm_rows(me, to, list.count, layer.attention_norm);
    if (me == 0 && query) plan(list), next_task.store(0);
    team.barrier();
    const u32* in = (const u32*)normed.data();
    if (keep)
      product<P>(me, n, in, units, list.count, layer.kv, kv_panels, units,
                 put_in(kv_projected.data(), kv_panels * PANEL));
    if (query)
      product<P>(n - 1 - me, n, in, units, list.count, layer.q, q_panels, units,
                 put_in(projected.data(), q_panels * PANEL));
    team.barrier();
    if (keep) write_cache(layer, list, me);
    if (!query) return team.barrier();
    rotate_queries(list, me);
    team.barrier();
    run_tasks(layer, list, me);
    team.barrier();
    product<P>(me, n, (const u32*)mixed.data(), out_units, list.count, layer.out, out_panels,
               out_units, add_to(to));
    team.barrier();
    feed_forward(layer, list, to, me);
  }

  void feed_forward(const LayerWeights& layer, const Tokens& list, float* to, int me) {
    const int n = (int)s.threads;
    norm_rows(me, to, list.count, layer.feed_forward_norm);
    team.barrier();
    // A panel holds 32 gates and the 32 values that they open.
    product<P>(me, n, (const u32*)normed.data(), units, list.count, layer.up, s.hidden_panels,
               units, [&](i64 row, i64 panel, const vf* sums, int first, int step) {
                 Value* at = inner.data() + (row * s.hidden_panels + panel) * 32;
                 for (int j = first; j < 2; j += step, ++sums) {
                   const vf gate = sums[0], value = sums[2 / step];
                   const vi down = gate < vf{};
                   const vf e = P::exponential(choose(down, gate, -gate));
                   const vf sigmoid = choose(down, e, vf{} + 1.0f) / (1.0f + e);
                   P::narrow_lanes(gate * sigmoid * value, at + j * LANES);
                 }
               });
    team.barrier();
    product<P>(n - 1 - me, n, (const u32*)inner.data(), down_units, list.count, layer.down,
               out_panels, down_units, add_to(to));
    team.barrier();
  }

  // The trunk over `tokens`. What leaves it at the tokens `wanted` goes into z, one after another;
  // where the heads have layers, x holds all of it. Where they have none, nothing reads the last
  // layer's output at the other tokens (a prompt's), so it is not computed there.
  void run_trunk(const std::vector<i64>& wanted, int me) {
    embed(me);
    if (me == 0) {
      z_tokens.count = (i64)wanted.size();
      for (i64 i = 0; i < z_tokens.count; ++i) {
        z_tokens.row[i] = tokens.row[wanted[i]];
        z_tokens.position[i] = tokens.position[wanted[i]];
      }
    }
    team.barrier();
    const i64 last = s.trunk_layers - 1;
    for (i64 l = 0; l < last; ++l) run_layer(layers[l], tokens, x.data(), true, true, me);
    const bool all = s.head_layers > 0 || z_tokens.count == tokens.count;
    run_layer(layers[last], tokens, x.data(), true, all, me);
    gather(x.data(), wanted, z.data(), me);
    if (!all && z_tokens.count) run_layer(layers[last], z_tokens, z.data(), false, true, me);
  }

  // Leave in the cache what the heads' layers will want of these tokens: keys and values. Of heads
  // in a row also what each makes of the tokens `wanted`, since the next one reads it anyway.
  void fill_heads(const std::vector<i64>& wanted, int me) {
    for (i64 l = 0; l < s.head_layers; ++l) {
      run_layer(layers[s.trunk_layers + l], tokens, x.data(), true, s.chained != 0, me);
      if (s.chained) gather(x.data(), wanted, link(l), me);
    }
  }
  // The outputs of the row's layer `l`.
  float* link(i64 l) { return links.data() + l * s.batch * s.k * s.padded_width; }

  void gather(const float* from, const std::vector<i64>& which, float* to, int me) {
    for (i64 i = share(which.size(), me); i < share(which.size(), me + 1); ++i)
      std::memcpy(to + i * s.padded_width, from + which[i] * s.padded_width,
                  s.padded_width * sizeof(float));
    team.barrier();
  }

  // What leaves head `head` at the given rows of z, before its norm: its layer's output, or z.
  void run_head(i64 head, const std::vector<i64>& which, int me) {
    if (me == 0) {
      picked.count = (i64)which.size();
      for (i64 i = 0; i < picked.count; ++i) {
        picked.row[i] = z_tokens.row[which[i]];
        picked.position[i] = z_tokens.position[which[i]];
      }
    }
    const i64 at = s.chained == ANTICAUSAL ? s.head_layers - 1 - head : head;
    gather(s.chained ? link(at) : z.data(), which, picked_x.data(), me);
    if (s.head_layers && !s.chained)
      run_layer(layers[s.trunk_layers + head], picked, picked_x.data(), false, true, me);
  }

  // Logits by panels [first, first + count) of a packed unembedding, after the heads' norm, of the
  // rows `from`; row i's go to logits_of(i).
  template <class Place>
  void unembed(const float* from, i64 rows, const u32* matrix, i64 first, i64 count,
               const Place& logits_of, int me) {
    norm_rows(me, from, rows, head_norm);
    team.barrier();
    product<P>(me, (int)s.threads, (const u32*)normed.data(), units, rows,
               matrix + first * units * PANEL, count, units,
               [&](i64 row, i64 panel, const vf* sums, int half, int step) {
                 float* at = logits_of(row) + panel * PANEL;
                 for (int j = half; j < 4; j += step, ++sums) storef(at + j * LANES, *sums);
               });
    team.barrier();
  }
};
