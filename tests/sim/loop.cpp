#include "tests/sim/loop.hpp"

#include <cstdio>

namespace reeve::sim {
namespace {

constexpr std::size_t notes_kept = 80;

}  // namespace

bool Loop::step() {
  if (queue_.empty()) return false;
  // The queue's order does not look at the action.
  Entry entry = std::move(const_cast<Entry&>(queue_.top()));
  queue_.pop();
  now_ = entry.when;
  ++steps_;
  entry.action();
  return true;
}

void Loop::keep(std::string text) {
  const double seconds = static_cast<double>(now_.value) / second_ns;
  text = fmt::format("{:12.6f}  {}", seconds, text);
  for (const char byte : text)
    fingerprint_ =
        (fingerprint_ ^ static_cast<unsigned char>(byte)) * 1099511628211ull;
  if (prints_) std::printf("%s\n", text.c_str());
  noted_.push_back(std::move(text));
  if (noted_.size() > notes_kept) noted_.pop_front();
}

}  // namespace reeve::sim
