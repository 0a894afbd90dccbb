#include "tools/log/calendar.hpp"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <ctime>

#include "cluster/units.hpp"

namespace reeve::tools::calendar_test {
namespace {

// Berlin's rules, which need no files.
struct Zone {
  Zone() { set("CET-1CEST,M3.5.0,M10.5.0/3"); }
  ~Zone() { set("UTC"); }
  static void set(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
};

Time at(const char* text) {
  return Time{parse_time(text, {}).value()};
}

std::vector<double> hours(const std::vector<Time>& borders) {
  std::vector<double> out;
  for (std::size_t i = 1; i < borders.size(); ++i)
    out.push_back(static_cast<double>(borders[i].value - borders[i - 1].value) /
                  3.6e12);
  return out;
}

BOOST_FIXTURE_TEST_SUITE(calendar, Zone)

BOOST_AUTO_TEST_CASE(days_end_at_local_midnight_and_the_clock_may_change) {
  const auto days =
      borders(Per::day, at("2026-03-28T12:00:00Z"), at("2026-03-30T12:00:00Z"));
  BOOST_REQUIRE(days);
  const std::vector<double> wanted = {11, 23, 14};
  BOOST_TEST(hours(*days) == wanted, boost::test_tools::per_element());
  BOOST_TEST(period_name(Per::day, (*days)[0]) == "2026-03-28");
  BOOST_TEST(period_name(Per::day, (*days)[1]) == "2026-03-29");
  const auto autumn =
      borders(Per::day, at("2026-10-24T22:00:00Z"), at("2026-10-25T23:00:00Z"));
  BOOST_REQUIRE(autumn);
  BOOST_TEST(hours(*autumn) == std::vector<double>{25},
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(months_begin_at_their_first_day) {
  const auto months = borders(Per::month, at("2026-11-20T00:00:00Z"),
                              at("2027-02-01T00:00:00Z"));
  BOOST_REQUIRE(months);
  BOOST_REQUIRE_EQUAL(months->size(), 5);
  BOOST_TEST(period_name(Per::month, (*months)[1]) == "2026-12");
  BOOST_TEST(period_name(Per::month, (*months)[2]) == "2027-01");
  BOOST_TEST(period_name(Per::month, (*months)[3]) == "2027-02");
}

BOOST_AUTO_TEST_CASE(without_periods_there_are_the_ends_alone) {
  const auto ends = borders(Per::all, Time{5}, Time{7});
  BOOST_REQUIRE(ends);
  BOOST_TEST(ends->size() == 2);
  BOOST_TEST(period_name(Per::all, Time{5}).empty());
}

BOOST_AUTO_TEST_CASE(a_range_of_too_many_periods_is_refused) {
  const Time from = at("2026-01-01T00:00:00Z");
  // Up to the bound and one past it; in UTC each day has 24 hours.
  set("UTC");
  BOOST_TEST(borders(Per::day, from, Time{from.value + periods_max * day_ns})
                 .has_value());
  const auto more =
      borders(Per::day, from, Time{from.value + periods_max * day_ns + 1});
  BOOST_REQUIRE(!more);
  BOOST_TEST((more.error().code == Errc::usage));
  BOOST_TEST(more.error().text.find("100000") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::calendar_test
