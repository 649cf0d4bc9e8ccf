// Which drafts a step feeds: those that pay.
//
// A draft that is fed brings a byte if it and all before it are accepted, and costs what the step
// takes longer for it. The rate of bytes a second is highest if a step feeds the drafts, likeliest
// first, up to where expected bytes - rate * seconds is largest, with the rate that results
// (Dinkelbach 1967 on ratios). The rate is that of the last steps, by the clock; what more ids cost
// is measured before decoding begins. How likely a draft is to be accepted is learnt, since a model's own text is more
// predictable than what its heads were trained on: a head that says 0.5 may be right 9 times in 10.
// Every draft is judged, fed or not, once the text has come to where it lies. Nothing here can
// change a byte of the output.
#pragma once
#include <algorithm>
#include <iterator>
#include <vector>
#include "vectors.h"

class Feeding {
 public:
  Feeding(i64 batch, i64 k) : batch_(batch), k_(k), of_head_(k * BINS), of_all_(BINS) {}

  // Feed a draft iff it and all before it are at least this sure; instead of prices.
  void fix(float gate) { gate_ = gate, priced_ = false; }
  // Seconds of a step in which every row feeds 1 .. k ids. Not `by_clock`: steps are taken to cost
  // just that (tests).
  void price(const double* costs_s, bool by_clock) {
    by_clock_ = by_clock;
    costs_s_.assign(costs_s, costs_s + k_);
    // More ids cost no less: what says otherwise is noise.
    for (i64 w = 1; w < k_; ++w) costs_s_[w] = std::max(costs_s_[w], costs_s_[w - 1]);
    priced_ = true;
  }

  // How likely head `head` (1 .. k - 1) is right, with all before it, when it is this sure; `sure`
  // is the least of its probability and theirs.
  float chance(i64 head, float sure) const {
    if (!priced_) return sure;
    const i64 at = bin(sure);
    return of_head_[head * BINS + at].chance(of_all_[at].chance(sure));
  }

  // Whether a draft as likely as this may be fed at all, so that more heads are to be asked.
  bool promising(float chance) const {
    return priced_ ? chance >= 0.8f * (float)(rate() * slope()) : chance >= gate_;
  }

  // How many ids each of `rows` rows is to feed, given their drafts' chances (rows, k - 1), each
  // no greater than the one before it; `lengths`: how many drafts there are of each.
  void choose(i64 rows, const float* chances, const i64* lengths, i64* widths) {
    order_.clear();
    for (i64 i = 0; i < rows; ++i) {
      widths[i] = 1;
      for (i64 j = 0; j < lengths[i]; ++j) order_.push_back({chances[i * (k_ - 1) + j], i});
    }
    i64 best = (i64)order_.size();
    if (priced_) {
      // Stable: of equal chances a row's earlier draft comes first.
      std::stable_sort(order_.begin(), order_.end(),
                       [](const Draft& a, const Draft& b) { return a.chance > b.chance; });
      double most = -rate() * cost_s(rows), bytes = 0;
      best = 0;
      for (i64 n = 0; n < (i64)order_.size(); ++n) {
        bytes += order_[n].chance;
        const double gain = bytes - rate() * cost_s(rows + n + 1);
        if (gain > most) most = gain, best = n + 1;
      }
    }
    for (i64 n = 0; n < best; ++n) ++widths[order_[n].row];
  }

  // A draft of `head`, this sure, would have been accepted with those before it, or not.
  void learn(i64 head, float sure, bool right) {
    const i64 at = bin(sure);
    of_head_[head * BINS + at].add(right);
    of_all_[at].add(right);
  }
  // A step of `ids` ids took `seconds` and brought `bytes` bytes. (The clock knows what the prices
  // do not: how far the rows have come, what the caches hold, who else is here. A step that was
  // interrupted says nothing.)
  void spent(i64 ids, i64 bytes, double seconds) {
    if (!priced_) return;
    const double weight = recent_s_ > 0 ? 0.05 : 1;
    recent_bytes_ += weight * ((double)bytes - recent_bytes_);
    const double cost = cost_s(ids);
    recent_s_ += weight * ((by_clock_ ? std::min(seconds, 4 * cost) : cost) - recent_s_);
  }

 private:
  struct Draft {
    float chance;
    i64 row;
  };
  struct Record {  // of drafts that were equally sure
    float tries = 0, hits = 0;
    float chance(float expected) const { return (hits + 8 * expected) / (tries + 8); }
    void add(bool right) {
      if (tries >= 4096) tries /= 2, hits /= 2;  // texts change
      tries += 1, hits += right;
    }
  };
  static constexpr float EDGES[] = {0.05f, 0.1f,  0.15f, 0.2f, 0.25f, 0.3f, 0.35f, 0.4f, 0.45f,
                                    0.5f,  0.55f, 0.6f,  0.7f, 0.8f,  0.9f, 0.95f, 0.98f};
  static constexpr i64 BINS = sizeof EDGES / sizeof *EDGES + 1;
  static i64 bin(float sure) {
    return std::upper_bound(std::begin(EDGES), std::end(EDGES), sure) - std::begin(EDGES);
  }

  // Seconds of a step of `ids` ids in all: a line from width to width.
  double cost_s(i64 ids) const {
    const double width = (double)ids / (double)batch_;
    const i64 from = std::min<i64>(k_ - 2, std::max<i64>(0, (i64)width - 1));
    const double slope = costs_s_[from + 1] - costs_s_[from];
    return std::max(0.1 * costs_s_[0], costs_s_[from] + slope * (width - (double)from - 1));
  }
  // Seconds that an id more takes, on the whole.
  double slope() const { return (costs_s_[k_ - 1] - costs_s_[0]) / (double)((k_ - 1) * batch_); }
  double rate() const {
    return recent_s_ > 0 ? recent_bytes_ / recent_s_ : (double)batch_ / costs_s_[0];
  }

  const i64 batch_, k_;
  float gate_ = 0;
  bool priced_ = false, by_clock_ = true;
  std::vector<double> costs_s_;
  double recent_bytes_ = 0, recent_s_ = 0;
  std::vector<Record> of_head_, of_all_;
  std::vector<Draft> order_;
};

// The drafts of one row that the text has not come to yet, to be judged when it does.
class Guesses {
 public:
  void clear() { open_.clear(); }
  // Head `head` drafts `id` for position + head, where the row's last known id lies at `position`.
  void add(i64 position, i64 head, i64 id, float sure) {
    if (head == 1) open_.push_back({position, 0, {}, {}});
    open_.back().ids.push_back(id);
    open_.back().sure.push_back(sure);
  }
  // The row is known up to `position`, that is text[position].
  void judge(const i64* text, i64 position, Feeding& feeding) {
    for (Guess& guess : open_)
      for (bool& right = guess.right; guess.judged < (i64)guess.ids.size(); ++guess.judged) {
        const i64 head = guess.judged + 1;
        if (guess.position + head > position) break;
        right = right && text[guess.position + head] == guess.ids[head - 1];
        feeding.learn(head, guess.sure[head - 1], right);
      }
    open_.erase(std::remove_if(open_.begin(), open_.end(),
                               [](const Guess& g) { return g.judged == (i64)g.ids.size(); }),
                open_.end());
  }

 private:
  struct Guess {
    i64 position, judged;
    std::vector<i64> ids;
    std::vector<float> sure;
    bool right = true;
  };
  std::vector<Guess> open_;
};
