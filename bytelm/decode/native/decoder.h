// Decoding steps over a batch of rows.
//
// A row is a text: the ids known so far, and the position of the next id to feed. While more than
// one known id waits, the row is in prefill and feeds a chunk of them. After that it feeds its last
// id and its drafts. Rows of both sorts share a forward.
//
// Of the functions that take `me`, those whose name ends in _sync end in a barrier: see forward.h.
#pragma once
#include <chrono>
#include <numeric>
#include "draft_lengths.h"
#include "forward.h"
#include "sampling.h"

struct Row {
  i64* text = nullptr;  // the ids; drafts are written after the known ones
  i64 known = 0, position = 0, limit = 0, width = 1;
  bool live = false;
  i64 sample = 0;  // numbers the row's randomness
};
static constexpr i64 ALL_ROWS = -1;

template <class P>
class Decoder : TransformerForward<P> {
  using Forward = TransformerForward<P>;
  using Forward::head_tokens;
  using Forward::s;
  using Forward::team;
  using Forward::tokens;

  std::vector<Row> rows_;
  // The tokens that head 1's logits are computed for, and their numbers. By row: ids that it feeds
  // in this step, the number of its first logit token (-1: it is in prefill), drafts accepted.
  std::vector<i64> logit_tokens_, logit_rows_;
  std::vector<i64> fed_counts_, first_logit_, accepted_counts_;
  std::vector<i64> overflowed_;  // by row: 1 once head 1's logits were not finite; it then ends
  std::vector<i64> verified_;  // head 1's ids at the row's logit tokens (rows, k)
  // Drafts (rows, k - 1); how probable each was to its head, or the least probable one before it.
  std::vector<i64> drafts_;
  std::vector<float> confidences_;
  std::vector<Distribution> drawn_from_;  // under the rule "sampled", what each was drawn from
  // The rows that draft. By their numbers among these: those that ask the next head; how many
  // drafts of each may be fed, and how many ids are; how likely its drafts are accepted (rows, k -
  // 1).
  std::vector<i64> drafting_, active_, draft_counts_, widths_;
  std::vector<float> acceptances_;
  std::vector<i64> head_rows_;  // the active rows' last accepted ids, by number of logit token
  std::vector<float> logits_, draft_logits_;
  i64 logits_stride_, draft_stride_;  // of a token's logits, of a row's
  DraftLengths draft_lengths_;
  std::vector<PendingDrafts> pending_;  // by row
  // When the last step ended; whether it had no prompt, so that the time from it on is a step's.
  std::chrono::steady_clock::time_point last_end_;
  bool last_end_counts_ = false;
  Sampling sampling_{0, 1, 0, 0, 0};
  i64 alone_ = ALL_ROWS;  // the row that a step feeds, while the others wait

 public:
  Decoder(const Sizes& sizes, const ModelTensors& model)
      : Forward(sizes, model), draft_lengths_(sizes.batch, sizes.k) {
    const i64 heads = std::max<i64>(1, s.k - 1);
    rows_.resize(s.batch);
    pending_.resize(s.batch);
    for (auto* list : {&fed_counts_, &accepted_counts_, &draft_counts_, &widths_, &overflowed_})
      list->assign(s.batch, 0);
    first_logit_.assign(s.batch, -1);
    verified_.assign(s.batch * s.k, 0);
    drafts_.assign(s.batch * heads, 0);
    confidences_.assign(s.batch * heads, 1);
    acceptances_.assign(s.batch * heads, 1);
    logits_stride_ = Forward::vocab_panels * PANEL;
    // Heads without layers have one matrix; heads with layers share head 1's.
    draft_stride_ = s.head_layers ? heads * logits_stride_ : panels_before(s.k) * PANEL;
    logits_.resize(s.batch * s.k * logits_stride_);
    draft_logits_.resize(s.batch * std::max(draft_stride_, logits_stride_));
  }

  void set_sampling(const Sampling& options) {
    sampling_ = options;
    if (sampling_.drawn_drafts) drawn_from_.resize(s.batch * std::max<i64>(1, s.k - 1));
  }
  void set_gate(float gate) { draft_lengths_.set_gate(gate); }
  void set_costs(const double* costs_s, bool by_clock) {
    draft_lengths_.set_costs(costs_s, by_clock);
  }

