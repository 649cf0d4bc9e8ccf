// What Python hands over. library.py has the same structs; layouts.h checks that they agree.
#pragma once
#include "vectors.h"

// Sizes::head_chain: how heads with layers read each other's output. Their layers are in the order
// in which they run.
enum HeadChain { INDEPENDENT = 0, CAUSAL = 1, ANTICAUSAL = 2 };

struct Sizes {
  // The model. Padded sizes are multiples of LANES.
  i64 width, padded_width, head_size, padded_head_size, heads, kv_heads;
  i64 hidden_panels;  // of HIDDEN_PANEL channels each
  i64 trunk_layers, head_layers, head_chain;
  i64 ngram_orders, ngram_rows, ngram_history;
  // The batch. Slots are positions that a row's cache holds.
  i64 batch, slots, padded_slots;
  i64 k;              // heads that run: head 1 and k - 1 that draft
  i64 capacity;       // tokens of a forward at most
  i64 prefill_chunk;  // tokens of a prompt in a forward at most
  i64 threads;
  float norm_eps;
};

// One layer's weights, and its cache. Matrices are packed in panels as pack.py says.
struct LayerTensors {
  const float* attention_norm;     // [padded_width]
  const u32* q;                    // heads x padded_head_size outputs
  const u32* kv;                   // 2 x kv_heads x padded_head_size outputs
  const u32* out;                  // width outputs
  const float* feed_forward_norm;  // [padded_width]
  const u32* up;                   // gates beside values
  const u32* down;                 // width outputs
  u32* keys;                       // [batch][kv_heads][padded_slots / 16][units][16]
  u32* values;                     // [batch][kv_heads][padded_slots / PAIR][channels]
  i64 window;                      // positions that a query sees; 0: all before it
};

struct ModelTensors {
  const void* embedding;           // [VOCAB][width], in the storage type
  const void* ngram_tables;        // [orders][rows][width], in the storage type
  const i64* ngram_multipliers;    // [orders][history + 1]
  const float* cosines;            // [positions][head_size / 2]
  const float* sines;              // the same
  const float* head_norm;          // [padded_width]
  const u32* unembedding;          // head 1's, packed
  const u32* draft_unembeddings;   // of heads 2 .. k, packed in one; with layers, head 1's
  const LayerTensors* layers;      // the trunk's, then the heads'
};

struct Sampling {
  double temperature;  // 0: greedy
  double top_p;
  i64 top_k;         // 0: all
  i64 drawn_drafts;  // 1: the draft rule "sampled"
  uint64_t seed;
};
