// When to try again: waits that double up to a bound, each spread over half
// of itself, so that many clients do not come back together. Pure: the random
// number comes in.
#pragma once

#include <chrono>
#include <cstdint>

namespace reeve::bus {

struct RetryOptions {
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds longest{5'000};
};

class Backoff {
 public:
  explicit Backoff(RetryOptions options = {});

  // The next wait: between half of the present step and the step itself.
  std::chrono::milliseconds next(std::uint32_t random);
  void reset() { step_ = options_.first; }

 private:
  RetryOptions options_;
  std::chrono::milliseconds step_;
};

// The shortest wait before a connection is made again.
inline constexpr std::chrono::milliseconds reconnect_wait{100};

// Before the try `attempt`, counted from 1, to connect again: anything from
// `reconnect_wait` to a step that doubles from `first` to `longest`. Spread
// over all of it: who was cut off with many others, all at one moment, had no
// moment of its own to begin with.
std::chrono::milliseconds reconnect_after(int attempt,
                                          const RetryOptions& options,
                                          std::uint32_t random);

// A random number for these; any thread.
std::uint32_t random_jitter();

}  // namespace reeve::bus
