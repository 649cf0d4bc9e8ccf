// Decoding steps over a batch of rows, and the functions that Python calls (through ctypes).
//
// A row is a text: ids known so far, and the position of the next id to feed. While more than one
// known id waits, the row is prefilling and feeds a chunk of them; after that it feeds its last id
// and its drafts. Rows of both sorts share a forward.
#include <chrono>
#include "model.h"

struct Row {
  i64* text = nullptr;  // the ids; drafts are written after the known ones
  i64 known = 0, position = 0, limit = 0, width = 1;
  bool live = false;
};

static constexpr i64 BYTES = 256, EOD = 257;

// The best sayable id, of equal ones the lowest, and its probability among the sayable.
static i64 best_id(const float* logits, float* probability) {
  i64 best = 0;
  for (i64 v = 1; v < BYTES; ++v)
    if (logits[v] > logits[best]) best = v;
  if (logits[EOD] > logits[best]) best = EOD;
  if (probability) {
    const vf most = spreadf(logits[best]);
    vf sum = vf{};
    for (i64 v = 0; v < BYTES; v += LANES) sum = sum + exponential(loadf(logits + v) - most);
    *probability = 1.0f / (sum_of(sum) + std::exp(logits[EOD] - logits[best]));
  }
  return best;
}

template <class P>
struct Decoder : Engine<P> {
  using E = Engine<P>;
  using E::picked;
  using E::s;
  using E::team;
  using E::tokens;
  std::vector<Row> rows;
  std::vector<i64> fed, first_pick, drafting, said, at;  // by row: tokens this step, first in picks
  std::vector<i64> picks, accepted;                      // token indices
  std::vector<float> logits, draft_logits, confidence;
  i64 vocab_stride, draft_stride, chunk;
  float gate = 0;         // a draft is fed if it and all before it are at least this sure
  bool priced = false;    // the gate follows from what a step and a token more cost
  double base_s = 0, token_s = 0, recent_bytes = 0, recent_tokens = 0;

  Decoder(const Sizes& sizes, float eps, i64 most) : E(sizes, eps), chunk(most) {
    rows.resize(s.batch);
    fed.assign(s.batch, 0);
    first_pick.assign(s.batch, -1);
    at.assign(s.batch, 0);
    said.assign(s.batch * s.k, 0);
    vocab_stride = E::vocab_panels * PANEL;
    const i64 draft_panels = s.head_layers ? E::vocab_panels : draft_matrix_panels();
    draft_stride = draft_panels * PANEL;
    logits.resize(s.batch * s.k * vocab_stride);
    draft_logits.resize(s.batch * std::max<i64>(1, s.k - 1) * vocab_stride + draft_stride * s.batch);
    confidence.resize(s.batch * s.k);
    drafted.resize(s.batch * s.k);
  }
  std::vector<i64> drafted;
  i64 draft_matrix_panels() const { return ((s.k - 1) * s.vocab + PANEL - 1) / PANEL; }

  void admit(i64 b, i64* text, i64 length, i64 limit) {
    rows[b] = Row{text, length, 0, limit, 1, true};
    E::text[b] = text;
    E::newest[b] = -1;
  }

  // What this step feeds. Prompts in waiting share what room the decoding rows leave.
  void plan_step() {
    tokens.count = 0;
    picks.clear();
    i64 room = s.capacity - s.batch * s.k;
    for (i64 b = 0; b < s.batch; ++b) {
      Row& row = rows[b];
      fed[b] = 0, first_pick[b] = -1;
      if (!row.live) continue;
      const i64 waiting = row.known - 1 - row.position;
      if (waiting > 0) {
        fed[b] = std::min(std::min(waiting, chunk), room);
        room -= fed[b];
      } else {
        fed[b] = std::max<i64>(1, std::min(row.width, row.limit - row.position));
        first_pick[b] = (i64)picks.size();
      }
      for (i64 i = 0; i < fed[b]; ++i) {
        if (waiting <= 0) picks.push_back(tokens.count);
        tokens.row[tokens.count] = b;
        tokens.position[tokens.count++] = row.position + i;
      }
      if (fed[b]) E::newest[b] = std::max(E::newest[b], row.position + fed[b] - 1);
    }
  }

  // Forward; `logits` then holds head 1's at every pick. Rows in prefill have moved on.
  void forward(int me) {
    if (me == 0) plan_step();
    team.barrier();
    E::run_trunk(me);
    E::fill_heads(me);
    E::pick(picks, me);
    E::run_head(0, me);
    E::unembed(E::picked_x.data(), picked.count, E::unembeddings[0], E::vocab_panels,
               logits.data(), vocab_stride, me);
    if (me == 0)
      for (i64 b = 0; b < s.batch; ++b)
        if (rows[b].live && first_pick[b] < 0) rows[b].position += fed[b];
  }

