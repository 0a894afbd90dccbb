// A ledger seen through a window of time: what lies before it is folded and
// not told, and everything open is cut at each border.
#pragma once

#include <vector>

#include "cluster/accounting/ledger.hpp"

namespace reeve::cluster::accounting {

class WindowSink : public Sink {
 public:
  // Told after everything that lies in the period.
  virtual void period_ended(Time from, Time to) = 0;
};

class Window final : private Sink {
 public:
  // `borders` ascend, two at least: the ends of the window and what divides
  // it. The sink must outlive it.
  Window(std::vector<Time> borders, WindowSink& sink);

  // Events in order; first those of a state told as events, or from the first
  // of the log. Nothing happens with events after the window's end.
  Status apply(const schema::Event& event);
  // After the last event.
  void finish();

  Time from() const { return borders_.front(); }
  Time to() const { return borders_.back(); }
  const Ledger& ledger() const { return ledger_; }

 private:
  void held(const Holding& holding) override;
  void node_was(const NodeSpan& span) override;
  void attempt_ended(const AttemptEnd& end) override;
  void pass_border();

  std::vector<Time> borders_;
  WindowSink& sink_;
  Ledger ledger_;
  std::size_t next_ = 0;  // the border to come; 0: before the window
};

}  // namespace reeve::cluster::accounting
