// Virtual time: what happens next, in one thread. Also the memory of what
// happened last, for the report of a failure.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <queue>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cluster/types.hpp"

namespace reeve::sim {

// An invariant that does not hold. Ends the run of this seed.
struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Loop {
 public:
  using Action = std::function<void()>;

  // True time, which no process can read: theirs is that of their host.
  Time now() const { return now_; }
  std::uint64_t steps() const { return steps_; }
  // Of everything that was noted: equal runs, equal numbers.
  std::uint64_t fingerprint() const { return fingerprint_; }

  void at(Time when, Action action) {
    queue_.push({std::max(when, now_), ++pushed_, std::move(action)});
  }
  void after(std::uint64_t delay_ns, Action action) {
    at(Time{now_.value + delay_ns}, std::move(action));
  }
  // False: nothing is left to happen.
  bool step();

  template <class... Args>
  void note(fmt::format_string<Args...> text, Args&&... args) {
    keep(fmt::format(text, std::forward<Args>(args)...));
  }
  const std::deque<std::string>& noted() const { return noted_; }
  void print_notes(bool print) { prints_ = print; }

 private:
  struct Entry {
    Time when;
    std::uint64_t order;
    Action action;
    bool operator<(const Entry& other) const {
      return std::pair(when, order) > std::pair(other.when, other.order);
    }
  };
  void keep(std::string text);

  Time now_{0};
  std::uint64_t pushed_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t fingerprint_ = 14695981039346656037ull;
  bool prints_ = false;
  std::priority_queue<Entry> queue_;
  std::deque<std::string> noted_;
};

// The numbers go into the sentence.
#define SIM_CHECK(condition, ...)                           \
  do {                                                      \
    if (!(condition)) [[unlikely]]                          \
      throw ::reeve::sim::Broken(fmt::format(__VA_ARGS__)); \
  } while (false)

}  // namespace reeve::sim