  void admit(i64 b, i64* text, i64 length, i64 limit, i64 sample) {
    rows_[b] = Row{text, length, 0, limit, 1, true, sample};
    Forward::text[b] = text;
    Forward::attention.newest[b] = -1;
    pending_[b].clear();
    overflowed_[b] = 0;
    last_end_counts_ = false;
  }
  void release(i64 b) { rows_[b].live = false; }
  // Feed all of row b's prompt but its last id, while the other rows wait; or, if it is `there`,
  // take it from the cache, where it was copied.
  void prefill(i64 b, bool there) {
    Row& row = rows_[b];
    if (there) {
      row.position = row.known - 1;
      Forward::attention.newest[b] = row.position - 1;
      return;
    }
    const i64 forwards = (row.known - 1 + s.prefill_chunk - 1) / s.prefill_chunk;
    alone_ = b;
    team.run([&](int me) {
      const AmxScope<P> amx;
      for (i64 n = 0; n < forwards; ++n) forward_sync(me);
    });
    alone_ = ALL_ROWS;
  }

  // `steps` steps: ids (steps, batch, k), counts (steps, batch). Returns how many rows have ended
  // because their logits were not finite.
  i64 run(i64 steps, i64* ids, i64* counts) {
    team.run([&](int me) {
      const AmxScope<P> amx;
      for (i64 step = 0; step < steps; ++step) {
        forward_sync(me);
        for (i64 b = me; b < s.batch; b += s.threads)
          if (first_logit_[b] >= 0) verify(b);
        team.barrier();
        if (me == 0) accept(ids + step * s.batch * s.k, counts + step * s.batch);
        team.barrier();
        if (s.k > 1) draft_sync(me);
      }
    });
    return std::accumulate(overflowed_.begin(), overflowed_.end(), (i64)0);
  }

  // Ids that each row fed in the last step.
  void fed_counts(i64* counts) const { std::copy(fed_counts_.begin(), fed_counts_.end(), counts); }

  // Seconds of the shortest of `rounds` steps of one width, every row at `position`; ends all rows.
  // A step of width w asks heads 2 .. w.
  double time_step(i64 position, i64 width, i64 rounds) {
    std::vector<i64> text(position + s.k + 1, 0);
    double best_s = 1e9;
    for (i64 round = 0; round < rounds; ++round) {
      for (i64 b = 0; b < s.batch; ++b) {
        admit(b, text.data(), position + 1, position + s.k + 1, 0);
        rows_[b].position = position, rows_[b].width = width, accepted_counts_[b] = 0;
      }
      const auto start = std::chrono::steady_clock::now();
      run_heads(width);
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      best_s = std::min(best_s, elapsed.count());
    }
    for (i64 b = 0; b < s.batch; ++b) rows_[b] = Row{}, Forward::attention.newest[b] = -1;
    return best_s;
  }

  // Row b's logits after its last known id, head 1's and then the drafting heads' (k, VOCAB). For
  // tests.
  void logits_after(i64 b, float* out) {
    do {
      accepted_counts_.assign(s.batch, 0);
      run_heads(s.k);
    } while (first_logit_[b] < 0);
    const i64 bytes = VOCAB * sizeof(float);
    std::memcpy(out, logits_.data() + first_logit_[b] * logits_stride_, bytes);
    for (i64 i = 0; i < (i64)drafting_.size(); ++i)
      for (i64 head = 1; head < s.k; ++head)
        if (drafting_[i] == b) std::memcpy(out + head * VOCAB, draft_logits_of(i, head), bytes);
  }

 private:
  // A forward, and the logits of heads 2 .. heads at each row's first logit token.
  void run_heads(i64 heads) {
    team.run([&](int me) {
      const AmxScope<P> amx;
      forward_sync(me);
      if (me == 0) begin_drafts();
      team.barrier();
      for (i64 head = 1; head < heads; ++head) run_draft_head_sync(head, me);
    });
  }

  // What this step feeds. Prompts share the room that decoding rows leave.
  void plan_step() {
    tokens.count = 0;
    logit_tokens_.clear();
    i64 room = s.capacity - s.batch * s.k;
    for (i64 b = 0; b < s.batch; ++b) {
      Row& row = rows_[b];
      fed_counts_[b] = 0, first_logit_[b] = -1;
      if (!row.live || (alone_ != ALL_ROWS && alone_ != b)) continue;
      const i64 waiting = row.known - 1 - row.position;
      if (waiting > 0) {
        fed_counts_[b] = std::min(std::min(waiting, s.prefill_chunk), room);
        room -= fed_counts_[b];
      } else {
        fed_counts_[b] = std::max<i64>(1, std::min(row.width, row.limit - row.position));
        first_logit_[b] = (i64)logit_tokens_.size();
      }
      for (i64 i = 0; i < fed_counts_[b]; ++i) {
        if (waiting <= 0) logit_tokens_.push_back(tokens.count);
        tokens.row[tokens.count] = b;
        tokens.position[tokens.count++] = row.position + i;
      }
      i64& newest = Forward::attention.newest[b];
      if (fed_counts_[b]) newest = std::max(newest, row.position + fed_counts_[b] - 1);
      if (waiting > 0) row.position += fed_counts_[b];
    }
    logit_rows_.resize(logit_tokens_.size());
    std::iota(logit_rows_.begin(), logit_rows_.end(), 0);
  }

