#include "gpu/share/pacing.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::gpu::share::pacing_test {
namespace {

constexpr std::int64_t ms = 1'000'000;

struct Shared {
  Shared() {
    device.compute_milli = 300;
    device.begin_milli = 500;
    device.period_ns = 100 * ms;
  }
  std::int64_t wait(std::int64_t at_ms) {
    return Pacing(device).wait_ns(at_ms * ms) / ms;
  }
  LedgerDevice device{};
};

BOOST_FIXTURE_TEST_CASE(kernels_start_in_the_sessions_own_span, Shared) {
  BOOST_TEST(wait(1050) == 0);
  BOOST_TEST(wait(1079) == 0);
  BOOST_TEST(wait(1080) == 70);
  BOOST_TEST(wait(1149) == 1);
  BOOST_TEST(wait(1150) == 0);
}

BOOST_FIXTURE_TEST_CASE(a_whole_device_is_never_waited_for, Shared) {
  device.compute_milli = whole_milli;
  device.begin_milli = 0;
  for (std::int64_t at = 0; at < 300; ++at) BOOST_TEST(wait(at) == 0);
  Pacing(device).used(0, 500 * ms);
  BOOST_TEST(device.debt_ns == 0);
}

BOOST_FIXTURE_TEST_CASE(time_within_the_span_makes_no_debt, Shared) {
  BOOST_TEST(wait(1050) == 0);
  Pacing(device).used(1050 * ms, 1080 * ms);
  BOOST_TEST(device.debt_ns == 0);
}

BOOST_FIXTURE_TEST_CASE(time_beyond_the_span_shortens_the_next, Shared) {
  BOOST_TEST(wait(1050) == 0);
  Pacing(device).used(1050 * ms, 1090 * ms);
  BOOST_TEST(device.debt_ns == 10 * ms);
  BOOST_TEST(wait(1150) == 0);
  BOOST_TEST(device.debt_ns == 0);
  BOOST_TEST(wait(1169) == 0);
  BOOST_TEST(wait(1170) == 80);
  BOOST_TEST(wait(1279) == 0);
}

BOOST_FIXTURE_TEST_CASE(a_long_kernel_costs_as_many_spans_as_it_took, Shared) {
  BOOST_TEST(wait(1050) == 0);
  // 300 ms, of which 90 lie in own spans: seven spans are owed.
  Pacing(device).used(1050 * ms, 1350 * ms);
  BOOST_TEST(device.debt_ns == 210 * ms);
  int spans = 0;
  for (std::int64_t at = 1350; wait(at) != 0; at += 100) ++spans;
  BOOST_TEST(spans == 7);
}

BOOST_FIXTURE_TEST_CASE(processes_of_a_session_settle_a_period_once, Shared) {
  BOOST_TEST(wait(1050) == 0);
  Pacing(device).used(1080 * ms, 1120 * ms);
  Pacing one(device);
  Pacing other(device);
  BOOST_TEST(one.wait_ns(1150 * ms) > 0);
  BOOST_TEST(other.wait_ns(1150 * ms) > 0);
  BOOST_TEST(device.debt_ns == 10 * ms);
}

}  // namespace
}  // namespace reeve::gpu::share::pacing_test
