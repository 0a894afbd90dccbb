#include "cluster/accounts/reservation.hpp"

#include <boost/test/unit_test.hpp>

namespace reservation_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

Reservation of(std::uint64_t from, std::uint64_t to, std::uint64_t every = 0) {
  Reservation out;
  out.name = "r";
  out.nodes = {"n0", "n1"};
  out.first = {Time{from}, Time{to}};
  out.every_ns = every;
  return out;
}

// What `meet` says, found by trying.
bool meet_within(const Reservation& a, const Reservation& b,
                 std::uint64_t until) {
  for (std::uint64_t at = 0; at < until; ++at)
    if (a.holds_at(Time{at}) && b.holds_at(Time{at})) return true;
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reservation)

BOOST_AUTO_TEST_CASE(one_that_is_once_is_over_at_its_end) {
  const Reservation once = of(100, 200);
  BOOST_TEST(!once.holds_at(Time{99}));
  BOOST_TEST(once.holds_at(Time{100}));
  BOOST_TEST(once.holds_at(Time{199}));
  BOOST_TEST(!once.holds_at(Time{200}));
  BOOST_TEST(!once.is_over(Time{199}));
  BOOST_TEST(once.is_over(Time{200}));
  BOOST_TEST(!once.window_at(Time{200}).has_value());
}

BOOST_AUTO_TEST_CASE(one_that_repeats_has_a_next_window_always) {
  const Reservation often = of(100, 130, 50);
  BOOST_TEST((often.window_at(Time{0}) == ReservedTime{Time{100}, Time{130}}));
  BOOST_TEST(
      (often.window_at(Time{129}) == ReservedTime{Time{100}, Time{130}}));
  BOOST_TEST(
      (often.window_at(Time{130}) == ReservedTime{Time{150}, Time{180}}));
  BOOST_TEST(
      (often.window_at(Time{179}) == ReservedTime{Time{150}, Time{180}}));
  BOOST_TEST(
      (often.window_at(Time{180}) == ReservedTime{Time{200}, Time{230}}));
  BOOST_TEST(!often.is_over(Time{1'000'000}));
}

BOOST_AUTO_TEST_CASE(two_meet_just_when_some_moment_is_in_both) {
  const std::uint64_t periods[] = {0, 6, 9, 10};
  int met = 0;
  int missed = 0;
  for (const auto every_a : periods)
    for (const auto every_b : periods)
      for (std::uint64_t from = 0; from < 12; ++from)
        for (std::uint64_t length = 1; length <= 6; length += 2) {
          const auto a = of(5, 8, every_a);
          const auto b = of(from, from + length, every_b);
          const bool found = meet_within(a, b, 400);
          BOOST_TEST_CONTEXT(every_a << " " << every_b << " " << from << " "
                                     << length) {
            BOOST_TEST(meet(a, b) == found);
            BOOST_TEST(meet(b, a) == found);
          }
          ++(found ? met : missed);
        }
  BOOST_TEST(met > 50);
  BOOST_TEST(missed > 50);
}

BOOST_AUTO_TEST_CASE(they_share_room_on_the_same_device_of_the_same_node) {
  auto whole = of(0, 1);
  auto part = of(0, 1);
  part.nodes = {"n1"};
  part.devices = {0, 2};
  auto other = part;
  other.devices = {1, 3};
  auto elsewhere = of(0, 1);
  elsewhere.nodes = {"n2"};
  BOOST_TEST(share_room(whole, part));
  BOOST_TEST(share_room(part, part));
  BOOST_TEST(!share_room(part, other));
  BOOST_TEST(!share_room(whole, elsewhere));
  BOOST_TEST(part.covers_device(2));
  BOOST_TEST(!part.covers_device(1));
  BOOST_TEST(whole.covers_device(1));
}

BOOST_AUTO_TEST_CASE(maintenance_is_for_nobody) {
  const Accounts nobody;
  auto kept = of(0, 1);
  kept.users = {"anna"};
  BOOST_TEST(is_for(kept, nobody, "anna", "default"));
  BOOST_TEST(!is_for(kept, nobody, "bert", "default"));
  kept.kind = ReservationKind::maintenance;
  BOOST_TEST(!is_for(kept, nobody, "anna", "default"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace reservation_test