  // The model over what this step feeds. `logits_` then holds head 1's at every logit token.
  void forward_sync(int me) {
    if (me == 0) plan_step();
    team.barrier();
    Forward::run_trunk_sync(logit_tokens_, me);
    Forward::run_head_layers_sync(logit_tokens_, me);
    const float* out = Forward::trunk_out.data();
    if (s.head_layers) {
      Forward::run_head_sync(0, logit_rows_, me);
      out = Forward::head_out.data();
    }
    Forward::unembed_sync(
        out, (i64)logit_tokens_.size(), Forward::model.unembedding, 0, Forward::vocab_panels,
        [&](i64 i) { return logits_.data() + i * logits_stride_; }, me);
  }

  // Head 1's ids after the row's last known id and after each draft that equals head 1's id there;
  // and the number of such drafts. From logits that are not finite no id is chosen.
  void verify(i64 b) {
    const Row& row = rows_[b];
    i64* id = verified_.data() + b * s.k;
    const i64* block = row.text + row.position;
    for (accepted_counts_[b] = 0;; ++accepted_counts_[b]) {
      const i64 n = accepted_counts_[b];
      const bool drafted = n + 1 < fed_counts_[b];
      const float* logits = logits_.data() + (first_logit_[b] + n) * logits_stride_;
      if (!all_finite(logits)) {
        overflowed_[b] = 1;
        return;
      }
      id[n] = choose_id(row, logits, row.position + n + 1, drafted ? &block[n + 1] : nullptr,
                        drawn_from_.empty() ? nullptr : &drawn_from_[b * (s.k - 1) + n]);
      if (!drafted || id[n] != block[n + 1]) return;
    }
  }

  // The id at `position`: head 1's best, or one drawn from its distribution. Under the rule
  // "sampled" a draft may be accepted, by what it was drawn from.
  i64 choose_id(const Row& row, const float* logits, i64 position, const i64* draft,
                const Distribution* drawn_from) const {
    if (sampling_.temperature == 0) return best_id(logits, nullptr);
    const auto random = [&](Stream stream) {
      return uniform(sampling_.seed, row.sample, position, stream);
    };
    Distribution p;
    filter(logits, sampling_, p);
    if (sampling_.drawn_drafts && draft) {
      if (random(ACCEPT) * drawn_from->of[*draft] < p.of[*draft]) return *draft;
      subtract(p, *drawn_from);
    }
    return draw(p, random(DRAW));
  }

  // Each row takes its accepted drafts and head 1's id after them.
  void accept(i64* ids, i64* counts) {
    i64 bytes = 0;
    for (i64 b = 0; b < s.batch; ++b) {
      counts[b] = 0;
      if (first_logit_[b] < 0) continue;
      Row& row = rows_[b];
      if (overflowed_[b]) {
        row.live = false;
        continue;
      }
      const i64* id = verified_.data() + b * s.k;
      i64 count = std::min(accepted_counts_[b] + 1, row.limit - row.position);
      for (i64 i = 0; i < count; ++i)
        if (id[i] == EOD) count = i + 1, row.live = false;
      std::copy(id, id + count, ids + b * s.k);
      bytes += counts[b] = count;
      advance(b, id, count);
    }
    // The time since the last step's end is this step's, unless one of them had a prompt.
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> elapsed = now - last_end_;
    const bool no_prompt = tokens.count == (i64)logit_tokens_.size();
    if (last_end_counts_ && no_prompt && bytes > 0)
      draft_lengths_.record_step(tokens.count, bytes, elapsed.count());
    last_end_ = now, last_end_counts_ = no_prompt;
  }

  void advance(i64 b, const i64* ids, i64 count) {
    Row& row = rows_[b];
    for (i64 i = 0; i < count; ++i) row.text[row.position + 1 + i] = ids[i];
    row.position += count;
    row.known = row.position + 1;
    if (row.position >= row.limit) row.live = false;
    row.width = 1;
    pending_[b].resolve(row.text, row.position, draft_lengths_);
  }

