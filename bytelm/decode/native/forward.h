// The model's forward pass over a ragged batch of tokens: any rows, any number of tokens of each.
//
// It computes what bytelm.model.model.Model computes (tests hold the two together). The residual
// stream is in float32; matrices, keys and values are in the storage type.
//
// All threads of the team call every function that takes `me`, the thread's number. One whose name
// ends in _sync ends in a barrier: all threads see its results when it returns. Of any other a
// thread sees no more than its own results until the next barrier.
#pragma once
#include <algorithm>
#include "alphabet.h"
#include "batch_attention.h"

static constexpr i64 HIDDEN_PANEL = PANEL / 2;  // a panel holds as many gates and their values

template <class P>
struct TransformerForward {
  typedef typename P::Value Value;
  const Sizes s;
  const ModelTensors model;
  const std::vector<LayerTensors> layers;  // the trunk's, then the heads'
  Team team;
  BatchAttention<P> attention;
  // Units of a row of the residual stream, of a head's channels, of all heads', of the hidden ones.
  i64 units, head_units, out_units, down_units;
  i64 q_panels, kv_panels, out_panels, vocab_panels;

  // What a forward reads: the tokens, and each row's ids, since the n-grams look back.
  Tokens tokens;
  std::vector<const i64*> text;
  // The residual stream of all tokens; what left the trunk at the tokens whose logits are
  // logit_tokens; and what leaves a head at those that it is asked about. [token][padded_width]
  Tokens trunk_tokens, head_tokens;
  std::vector<float> x, trunk_out, head_out;
  std::vector<float> chain_out;  // of each chained head's layer, where logits are logit_tokens
  // Of the layer that runs.
  std::vector<float> q_projected, kv_projected;
  std::vector<Value> normed, queries, attended, hidden;

  TransformerForward(const Sizes& sizes, const ModelTensors& tensors)
      : s(sizes),
        model(tensors),
        layers(tensors.layers, tensors.layers + sizes.trunk_layers + sizes.head_layers),
        team((int)sizes.threads),
        attention(s, team) {
    units = (s.padded_width + P::PAIR - 1) / P::PAIR;
    head_units = s.padded_head_size / P::PAIR;
    out_units = s.heads * head_units;
    down_units = s.hidden_panels * HIDDEN_PANEL / P::PAIR;
    const auto panels = [](i64 outputs) { return (outputs + PANEL - 1) / PANEL; };
    q_panels = panels(s.heads * s.padded_head_size);
    kv_panels = panels(2 * s.kv_heads * s.padded_head_size);
    out_panels = panels(s.width);
    vocab_panels = panels(VOCAB);
    const i64 most = s.capacity, read = most + TILE;  // AMX reads whole tiles of rows
    x.resize(most * s.padded_width);
    trunk_out.resize(most * s.padded_width);
    head_out.resize(most * s.padded_width);
    if (s.head_chain) chain_out.resize(s.head_layers * s.batch * s.k * s.padded_width);
    q_projected.resize(most * q_panels * PANEL);
    kv_projected.resize(most * kv_panels * PANEL);
    normed.resize(read * s.padded_width);
    queries.resize(most * s.heads * s.padded_head_size);
    attended.resize(read * s.heads * s.padded_head_size);
    hidden.resize(read * s.hidden_panels * HIDDEN_PANEL);
    text.assign(s.batch, nullptr);
    for (auto* list : {&tokens, &trunk_tokens, &head_tokens}) {
      list->row.resize(most);
      list->position.resize(most);
    }
  }

  // The items [first, last) of `items` that are thread `me`'s.
  struct Share {
    i64 first, last;
  };
  Share share(i64 items, int me) const {
    return {items * me / s.threads, items * (me + 1) / s.threads};
  }

  // RMSNorm of this thread's rows, into `normed`.
  void norm_rows(int me, const float* from, i64 rows, const float* weight) {
    for (auto [t, last] = share(rows, me); t < last; ++t)
      normalize<P>(from + t * s.padded_width, weight, s.width, s.padded_width, s.norm_eps,
                   normed.data() + t * s.padded_width);
  }

  // The residual stream of this thread's tokens: their embeddings and those of their n-grams.
  void embed(int me) {
    for (auto [t, last] = share(tokens.count, me); t < last; ++t) {
      float* to = x.data() + t * s.padded_width;
      const i64* ids = ids_at(t);
      const i64 position = tokens.position[t];
      const Value* own = (const Value*)model.embedding + ids[0] * s.width;
      for (i64 d = 0; d < s.width; ++d) to[d] = P::widen(own[d]);
      for (i64 d = s.width; d < s.padded_width; ++d) to[d] = 0;
      for (i64 order = 0; order < s.ngram_orders; ++order) {
        uint64_t hash = 0;
        for (i64 back = 0; back <= s.ngram_history; ++back) {
          const i64 id = back <= position ? ids[-back] : PAD;
          hash += (uint64_t)(id + 1) *
                  (uint64_t)model.ngram_multipliers[order * (s.ngram_history + 1) + back];
        }
        const i64 bucket = (i64)((hash >> 33) & 0x7fffffffu) % s.ngram_rows;
        const Value* row =
            (const Value*)model.ngram_tables + (order * s.ngram_rows + bucket) * s.width;
        for (i64 d = 0; d < s.width; ++d) to[d] += P::widen(row[d]);
      }
    }
  }
  const i64* ids_at(i64 t) const { return text[tokens.row[t]] + tokens.position[t]; }

