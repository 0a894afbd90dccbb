#include "cluster/accounting/window.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/check.hpp"

namespace reeve::cluster::accounting {

Window::Window(std::vector<Time> borders, WindowSink& sink)
    : borders_(std::move(borders)), sink_(sink), ledger_(*this) {
  REEVE_CHECK(
      borders_.size() >= 2 && std::is_sorted(borders_.begin(), borders_.end()),
      fmt::format("{} borders of a window", borders_.size()));
}

Status Window::apply(const schema::Event& event) {
  const Time at{event.time_at()};
  if (at > to()) return {};
  // What happens at a border belongs to what follows it; at the last one, an
  // end is still heard.
  while (next_ + 1 < borders_.size() && at >= borders_[next_]) pass_border();
  return ledger_.apply(event);
}

void Window::finish() {
  while (next_ < borders_.size()) pass_border();
}

void Window::pass_border() {
  ledger_.cut(borders_[next_]);
  if (next_ > 0) sink_.period_ended(borders_[next_ - 1], borders_[next_]);
  ++next_;
}

void Window::held(const Holding& holding) {
  if (next_ > 0) sink_.held(holding);
}

void Window::node_was(const NodeSpan& span) {
  if (next_ > 0) sink_.node_was(span);
}

void Window::attempt_ended(const AttemptEnd& end) {
  if (next_ > 0) sink_.attempt_ended(end);
}

}  // namespace reeve::cluster::accounting
