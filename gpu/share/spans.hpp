// When in a device's period each of its shares has its time.
#pragma once

#include <cstdint>
#include <vector>

namespace reeve::gpu::share {

// In thousandths of the period.
struct Span {
  std::uint32_t begin_milli = 0;
  std::uint32_t length_milli = 0;
};

// Where one more span begins: the first place at which it overlaps no other.
// Where only smaller gaps are left, the first at which it overlaps least.
std::uint32_t place_span(const std::vector<Span>& taken,
                         std::uint32_t length_milli);

}  // namespace reeve::gpu::share