  // Rotate one head's channels by its position's angles, into storage.
  void rotate(const float* from, i64 position, Value* to) const {
    const i64 half = s.head_size / 2;
    const float *cosine = model.cosines + position * half, *sine = model.sines + position * half;
    for (i64 c = 0; c < half; ++c) {
      const float a = from[c], b = from[c + half];
      to[c] = P::narrow(a * cosine[c] - b * sine[c]);
      to[c + half] = P::narrow(b * cosine[c] + a * sine[c]);
    }
    for (i64 c = s.head_size; c < s.padded_head_size; ++c) to[c] = P::narrow(0);
  }

  // Keys and values of this thread's tokens, into the cache.
  void write_cache(const LayerTensors& layer, const Tokens& list, int me) {
    std::vector<Value> key(s.padded_head_size);
    for (auto [t, last] = share(list.count, me); t < last; ++t) {
      const i64 slot = list.position[t] % s.slots;
      for (i64 g = 0; g < s.kv_heads; ++g) {
        const i64 plane = (list.row[t] * s.kv_heads + g) * s.padded_slots * head_units;
        const float* from = kv_projected.data() + t * kv_panels * PANEL + g * s.padded_head_size;
        rotate(from, list.position[t], key.data());
        const u32* pairs = (const u32*)key.data();
        u32* tile = layer.keys + plane + slot / LANES * head_units * LANES + slot % LANES;
        for (i64 u = 0; u < head_units; ++u) tile[u * LANES] = pairs[u];
        const float* value = from + s.kv_heads * s.padded_head_size;
        Value* to = (Value*)(layer.values + plane + slot / P::PAIR * s.padded_head_size);
        for (i64 c = 0; c < s.padded_head_size; ++c)
          to[c * P::PAIR + slot % P::PAIR] = P::narrow(value[c]);
      }
    }
  }

  void rotate_queries(const Tokens& list, int me) {
    for (auto [t, last] = share(list.count, me); t < last; ++t)
      for (i64 h = 0; h < s.heads; ++h)
        rotate(q_projected.data() + t * q_panels * PANEL + h * s.padded_head_size, list.position[t],
               queries.data() + (t * s.heads + h) * s.padded_head_size);
  }

  // Where a product's sums go: added to the residual stream `to`, or stored.
  auto add_into(float* to) const {
    return [this, to](i64 row, i64 panel, const vf* sums) {
      float* at = to + row * s.padded_width + panel * PANEL;
      for (i64 j = 0; j < 4 && panel * PANEL + j * LANES < s.padded_width; ++j)
        storef(at + j * LANES, loadf(at + j * LANES) + sums[j]);
    };
  }
  auto store_into(float* to, i64 stride) const {
    return [=](i64 row, i64 panel, const vf* sums) {
      float* at = to + row * stride + panel * PANEL;
      for (int j = 0; j < 4; ++j) storef(at + j * LANES, sums[j]);
    };
  }

  // One layer over `list`: writes keys and values to the cache if `keep`, and updates the residual
  // stream `to` if `query`.
  void run_layer_sync(const LayerTensors& layer, const Tokens& list, float* to, bool keep,
                      bool query, int me) {
    const int n = (int)s.threads;
    norm_rows(me, to, list.count, layer.attention_norm);
    if (me == 0 && query) attention.plan(list);
    team.barrier();
    const u32* in = (const u32*)normed.data();
    if (keep)
      product<P>(me, n, in, units, list.count, layer.kv, kv_panels, units,
                 store_into(kv_projected.data(), kv_panels * PANEL));
    if (query)
      product<P>(n - 1 - me, n, in, units, list.count, layer.q, q_panels, units,
                 store_into(q_projected.data(), q_panels * PANEL));
    team.barrier();
    if (keep) write_cache(layer, list, me);
    if (!query) return team.barrier();
    rotate_queries(list, me);
    team.barrier();
    attention.attend_sync(layer, list, queries.data(), attended.data(), me);
    product<P>(me, n, (const u32*)attended.data(), out_units, list.count, layer.out, out_panels,
               out_units, add_into(to));
    team.barrier();
    feed_forward_sync(layer, list, to, me);
  }

