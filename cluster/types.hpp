// Numbers with names. No two of them mix by accident.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace reeve {

template <class Tag, class Value>
struct Strong {
  Value value{};
  constexpr Strong() = default;
  constexpr explicit Strong(Value v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
};

using SessionId = Strong<struct SessionIdTag, std::uint64_t>;
using NodeId = Strong<struct NodeIdTag, std::uint32_t>;
using Sequence = Strong<struct SequenceTag, std::uint64_t>;
using Epoch = Strong<struct EpochTag, std::uint64_t>;
// Nanoseconds since the Unix epoch; 0 is "never".
using Time = Strong<struct TimeTag, std::uint64_t>;

inline constexpr std::uint32_t milli_per_device = 1000;
inline constexpr std::uint64_t ms_ns = 1'000'000;
inline constexpr std::uint64_t second_ns = 1000 * ms_ns;
inline constexpr std::uint64_t minute_ns = 60 * second_ns;
inline constexpr std::uint64_t hour_ns = 60 * minute_ns;
inline constexpr std::uint64_t day_ns = 24 * hour_ns;

}  // namespace reeve

template <class Tag, class Value>
struct std::hash<reeve::Strong<Tag, Value>> {
  std::size_t operator()(const reeve::Strong<Tag, Value>& id) const noexcept {
    return std::hash<Value>{}(id.value);
  }
};
