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

// A random number for `Backoff::next`; any thread.
std::uint32_t random_jitter();

}  // namespace reeve::bus
