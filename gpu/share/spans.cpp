#include "gpu/share/spans.hpp"

#include <algorithm>

#include "gpu/share/share.hpp"

namespace reeve::gpu::share {
namespace {

std::int64_t overlap(const std::vector<Span>& taken, std::int64_t begin,
                     std::int64_t length) {
  std::int64_t sum = 0;
  for (const Span& other : taken) {
    const std::int64_t from = std::max<std::int64_t>(begin, other.begin_milli);
    const std::int64_t until = std::min<std::int64_t>(
        begin + length, other.begin_milli + other.length_milli);
    sum += std::max<std::int64_t>(0, until - from);
  }
  return sum;
}

}  // namespace

std::uint32_t place_span(const std::vector<Span>& taken,
                         std::uint32_t length_milli) {
  const std::int64_t length = std::min(length_milli, whole_milli);
  const std::int64_t last = whole_milli - length;
  // Between these places the overlap grows or shrinks evenly, so that it is
  // least at one of them.
  std::vector<std::int64_t> places{0, last};
  for (const Span& other : taken) {
    const std::int64_t begin = other.begin_milli;
    const std::int64_t end = begin + other.length_milli;
    places.insert(places.end(), {begin, end, begin - length, end - length});
  }
  std::sort(places.begin(), places.end());
  std::int64_t best = 0;
  std::int64_t least = overlap(taken, 0, length);
  for (const std::int64_t place : places) {
    if (least == 0) break;
    if (place < 0 || place > last) continue;
    const std::int64_t here = overlap(taken, place, length);
    if (here >= least) continue;
    least = here;
    best = place;
  }
  return static_cast<std::uint32_t>(best);
}

}  // namespace reeve::gpu::share