  // The longest run of drafts that head 1 agrees with, and its own word after them.
  void verify(i64* ids, i64* counts) {
    for (i64 b = 0; b < s.batch; ++b) {
      counts[b] = 0;
      if (first_pick[b] < 0) continue;
      Row& row = rows[b];
      const i64* word = said.data() + first_pick[b];
      const i64* block = row.text + row.position;
      i64 n = 0;
      while (n + 1 < fed[b] && block[n + 1] == word[n]) ++n;
      at[b] = n;
      i64 count = std::min(n + 1, row.limit - row.position);
      for (i64 i = 0; i < count; ++i)
        if (word[i] == EOD) count = i + 1, row.live = false;
      for (i64 i = 0; i < count; ++i) ids[b * s.k + i] = word[i];
      counts[b] = count;
      advance(b, ids + b * s.k, count);
    }
  }

  void advance(i64 b, const i64* ids, i64 count) {
    Row& row = rows[b];
    for (i64 i = 0; i < count; ++i) row.text[row.position + 1 + i] = ids[i];
    row.position += count;
    row.known = row.position + 1;
    if (row.position >= row.limit) row.live = false;
    row.width = 1;
  }

  // Logits of the drafting heads at each live row's last accepted token, row after row in
  // `drafting`: (rows, k - 1, vocab), `vocab` apart where one matrix holds all heads.
  void draft(int me) {
    if (me == 0) {
      accepted.clear(), drafting.clear();
      for (i64 b = 0; b < s.batch; ++b)
        if (first_pick[b] >= 0 && rows[b].live)
          accepted.push_back(picks[first_pick[b] + at[b]]), drafting.push_back(b);
    }
    team.barrier();
    if (accepted.empty()) return;
    if (!s.head_layers) {
      E::pick(accepted, me);
      E::unembed(E::picked_x.data(), picked.count, E::unembeddings[1], draft_matrix_panels(),
                 draft_logits.data(), draft_stride, me);
      return;
    }
    for (i64 head = 1; head < s.k; ++head) {
      E::pick(accepted, me);
      E::run_head(head, me);
      E::unembed(E::picked_x.data(), picked.count, E::unembeddings[0], E::vocab_panels,
                 draft_logits.data() + (head - 1) * vocab_stride, (s.k - 1) * vocab_stride, me);
    }
  }
  const float* draft_row(i64 i, i64 head) const {
    return s.head_layers ? draft_logits.data() + (i * (s.k - 1) + head) * vocab_stride
                         : draft_logits.data() + i * draft_stride + head * s.vocab;
  }

  // Write the argmax drafts after the text, as many as their heads are sure enough of.
  void take_drafts(int me) {
    const i64 heads = s.k - 1, items = (i64)drafting.size() * heads;
    for (i64 i = E::share(items, me); i < E::share(items, me + 1); ++i)
      drafted[i] = best_id(draft_row(i / heads, i % heads), gate > 0 ? &confidence[i] : nullptr);
    team.barrier();
    if (me != 0) return;
    for (i64 i = 0; i < (i64)drafting.size(); ++i) {
      Row& row = rows[drafting[i]];
      float sure = 1;
      for (i64 head = 0; head < heads; ++head) {
        // A head's probability already counts what may go wrong before its byte, so a run of
        // drafts is as likely as its least likely one, not as their product.
        if (gate > 0 && (sure = std::min(sure, confidence[i * heads + head])) < gate) break;
        row.text[row.position + 1 + head] = drafted[i * heads + head];
        row.width = head + 2;
      }
    }
  }

  // The shortest of `rounds` steps of one width, every row at `position`; the rows are lost.
  double cost(i64 position, i64 width, i64 rounds) {
    std::vector<i64> text(position + s.k + 1, 0);
    double best = 1e9;
    for (i64 round = 0; round < rounds; ++round) {
      for (i64 b = 0; b < s.batch; ++b) {
        admit(b, text.data(), position + 1, position + s.k + 1);
        rows[b].position = position, rows[b].width = width, at[b] = 0;
      }
      const auto start = std::chrono::steady_clock::now();
      team.run([&](int me) {
        forward(me);
        if (s.k > 1) draft(me);
      });
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      best = std::min(best, took.count());
    }
    for (i64 b = 0; b < s.batch; ++b) rows[b] = Row{}, E::newest[b] = -1;
    return best;
  }

