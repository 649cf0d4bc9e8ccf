// How many drafts each row feeds in a step: as many as pay.
//
// A fed draft brings a byte if it and all drafts before it are accepted. It costs the time by which
// the step gets longer. The rate (bytes a second) is highest if a step feeds the likeliest drafts,
// up to where expected bytes - rate * seconds is largest, at the rate that results (Dinkelbach 1967
// on ratios). The rate is that of the last steps, by the clock. The time of more ids is measured
// before decoding begins. How likely a draft is to be accepted is learnt, since a model's own text
// is more predictable than its training data: a head that says 0.5 may be right 9 times in 10.
// Every draft counts, fed or not, as soon as the text has reached its position. Nothing here can
// change a byte of the output.
#pragma once
#include <algorithm>
#include <iterator>
#include <vector>
#include "vectors.h"

class DraftLengths {
 public:
  DraftLengths(i64 batch, i64 k) : batch_(batch), k_(k), of_head_(k * BINS), of_all_(BINS) {}

  // Feed a draft iff the confidence in it is at least `gate`, whatever steps cost.
  void set_gate(float gate) { gate_ = gate, has_costs_ = false; }
  // Seconds of a step in which every row feeds 1 .. k ids. Without `by_clock`, steps count as
  // taking just that (for tests).
  void set_costs(const double* costs_s, bool by_clock) {
    by_clock_ = by_clock;
    costs_s_.assign(costs_s, costs_s + k_);
    // More ids cost no less. A measurement that says otherwise is noise.
    for (i64 w = 1; w < k_; ++w) costs_s_[w] = std::max(costs_s_[w], costs_s_[w - 1]);
    has_costs_ = true;
  }

  // How likely a draft of head `head` (1 .. k - 1) is accepted, with all before it. `confidence` is
  // the least of its probability and theirs.
  float acceptance(i64 head, float confidence) const {
    if (!has_costs_) return confidence;
    const i64 at = bin(confidence);
    return of_head_[head * BINS + at].acceptance(of_all_[at].acceptance(confidence));
  }

  // Whether a draft that is this likely accepted may be fed at all, so that the next head is asked.
  bool may_pay(float acceptance) const {
    return has_costs_ ? acceptance >= 0.8f * (float)(rate() * slope()) : acceptance >= gate_;
  }

  // `widths`: how many ids each of `rows` rows is to feed. `acceptances` (rows, k - 1): how likely
  // its drafts are accepted, each no likelier than the one before; `draft_counts`: how many it has.
  void choose_widths(i64 rows, const float* acceptances, const i64* draft_counts, i64* widths) {
    order_.clear();
    for (i64 i = 0; i < rows; ++i) {
      widths[i] = 1;
      for (i64 j = 0; j < draft_counts[i]; ++j)
        order_.push_back({acceptances[i * (k_ - 1) + j], i});
    }
    i64 best = (i64)order_.size();
    if (has_costs_) {
      // Stable: of equally likely drafts a row's earlier one comes first.
      std::stable_sort(order_.begin(), order_.end(),
                       [](const Draft& a, const Draft& b) { return a.acceptance > b.acceptance; });
      double most = -rate() * cost_s(rows), bytes = 0;
      best = 0;
      for (i64 n = 0; n < (i64)order_.size(); ++n) {
        bytes += order_[n].acceptance;
        const double gain = bytes - rate() * cost_s(rows + n + 1);
        if (gain > most) most = gain, best = n + 1;
      }
    }
    for (i64 n = 0; n < best; ++n) ++widths[order_[n].row];
  }