  // Write the heads' ids after the texts, as many as pay. A row asks a head only if the drafts
  // before it are likely enough that one more may be fed.
  void draft_sync(int me) {
    if (me == 0) begin_drafts();
    team.barrier();
    for (i64 head = 1; head < s.k && !active_.empty(); ++head) {
      run_draft_head_sync(head, me);
      for (auto [n, last] = Forward::share(active_.size(), me); n < last; ++n)
        choose_draft(active_[n], head);
      team.barrier();
      if (me == 0) drop_inactive(head);
      team.barrier();
    }
    if (me == 0) write_drafts();
    team.barrier();
  }

  // The rows that go on draft. All of them ask the first drafting head.
  void begin_drafts() {
    drafting_.clear(), active_.clear();
    for (i64 b = 0; b < s.batch; ++b)
      if (first_logit_[b] >= 0 && rows_[b].live) {
        active_.push_back((i64)drafting_.size());
        draft_counts_[drafting_.size()] = 0;
        drafting_.push_back(b);
      }
  }

  // Logits of head `head` for the active rows, each at the row's number among the drafting ones.
  void run_draft_head_sync(i64 head, int me) {
    if (me == 0) {
      head_rows_.clear();
      for (i64 i : active_)
        head_rows_.push_back(first_logit_[drafting_[i]] + accepted_counts_[drafting_[i]]);
    }
    team.barrier();
    Forward::run_head_sync(head, head_rows_, me);
    const bool layers = s.head_layers > 0;
    const i64 first = layers ? 0 : panels_before(head);
    const i64 panels = layers ? Forward::vocab_panels : panels_before(head + 1) - first;
    const i64 start = layers ? (head - 1) * logits_stride_ : first * PANEL;
    Forward::unembed_sync(
        Forward::head_out.data(), head_tokens.count,
        layers ? Forward::model.unembedding : Forward::model.draft_unembeddings, first, panels,
        [&](i64 i) { return &draft_logits_[active_[i] * draft_stride_ + start]; }, me);
  }
  // Panels of the drafting heads' matrix before head `head`'s outputs.
  static i64 panels_before(i64 head) { return ((head - 1) * VOCAB + PANEL - 1) / PANEL; }
  const float* draft_logits_of(i64 i, i64 head) const {
    const i64 size = s.head_layers ? logits_stride_ : VOCAB;
    return draft_logits_.data() + i * draft_stride_ + (head - 1) * size;
  }

  // The draft of head `head` for drafting row `i`, and how likely it is accepted.
  void choose_draft(i64 i, i64 head) {
    const i64 b = drafting_[i];
    const Row& row = rows_[b];
    const i64 to = b * (s.k - 1) + head - 1;
    if (!all_finite(draft_logits_of(i, head))) {
      // No draft: the text is head 1's alone, and goes on without.
      if (!drawn_from_.empty()) drawn_from_[to] = Distribution{{1}};
      drafts_[to] = 0, confidences_[to] = 0;
    } else if (sampling_.drawn_drafts) {
      // The confidence must not depend on what is drawn. If it did, the choice of the drafts to
      // feed would change the distribution.
      Distribution& q = drawn_from_[to];
      filter(draft_logits_of(i, head), sampling_, q);
      drafts_[to] = draw(q, uniform(sampling_.seed, row.sample, row.position + head, DRAFT));
      confidences_[to] = (float)q.largest();
    } else {
      drafts_[to] = best_id(draft_logits_of(i, head), &confidences_[to]);
    }
    // A head's probability already counts what may go wrong before its byte. So a run of drafts is
    // as likely as its least likely draft, not as their product.
    if (head > 1) confidences_[to] = std::min(confidences_[to], confidences_[to - 1]);
    if (!sampling_.drawn_drafts) pending_[b].add(row.position, head, drafts_[to], confidences_[to]);
    float& acceptance = acceptances_[i * (s.k - 1) + head - 1];
    acceptance = draft_lengths_.acceptance(head, confidences_[to]);
    if (head > 1) acceptance = std::min(acceptance, (&acceptance)[-1]);
    if (draft_lengths_.may_pay(acceptance)) draft_counts_[i] = head;
  }

  // Only rows whose draft of `head` may be fed ask the next head.
  void drop_inactive(i64 head) {
    const auto inactive = [&](i64 i) { return draft_counts_[i] < head; };
    active_.erase(std::remove_if(active_.begin(), active_.end(), inactive), active_.end());
  }

  void write_drafts() {
    draft_lengths_.choose_widths((i64)drafting_.size(), acceptances_.data(), draft_counts_.data(),
                                 widths_.data());
    for (i64 i = 0; i < (i64)drafting_.size(); ++i) {
      Row& row = rows_[drafting_[i]];
      row.width = widths_[i];
      for (i64 j = 0; j + 1 < row.width; ++j)
        row.text[row.position + 1 + j] = drafts_[drafting_[i] * (s.k - 1) + j];
    }
  }
};
