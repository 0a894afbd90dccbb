// Resources over time, exact: thousandths of a CPU or GPU and bytes, each
// times nanoseconds. 128 bits hold a million nodes of a terabyte for 500
// years. Signed: a node may be registered with less than its tasks hold.
#pragma once

#include <cstdint>
#include <string>

namespace reeve::cluster::accounting {

using Wide = __int128;

// What is held or offered at one moment.
struct Rate {
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t gpu_milli = 0;

  bool operator==(const Rate&) const = default;
  Rate& operator+=(const Rate& other) {
    cpu_milli += other.cpu_milli;
    memory_bytes += other.memory_bytes;
    gpu_milli += other.gpu_milli;
    return *this;
  }
  Rate& operator-=(const Rate& other) {
    cpu_milli -= other.cpu_milli;
    memory_bytes -= other.memory_bytes;
    gpu_milli -= other.gpu_milli;
    return *this;
  }
};

struct Amount {
  Wide cpu_milli_ns = 0;
  Wide memory_byte_ns = 0;
  Wide gpu_milli_ns = 0;

  bool operator==(const Amount&) const = default;
  Amount& operator+=(const Amount& other) {
    cpu_milli_ns += other.cpu_milli_ns;
    memory_byte_ns += other.memory_byte_ns;
    gpu_milli_ns += other.gpu_milli_ns;
    return *this;
  }
  Amount& operator-=(const Amount& other) {
    cpu_milli_ns -= other.cpu_milli_ns;
    memory_byte_ns -= other.memory_byte_ns;
    gpu_milli_ns -= other.gpu_milli_ns;
    return *this;
  }
  friend Amount operator+(Amount a, const Amount& b) { return a += b; }
  friend Amount operator-(Amount a, const Amount& b) { return a -= b; }
};

inline Amount over(const Rate& rate, std::uint64_t duration_ns) {
  const auto times = [&](std::uint64_t value) {
    return static_cast<Wide>(value) * duration_ns;
  };
  return {times(rate.cpu_milli), times(rate.memory_bytes),
          times(rate.gpu_milli)};
}

// All its digits.
std::string to_text(Wide value);

// `value` / `unit` with `decimals` places, rounded half away from zero: the
// one place where an amount is rounded.
std::string rounded(Wide value, Wide unit, int decimals);

inline constexpr Wide hour_of_ns = Wide{3600} * 1'000'000'000;
inline constexpr Wide cpu_hour = 1000 * hour_of_ns;
inline constexpr Wide gpu_hour = 1000 * hour_of_ns;
inline constexpr Wide gib_hour = (Wide{1} << 30) * hour_of_ns;

}  // namespace reeve::cluster::accounting
