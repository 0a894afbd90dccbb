// What managers tell of their logs: what is decided and kept.
#include "cluster/healing.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"

namespace healing_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

Healing set_aside(std::string manager, std::uint64_t first = 7) {
  return {std::move(manager),
          HealingKind::suffix_set_aside,
          first,
          9,
          3,
          {},
          4,
          0,
          "/var/lib/reeve/log/set-aside/7.segment"};
}
Healing refused(std::string manager) {
  return {
      std::move(manager), HealingKind::lead_refused, 0, 9, 3, "m2", 3, 12, {}};
}

struct Fixture : Cell {
  Decision report(const Healing& healing) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(
        schema::CreateReportHealing(builder, build_healing(builder, healing)));
    Decision decision =
        decide_healing(state,
                       *flatbuffers::GetRoot<schema::ReportHealing>(
                           builder.GetBufferPointer()),
                       origin("reeved"), writer);
    settle();
    return decision;
  }
  std::size_t kept() const { return state.healings().all().size(); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(healing, Fixture)

BOOST_AUTO_TEST_CASE(the_last_of_each_kind_of_a_manager_is_kept) {
  BOOST_REQUIRE(report(set_aside("m1")));
  BOOST_REQUIRE(report(refused("m1")));
  BOOST_REQUIRE(report(set_aside("m1", 8)));
  BOOST_TEST(kept() == 2u);
  const auto* last = state.healings().last_of("m1");
  BOOST_REQUIRE(last);
  BOOST_TEST((last->healing == set_aside("m1", 8)));
  BOOST_TEST((last->seq == state.last_sequence()));
  BOOST_TEST((last->at == state.last_time()));
  BOOST_TEST(!state.healings().last_of("m2"));
}

BOOST_AUTO_TEST_CASE(what_is_known_already_changes_nothing) {
  BOOST_REQUIRE(report(set_aside("m1")));
  const auto before = state.last_sequence();
  BOOST_REQUIRE(report(set_aside("m1")));
  BOOST_TEST((state.last_sequence() == before));
  BOOST_REQUIRE(report(set_aside("m2")));
  BOOST_TEST((state.last_sequence() > before));
}

BOOST_AUTO_TEST_CASE(a_snapshot_has_the_healings) {
  BOOST_REQUIRE(report(set_aside("m1")));
  BOOST_REQUIRE(report(refused("m3")));
  BOOST_REQUIRE(state.check_invariants());
  const auto again = State::decode_snapshot(state.encode_snapshot());
  BOOST_REQUIRE(again);
  BOOST_TEST(again->healings().knows(set_aside("m1")));
  BOOST_TEST(again->healings().knows(refused("m3")));
  BOOST_TEST(again->digest_hex() == state.digest_hex());
}

BOOST_AUTO_TEST_CASE(texts_up_to_healing_text_bytes_max_are_taken) {
  Healing long_one = set_aside("m1");
  long_one.file = std::string(healing_text_bytes_max, 'x');
  BOOST_TEST(report(long_one).has_value());
  long_one.file += 'x';
  const Decision no = report(long_one);
  BOOST_REQUIRE(!no);
  BOOST_TEST(no.error().rule == "healing_text_bytes_max");
  BOOST_TEST(no.error().limit == healing_text_bytes_max);
  BOOST_TEST(no.error().value == healing_text_bytes_max + 1);
  BOOST_TEST(report(set_aside("")).error().rule == "healing_manager");
  Healing newer = set_aside("m1");
  newer.kind = static_cast<HealingKind>(77);
  BOOST_TEST(report(newer).error().rule == "healing_kind");
}

BOOST_AUTO_TEST_CASE(over_healings_max_the_oldest_is_dropped) {
  for (std::size_t i = 0; i <= healings_max; ++i)
    BOOST_REQUIRE(report(set_aside(fmt::format("m{}", i))));
  BOOST_TEST(kept() == healings_max);
  BOOST_TEST(!state.healings().last_of("m0"));
  BOOST_TEST(state.healings().last_of("m1"));
  BOOST_REQUIRE(state.check_invariants());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace healing_test
