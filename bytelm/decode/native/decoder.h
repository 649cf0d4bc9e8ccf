// Decoding steps over a batch of rows.
//
// A row is a text: ids known so far, and the position of the next id to feed. While more than one
// known id waits, the row is prefilling and feeds a chunk of them; after that it feeds its last id
// and its drafts. Rows of both sorts share a forward.
#pragma once
#include <chrono>
#include <numeric>
#include "feeding.h"
#include "model.h"
#include "sampling.h"

struct Row {
  i64* text = nullptr;  // the ids; drafts are written after the known ones
  i64 known = 0, position = 0, limit = 0, width = 1;
  bool live = false;
  i64 sample = 0;  // numbers the row's randomness
};

// The best sayable id, of equal ones the lowest, and its probability among the sayable.
static i64 best_id(const float* logits, float* probability) {
  vf lanes = loadf(logits);
  for (i64 v = LANES; v < BYTES; v += LANES) lanes = larger(lanes, loadf(logits + v));
  const float most = max_of(lanes);
  i64 best = 0;
  while (best < BYTES - 1 && logits[best] != most) ++best;
  if (logits[EOD] > most) best = EOD;
  if (probability) {
    const vf from = spreadf(logits[best]);
    vf sum = vf{};
    for (i64 v = 0; v < BYTES; v += LANES) sum = sum + exponential_fine(loadf(logits + v) - from);
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
  // By row: ids fed this step, its first pick (-1: none), accepted drafts; then drafts, and how
  // sure of each its head was, and all before it (rows, k - 1).
  std::vector<i64> fed, first_pick, at, drafts;
  std::vector<float> sure;
  std::vector<i64> picks, all_picks;  // tokens that head 1 reads, and their numbers
  std::vector<i64> said;              // its words (rows, k)
  // Rows that draft; by their numbers among these, those still asking heads, how many drafts of
  // each may be fed and how many ids are, and the drafts' chances (rows, k - 1).
  std::vector<i64> drafting, asking, lengths, widths;
  std::vector<float> chances;
  std::vector<i64> accepted;  // picks that the asked head reads
  std::vector<float> logits, draft_logits;
  i64 vocab_stride, draft_stride, chunk;
  Feeding feeding;
  std::vector<Guesses> guesses;          // by row
  std::chrono::steady_clock::time_point heard;  // when words were said last,
  bool timed = false;                           // with no prompt beside
  Sampling sampling;                     // greedy at temperature 0
  std::vector<Distribution> drawn_from;  // under the rule "sampled": drafts' (rows, k - 1)

  Decoder(const Sizes& sizes, float eps, i64 most)
      : E(sizes, eps), chunk(most), feeding(sizes.batch, sizes.k) {
    const i64 heads = std::max<i64>(1, s.k - 1);
    rows.resize(s.batch);
    guesses.resize(s.batch);
    for (auto* list : {&fed, &at, &lengths, &widths}) list->assign(s.batch, 0);
    first_pick.assign(s.batch, -1);
    said.assign(s.batch * s.k, 0);
    drafts.assign(s.batch * heads, 0);
    sure.assign(s.batch * heads, 1);
    chances.assign(s.batch * heads, 1);
    vocab_stride = E::vocab_panels * PANEL;
    // Heads without layers have one matrix; heads with layers share head 1's.
    draft_stride = s.head_layers ? heads * vocab_stride : panels_before(s.k) * PANEL;
    logits.resize(s.batch * s.k * vocab_stride);
    draft_logits.resize(s.batch * std::max(draft_stride, vocab_stride));
  }
  // Panels of the drafting heads' matrix that hold heads 1 .. head - 1.
  i64 panels_before(i64 head) const { return ((head - 1) * s.vocab + PANEL - 1) / PANEL; }

  void sample(const Sampling& options) {
    sampling = options;
    if (sampling.drawn_drafts) drawn_from.resize(s.batch * std::max<i64>(1, s.k - 1));
  }

  void admit(i64 b, i64* text, i64 length, i64 limit, i64 sample = 0) {
    rows[b] = Row{text, length, 0, limit, 1, true, sample};
    E::text[b] = text;
    E::newest[b] = -1;
    guesses[b].clear();
    timed = false;
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
    E::run_trunk(picks, me);
    E::fill_heads(picks, me);
    const float* out = E::z.data();
    if (s.head_layers) {
      if (me == 0) all_picks.resize(picks.size()), std::iota(all_picks.begin(), all_picks.end(), 0);
      team.barrier();
      E::run_head(0, all_picks, me);
      out = E::picked_x.data();
    }
    E::unembed(out, (i64)picks.size(), E::unembeddings[0], 0, E::vocab_panels,
               [&](i64 i) { return logits.data() + i * vocab_stride; }, me);
    if (me == 0)
      for (i64 b = 0; b < s.batch; ++b)
        if (rows[b].live && first_pick[b] < 0) rows[b].position += fed[b];
  }

  // What head 1 says after the row's last known id and after each draft that it agrees with, into
  // `said`; and how many it agrees with.
  void listen(i64 b) {
    const Row& row = rows[b];
    i64* word = said.data() + b * s.k;
    const i64* block = row.text + row.position;
    for (at[b] = 0;; ++at[b]) {
      const i64 n = at[b];
      const bool drafted = n + 1 < fed[b];
      word[n] = say(row, logits.data() + (first_pick[b] + n) * vocab_stride, row.position + n + 1,
                    drafted ? &block[n + 1] : nullptr,
                    drawn_from.data() + b * (s.k - 1) + n);
      if (!drafted || word[n] != block[n + 1]) return;
    }
  }

  // The id at `position`: head 1's best, or one drawn from its distribution, where a draft may be
  // given and, under the rule "sampled", what it was drawn from.
  i64 say(const Row& row, const float* at_logits, i64 position, const i64* draft,
          const Distribution* q) const {
    if (sampling.temperature == 0) return best_id(at_logits, nullptr);
    const auto chance = [&](Stream stream) {
      return uniform(sampling.seed, row.sample, position, stream);
    };
    Distribution p;
    filter(at_logits, sampling, p);
    if (sampling.drawn_drafts && draft) {
      if (chance(ACCEPT) * q->of[*draft] < p.of[*draft]) return *draft;
      subtract(p, *q);
    }
    return draw(p, chance(DRAW));
  }

  // Rows take the drafts that head 1 agrees with, and its own word after them.
  void verify(i64* ids, i64* counts) {
    i64 bytes = 0;
    for (i64 b = 0; b < s.batch; ++b) {
      counts[b] = 0;
      if (first_pick[b] < 0) continue;
      Row& row = rows[b];
      const i64* word = said.data() + b * s.k;
      i64 count = std::min(at[b] + 1, row.limit - row.position);
      for (i64 i = 0; i < count; ++i)
        if (word[i] == EOD) count = i + 1, row.live = false;
      std::copy(word, word + count, ids + b * s.k);
      bytes += counts[b] = count;
      advance(b, word, count);
    }
    // The time since the last step's words, unless prompts were read in it.
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> took = now - heard;
    if (timed && tokens.count == (i64)picks.size() && bytes > 0)
      feeding.spent(tokens.count, bytes, took.count());
    heard = now, timed = tokens.count == (i64)picks.size();
  }

  void advance(i64 b, const i64* ids, i64 count) {
    Row& row = rows[b];
    for (i64 i = 0; i < count; ++i) row.text[row.position + 1 + i] = ids[i];
    row.position += count;
    row.known = row.position + 1;
    if (row.position >= row.limit) row.live = false;
    row.width = 1;
    guesses[b].judge(row.text, row.position, feeding);
  }

  // Who drafts: the rows that go on. All of them ask the first head.
  void begin_drafts() {
    drafting.clear(), asking.clear();
    for (i64 b = 0; b < s.batch; ++b)
      if (first_pick[b] >= 0 && rows[b].live) {
        asking.push_back((i64)drafting.size());
        lengths[drafting.size()] = 0;
        drafting.push_back(b);
      }
  }

  // Logits of head `head` for the asking rows, each where its number among the drafting ones says.
  void ask(i64 head, int me) {
    if (me == 0) {
      accepted.clear();
      for (i64 i : asking) accepted.push_back(first_pick[drafting[i]] + at[drafting[i]]);
    }
    team.barrier();
    E::run_head(head, accepted, me);
    const i64 from = s.head_layers ? 0 : panels_before(head);
    const i64 panels = s.head_layers ? E::vocab_panels : panels_before(head + 1) - from;
    const i64 start = s.head_layers ? (head - 1) * vocab_stride : from * PANEL;
    E::unembed(E::picked_x.data(), picked.count, E::unembeddings[s.head_layers ? 0 : 1], from,
               panels, [&](i64 i) { return &draft_logits[asking[i] * draft_stride + start]; }, me);
  }
  const float* draft_row(i64 i, i64 head) const {
    const i64 size = s.head_layers ? vocab_stride : s.vocab;
    return draft_logits.data() + i * draft_stride + (head - 1) * size;
  }

  // Write the heads' best ids after the texts, as many as pay. A head is asked only where the
  // heads before it were sure enough that its draft may be fed.
  void draft(int me) {
    if (me == 0) begin_drafts();
    team.barrier();
    for (i64 head = 1; head < s.k && !asking.empty(); ++head) {
      ask(head, me);
      const i64 count = (i64)asking.size();
      for (i64 n = E::share(count, me); n < E::share(count, me + 1); ++n) take(asking[n], head);
      team.barrier();
      if (me == 0) stop_asking(head);
      team.barrier();
    }
    if (me == 0) feed();
  }

  void take(i64 i, i64 head) {
    const Row& row = rows[drafting[i]];
    const i64 to = drafting[i] * (s.k - 1) + head - 1;
    if (sampling.drawn_drafts) {
      // How sure it is must not depend on what is drawn, or the choice of whom to feed would bend
      // the draw.
      Distribution& q = drawn_from[to];
      filter(draft_row(i, head), sampling, q);
      drafts[to] = draw(q, uniform(sampling.seed, row.sample, row.position + head, DRAFT));
      sure[to] = (float)q.largest();
    } else {
      drafts[to] = best_id(draft_row(i, head), &sure[to]);
    }
    // A head's probability already counts what may go wrong before its byte, so a run of drafts is
    // as likely as its least likely one, not as their product.
    if (head > 1) sure[to] = std::min(sure[to], sure[to - 1]);
    if (!sampling.drawn_drafts)
      guesses[drafting[i]].add(row.position, head, drafts[to], sure[to]);
    float& chance = chances[i * (s.k - 1) + head - 1];
    chance = feeding.chance(head, sure[to]);
    if (head > 1) chance = std::min(chance, (&chance)[-1]);
    if (feeding.promising(chance)) lengths[i] = head;
  }

  void feed() {
    feeding.choose((i64)drafting.size(), chances.data(), lengths.data(), widths.data());
    for (i64 i = 0; i < (i64)drafting.size(); ++i) {
      Row& row = rows[drafting[i]];
      row.width = widths[i];
      for (i64 j = 0; j + 1 < row.width; ++j)
        row.text[row.position + 1 + j] = drafts[drafting[i] * (s.k - 1) + j];
    }
  }

  // Only rows whose draft of `head` may be fed ask the next.
  void stop_asking(i64 head) {
    asking.erase(std::remove_if(asking.begin(), asking.end(),
                                [&](i64 i) { return lengths[i] < head; }),
                 asking.end());
  }

  // The shortest of `rounds` steps of one width, every row at `position`; the rows are lost.
  // A step of width w asks heads 2 .. w.
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
        const Prepared<P> prepared;
        forward(me);
        if (me == 0) begin_drafts();
        team.barrier();
        for (i64 head = 1; head < width; ++head) ask(head, me);
      });
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      best = std::min(best, took.count());
    }
    for (i64 b = 0; b < s.batch; ++b) rows[b] = Row{}, E::newest[b] = -1;
    return best;
  }

  // `steps` steps: ids (steps, batch, k) and counts (steps, batch).
  void run(i64 steps, i64* ids, i64* counts) {
    team.run([&](int me) {
      const Prepared<P> prepared;
      for (i64 step = 0; step < steps; ++step) {
        forward(me);
        for (i64 b = me; b < s.batch; b += s.threads)
          if (first_pick[b] >= 0) listen(b);
        team.barrier();
        if (me == 0) verify(ids + step * s.batch * s.k, counts + step * s.batch);
        team.barrier();
        if (s.k > 1) draft(me);
        team.barrier();
      }
    });
  }

  // For tests: row b's logits after its last known id, head 1's and then the drafting heads'
  // (k, vocab).
  void peek(i64 b, float* out) {
    do {
      at.assign(s.batch, 0);
      team.run([&](int me) {
        const Prepared<P> prepared;
        forward(me);
        if (me == 0) begin_drafts();
        team.barrier();
        for (i64 head = 1; head < s.k; ++head) ask(head, me);
      });
    } while (first_pick[b] < 0);
    std::memcpy(out, logits.data() + first_pick[b] * vocab_stride, s.vocab * 4);
    for (i64 i = 0; i < (i64)drafting.size(); ++i)
      for (i64 head = 1; head < s.k; ++head)
        if (drafting[i] == b) std::memcpy(out + head * s.vocab, draft_row(i, head), s.vocab * 4);
  }
};
