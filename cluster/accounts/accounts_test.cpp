#include "cluster/accounts/accounts.hpp"

#include <boost/test/unit_test.hpp>

namespace accounts_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

// 2026-11-20 12:00 UTC, a Friday.
constexpr Time noon{1'795'176'000 * second_ns};

BOOST_AUTO_TEST_SUITE(accounts)

BOOST_AUTO_TEST_CASE(a_day_begins_at_midnight_utc) {
  BOOST_TEST(period_start(QuotaPeriod::day, noon).value ==
             noon.value - 12 * hour_ns);
  BOOST_TEST(period_end(QuotaPeriod::day, noon).value ==
             noon.value + 12 * hour_ns);
}

BOOST_AUTO_TEST_CASE(a_week_begins_on_monday) {
  BOOST_TEST(period_start(QuotaPeriod::week, noon).value ==
             noon.value - (4 * 24 + 12) * hour_ns);
  BOOST_TEST(period_end(QuotaPeriod::week, noon).value ==
             noon.value + (2 * 24 + 12) * hour_ns);
}

BOOST_AUTO_TEST_CASE(a_month_has_its_own_length) {
  BOOST_TEST(period_start(QuotaPeriod::month, noon).value ==
             noon.value - (19 * 24 + 12) * hour_ns);
  BOOST_TEST(period_end(QuotaPeriod::month, noon).value ==
             noon.value + (10 * 24 + 12) * hour_ns);
  // February of a leap year has 29 days: 2028-02-10.
  const Time leap{1'833'753'600 * second_ns};
  BOOST_TEST((period_end(QuotaPeriod::month, leap).value -
              period_start(QuotaPeriod::month, leap).value) ==
             29 * 24 * hour_ns);
}

BOOST_AUTO_TEST_CASE(no_period_never_begins_anew) {
  BOOST_TEST(period_start(QuotaPeriod::none, noon).value == 0U);
  BOOST_TEST(period_end(QuotaPeriod::none, noon).value == 0U);
}

BOOST_AUTO_TEST_CASE(a_quota_is_said_in_one_line) {
  Quota quota;
  quota.sessions = 1;
  quota.gpu_milli = 2500;
  quota.gpu_milli_hours = 100'000;
  quota.period = QuotaPeriod::month;
  BOOST_TEST(to_text(quota) == "1 session, 2.5 GPUs, 100 GPU hours a month");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace

}  // namespace accounts_test
