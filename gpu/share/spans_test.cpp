#include "gpu/share/spans.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "gpu/share/share.hpp"

namespace reeve::gpu::share::spans_test {
namespace {

std::uint32_t overlap(const std::vector<Span>& taken, std::uint32_t begin,
                      std::uint32_t length) {
  std::uint32_t sum = 0;
  for (std::uint32_t at = begin; at < begin + length; ++at)
    for (const Span& other : taken)
      sum += at >= other.begin_milli &&
             at < other.begin_milli + other.length_milli;
  return sum;
}

BOOST_AUTO_TEST_CASE(shares_that_fit_take_turns) {
  std::vector<Span> taken;
  for (const std::uint32_t length : {300u, 200u, 500u}) {
    const std::uint32_t begin = place_span(taken, length);
    BOOST_TEST(overlap(taken, begin, length) == 0u);
    BOOST_TEST(begin + length <= whole_milli);
    taken.push_back({begin, length});
  }
  BOOST_TEST(taken[1].begin_milli == 300u);
  BOOST_TEST(taken[2].begin_milli == 500u);
}

BOOST_AUTO_TEST_CASE(the_time_of_one_that_ended_is_given_again) {
  BOOST_TEST(place_span({{0, 300}, {500, 500}}, 200) == 300u);
  BOOST_TEST(place_span({{300, 700}}, 300) == 0u);
}

BOOST_AUTO_TEST_CASE(where_only_smaller_gaps_are_left_the_least_is_shared) {
  BOOST_TEST(place_span({{0, 300}, {600, 300}}, 400) == 200u);
  BOOST_TEST(place_span({{0, 1000}}, 400) == 0u);
  BOOST_TEST(place_span({}, 1000) == 0u);
}

BOOST_AUTO_TEST_CASE(no_other_place_is_better) {
  std::uint32_t draw = 1;
  const auto below = [&](std::uint32_t bound) {
    draw = draw * 1664525u + 1013904223u;
    return (draw >> 8) % bound;
  };
  for (int round = 0; round < 10; ++round) {
    std::vector<Span> taken;
    for (std::uint32_t i = below(5); i > 0; --i) {
      const std::uint32_t length = 1 + below(500);
      taken.push_back({below(whole_milli - length + 1), length});
    }
    const std::uint32_t length = 1 + below(whole_milli);
    std::uint32_t best = 0;
    std::uint32_t least = overlap(taken, 0, length);
    for (std::uint32_t at = 1; at + length <= whole_milli; ++at) {
      const std::uint32_t here = overlap(taken, at, length);
      if (here < least) best = at;
      least = std::min(least, here);
    }
    BOOST_TEST(place_span(taken, length) == best);
  }
}

}  // namespace
}  // namespace reeve::gpu::share::spans_test
