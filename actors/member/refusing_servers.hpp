// When a manager starts its bus server anew, because the bus servers refuse.
//
// Servers that all began at one moment, on hosts that were busy, can leave one
// of themselves out for good: they answer that there are not enough of them.
// Started anew it is let in. Which one it is they do not tell.
#pragma once

#include <cstdint>
#include <optional>

#include "cluster/error.hpp"
#include "cluster/types.hpp"

namespace reeve::member {

// For so long servers refuse before one of them is started anew; and up to as
// long again, so that not all are at one moment.
inline constexpr std::uint64_t refused_ns_max = 15 * second_ns;

class RefusingServers {
 public:
  // After a try that failed, by any clock that goes on: whether the server here
  // is to be started anew now. `jitter`: any number, another one each time.
  bool is_for_good(const Error& why, Time now, std::uint64_t jitter) {
    if (why.code != Errc::rejected) {
      anew_at_.reset();
      return false;
    }
    const bool is_due = anew_at_ && now >= *anew_at_;
    if (!anew_at_ || is_due)
      anew_at_ = Time{now.value + refused_ns_max + jitter % refused_ns_max};
    return is_due;
  }

 private:
  std::optional<Time> anew_at_;
};

}  // namespace reeve::member
