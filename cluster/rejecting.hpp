// How decisions refuse: shared by the files that hold them.
#pragma once

#include <fmt/format.h>

#include <optional>

#include "cluster/decide.hpp"
#include "cluster/units.hpp"

namespace reeve::cluster {

// What is wrong; nothing: it is right.
using Check = std::optional<Rejection>;

inline Rejection reject(RejectCode code, const char* rule, std::string text,
                        std::uint64_t limit = 0, std::uint64_t value = 0) {
  return {code, rule, std::move(text), limit, value};
}

// The bound bears the name of its constant in limits.hpp.
inline Check bound(const char* rule, std::string_view what, std::uint64_t value,
                   std::uint64_t limit) {
  if (value <= limit) return std::nullopt;
  return reject(
      RejectCode::over_limit, rule,
      fmt::format("{} is {}; at most {} is possible", what, value, limit),
      limit, value);
}

// The same of a length of time, in nanoseconds.
inline Check bound_time(const char* rule, std::string_view what,
                        std::uint64_t value, std::uint64_t limit) {
  if (value <= limit) return std::nullopt;
  return reject(RejectCode::over_limit, rule,
                fmt::format("{} is {}; at most {} is possible", what,
                            format_duration(value), format_duration(limit)),
                limit, value);
}

}  // namespace reeve::cluster