  void feed_forward_sync(const LayerTensors& layer, const Tokens& list, float* to, int me) {
    const int n = (int)s.threads;
    norm_rows(me, to, list.count, layer.feed_forward_norm);
    team.barrier();
    // A panel holds 32 gates and the 32 values that they open.
    product<P>(me, n, (const u32*)normed.data(), units, list.count, layer.up, s.hidden_panels,
               units, [&](i64 row, i64 panel, const vf* sums) {
                 Value* at = hidden.data() + (row * s.hidden_panels + panel) * HIDDEN_PANEL;
                 for (int j = 0; j < 2; ++j) {
                   const vf gate = sums[j], value = sums[j + 2];
                   const vi down = gate < vf{};
                   const vf e = P::exp(select(down, gate, -gate));
                   const vf sigmoid = select(down, e, vf{} + 1.0f) / (1.0f + e);
                   P::narrow_lanes(gate * sigmoid * value, at + j * LANES);
                 }
               });
    team.barrier();
    product<P>(n - 1 - me, n, (const u32*)hidden.data(), down_units, list.count, layer.down,
               out_panels, down_units, add_into(to));
    team.barrier();
  }

  // The trunk over `tokens`. `trunk_out` gets what leaves it at the tokens `logit_tokens`. If the
  // heads have layers, `x` holds what leaves it at all tokens. If not, nothing reads the last
  // layer's output at the other tokens (a prompt's), and it is not computed there.
  void run_trunk_sync(const std::vector<i64>& logit_tokens, int me) {
    embed(me);
    if (me == 0) {
      trunk_tokens.count = (i64)logit_tokens.size();
      for (i64 i = 0; i < trunk_tokens.count; ++i) {
        trunk_tokens.row[i] = tokens.row[logit_tokens[i]];
        trunk_tokens.position[i] = tokens.position[logit_tokens[i]];
      }
    }
    team.barrier();
    const i64 last = s.trunk_layers - 1;
    for (i64 l = 0; l < last; ++l) run_layer_sync(layers[l], tokens, x.data(), true, true, me);
    const bool all = s.head_layers > 0 || trunk_tokens.count == tokens.count;
    run_layer_sync(layers[last], tokens, x.data(), true, all, me);
    gather_sync(x.data(), logit_tokens, trunk_out.data(), me);
    if (!all && trunk_tokens.count)
      run_layer_sync(layers[last], trunk_tokens, trunk_out.data(), false, true, me);
  }

  // Write the keys and values of the heads' layers to the cache. Of chained heads also keep what
  // each makes of the tokens `logit_tokens`, since the next head reads it anyway.
  void run_head_layers_sync(const std::vector<i64>& logit_tokens, int me) {
    for (i64 l = 0; l < s.head_layers; ++l) {
      run_layer_sync(layers[s.trunk_layers + l], tokens, x.data(), true, s.head_chain != 0, me);
      if (s.head_chain) gather_sync(x.data(), logit_tokens, chained(l), me);
    }
  }
  // What left layer `l` of the chained heads.
  float* chained(i64 l) { return chain_out.data() + l * s.batch * s.k * s.padded_width; }

  // Copy the rows `which` of a residual stream.
  void gather_sync(const float* from, const std::vector<i64>& which, float* to, int me) {
    for (auto [i, last] = share(which.size(), me); i < last; ++i)
      std::memcpy(to + i * s.padded_width, from + which[i] * s.padded_width,
                  s.padded_width * sizeof(float));
    team.barrier();
  }

  // What leaves head `head` at the rows `which` of `trunk_out`, before its norm, into `head_out`:
  // its layer's output, or the trunk's.
  void run_head_sync(i64 head, const std::vector<i64>& which, int me) {
    if (me == 0) {
      head_tokens.count = (i64)which.size();
      for (i64 i = 0; i < head_tokens.count; ++i) {
        head_tokens.row[i] = trunk_tokens.row[which[i]];
        head_tokens.position[i] = trunk_tokens.position[which[i]];
      }
    }
    const i64 at = s.head_chain == ANTICAUSAL ? s.head_layers - 1 - head : head;
    gather_sync(s.head_chain ? chained(at) : trunk_out.data(), which, head_out.data(), me);
    if (s.head_layers && !s.head_chain)
      run_layer_sync(layers[s.trunk_layers + head], head_tokens, head_out.data(), false, true, me);
  }

  // Logits of the rows `from`, after the heads' norm, by panels [first, first + count) of a packed
  // unembedding. Row i's go to logits_of(i).
  template <class Place>
  void unembed_sync(const float* from, i64 rows, const u32* matrix, i64 first, i64 count,
                    const Place& logits_of, int me) {
    norm_rows(me, from, rows, model.head_norm);
    team.barrier();
    product<P>(me, (int)s.threads, (const u32*)normed.data(), units, rows,
               matrix + first * units * PANEL, count, units,
               [&](i64 row, i64 panel, const vf* sums) {
                 float* at = logits_of(row) + panel * PANEL;
                 for (int j = 0; j < 4; ++j) storef(at + j * LANES, sums[j]);
               });
    team.barrier();
  }
};