  // Whether a draft of `head` was right, together with those before it.
  void record_outcome(i64 head, float confidence, bool right) {
    const i64 at = bin(confidence);
    of_head_[head * BINS + at].add(right);
    of_all_[at].add(right);
  }
  // A step of `ids` ids took `seconds` and brought `bytes` bytes. The clock sees what the measured
  // costs do not: how long the rows are, what the caches hold, what else runs. A step that took far
  // longer than its cost was interrupted, and counts as less.
  void record_step(i64 ids, i64 bytes, double seconds) {
    if (!has_costs_) return;
    const double weight = recent_s_ > 0 ? 0.05 : 1;
    recent_bytes_ += weight * ((double)bytes - recent_bytes_);
    const double cost = cost_s(ids);
    recent_s_ += weight * ((by_clock_ ? std::min(seconds, 4 * cost) : cost) - recent_s_);
  }

 private:
  struct Draft {
    float acceptance;
    i64 row;
  };
  struct AcceptanceRate {  // of drafts with about the same confidence
    float tries = 0, hits = 0;
    float acceptance(float expected) const { return (hits + 8 * expected) / (tries + 8); }
    void add(bool right) {
      if (tries >= 4096) tries /= 2, hits /= 2;  // texts change
      tries += 1, hits += right;
    }
  };
  static constexpr float EDGES[] = {0.05f, 0.1f,  0.15f, 0.2f, 0.25f, 0.3f, 0.35f, 0.4f, 0.45f,
                                    0.5f,  0.55f, 0.6f,  0.7f, 0.8f,  0.9f, 0.95f, 0.98f};
  static constexpr i64 BINS = sizeof EDGES / sizeof *EDGES + 1;
  static i64 bin(float confidence) {
    return std::upper_bound(std::begin(EDGES), std::end(EDGES), confidence) - std::begin(EDGES);
  }

  // Seconds of a step of `ids` ids in all, linear between the measured widths.
  double cost_s(i64 ids) const {
    const double width = (double)ids / (double)batch_;
    const i64 from = std::min<i64>(k_ - 2, std::max<i64>(0, (i64)width - 1));
    const double slope = costs_s_[from + 1] - costs_s_[from];
    return std::max(0.1 * costs_s_[0], costs_s_[from] + slope * (width - (double)from - 1));
  }
  // Seconds that one more id takes, on average.
  double slope() const { return (costs_s_[k_ - 1] - costs_s_[0]) / (double)((k_ - 1) * batch_); }
  double rate() const {
    return recent_s_ > 0 ? recent_bytes_ / recent_s_ : (double)batch_ / costs_s_[0];
  }

  const i64 batch_, k_;
  float gate_ = 0;
  bool has_costs_ = false, by_clock_ = true;
  std::vector<double> costs_s_;
  double recent_bytes_ = 0, recent_s_ = 0;
  std::vector<AcceptanceRate> of_head_, of_all_;
  std::vector<Draft> order_;
};

// The drafts of one row whose positions the text has not reached yet.
class PendingDrafts {
 public:
  void clear() { open_.clear(); }
  // Head `head` drafts `id` for position + head, where the row's last known id lies at `position`.
  void add(i64 position, i64 head, i64 id, float confidence) {
    if (head == 1) open_.push_back({position, 0, {}, {}});
    open_.back().ids.push_back(id);
    open_.back().confidence.push_back(confidence);
  }
  // Record the outcome of every draft up to `position`, the row's last known id.
  void resolve(const i64* text, i64 position, DraftLengths& draft_lengths) {
    for (Block& block : open_)
      for (bool& right = block.right; block.resolved < (i64)block.ids.size(); ++block.resolved) {
        const i64 head = block.resolved + 1;
        if (block.position + head > position) break;
        right = right && text[block.position + head] == block.ids[head - 1];
        draft_lengths.record_outcome(head, block.confidence[head - 1], right);
      }
    open_.erase(std::remove_if(open_.begin(), open_.end(),
                               [](const Block& b) { return b.resolved == (i64)b.ids.size(); }),
                open_.end());
  }

 private:
  struct Block {
    i64 position, resolved;
    std::vector<i64> ids;
    std::vector<float> confidence;
    bool right = true;
  };
  std::vector<Block> open_;
};