  // A token more pays if it brings more bytes than its time would bring at the present rate.
  void reprice(const i64* counts) {
    if (!priced || tokens.count > (i64)picks.size() || picks.empty()) return;
    double bytes = 0;
    for (i64 b = 0; b < s.batch; ++b) bytes += (double)counts[b];
    const double weight = recent_tokens > 0 ? 0.1 : 1;
    recent_bytes += weight * (bytes - recent_bytes);
    recent_tokens += weight * ((double)picks.size() - recent_tokens);
    gate = (float)std::min(0.95, token_s * recent_bytes / (base_s + token_s * recent_tokens));
  }

  // `steps` greedy steps: ids (steps, batch, k) and counts (steps, batch).
  void run(i64 steps, i64* ids, i64* counts) {
    team.run([&](int me) {
      for (i64 step = 0; step < steps; ++step) {
        forward(me);
        for (i64 i = E::share(picks.size(), me); i < E::share(picks.size(), me + 1); ++i)
          said[i] = best_id(logits.data() + i * vocab_stride, nullptr);
        team.barrier();
        if (me == 0) {
          verify(ids + step * s.batch * s.k, counts + step * s.batch);
          reprice(counts + step * s.batch);
        }
        team.barrier();
        if (s.k > 1) draft(me), take_drafts(me);
        team.barrier();
      }
    });
  }

  // The halves of a step whose words are chosen elsewhere (sampling).
  void begin(float* out, i64* widths) {
    team.run([&](int me) { forward(me); });
    for (i64 b = 0; b < s.batch; ++b) {
      widths[b] = first_pick[b] < 0 ? 0 : fed[b];
      for (i64 i = 0; i < widths[b]; ++i)
        std::memcpy(out + (b * s.k + i) * s.vocab,
                    logits.data() + (first_pick[b] + i) * vocab_stride, s.vocab * 4);
    }
  }
  void finish(const i64* ids, const i64* counts, const i64* taken, const i64* done, float* out) {
    for (i64 b = 0; b < s.batch; ++b) {
      if (first_pick[b] < 0) continue;
      at[b] = taken[b];
      advance(b, ids + b * s.k, counts[b]);
      if (done[b]) rows[b].live = false;
    }
    reprice(counts);
    if (s.k == 1) return;
    team.run([&](int me) { draft(me); });
    for (i64 i = 0; i < (i64)drafting.size(); ++i)
      for (i64 head = 0; head < s.k - 1; ++head)
        std::memcpy(out + (drafting[i] * (s.k - 1) + head) * s.vocab, draft_row(i, head),
                    s.vocab * 4);
  }
  void offer(const i64* drafts, const i64* widths) {  // drafts (batch, k - 1) from elsewhere
    for (i64 b = 0; b < s.batch; ++b) {
      if (!rows[b].live || rows[b].known - 1 != rows[b].position) continue;
      rows[b].width = widths[b];
      for (i64 i = 0; i + 1 < widths[b]; ++i)
        rows[b].text[rows[b].position + 1 + i] = drafts[b * (s.k - 1) + i];
    }
  }
};

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
  EXPORT void admit_##P(void* d, i64 b, i64* text, i64 length, i64 limit) {                        \
    ((Decoder<P>*)d)->admit(b, text, length, limit);                                               \
  }                                                                                                \
  EXPORT void stop_##P(void* d, i64 b) { ((Decoder<P>*)d)->rows[b].live = false; }                 \
  EXPORT void gate_##P(void* d, float gate) { ((Decoder<P>*)d)->gate = gate; }                     \
  EXPORT void price_##P(void* d, double base_s, double token_s) {                                  \
    ((Decoder<P>*)d)->base_s = base_s, ((Decoder<P>*)d)->token_s = token_s;                        \
    ((Decoder<P>*)d)->priced = true;                                                               \
  }                                                                                                \
  EXPORT float threshold_##P(void* d) { return ((Decoder<P>*)d)->gate; }                           \
  EXPORT double cost_##P(void* d, i64 position, i64 width, i64 rounds) {                           \
    return ((Decoder<P>*)d)->cost(position, width, rounds);                                        \
  }                                                                                                \
  EXPORT void run_##P(void* d, i64 steps, i64* ids, i64* counts) {                                 \
    ((Decoder<P>*)d)->run(steps, ids, counts);                                                     \
  }                                                                                                \
  EXPORT void begin_##P(void* d, float* logits, i64* widths) {                                     \
    ((Decoder<P>*)d)->begin(logits, widths);                                                       \
  }                                                                                                \
  EXPORT void finish_##P(void* d, const i64* ids, const i64* counts, const i64* taken,             \
                         const i64* done, float* logits) {                                         \
    ((Decoder<P>*)d)->finish(ids, counts, taken, done, logits);                                    \
  }                                                                                                \
  EXPORT void offer_##P(void* d, const i64* drafts, const i64* widths) {                           \
    ((Decoder<P>*)d)->offer(drafts, widths);                                                       \
  }
FUNCTIONS(F32)
FUNCTIONS(BF16)
