#include "actors/member/core_healings.hpp"

#include <boost/test/unit_test.hpp>

#include "schema/wire.hpp"

namespace reeve::member::core_healings_test {
namespace {

using cluster::Healing;
using cluster::HealingKind;

Healing set_aside(std::uint64_t first) {
  return {"m2", HealingKind::suffix_set_aside, first, 9, 3, {}, 4, 0, "f"};
}
Healing refused() {
  return {"m2", HealingKind::lead_refused, 0, 9, 3, "m1", 3, 12, {}};
}

struct Fixture {
  HealingReports reports;
  cluster::Healings known;
  Time now{1'000 * second_ns};

  std::vector<std::vector<std::byte>> due(std::uint64_t after_ns = 0) {
    now.value += after_ns;
    return reports.due(known, now);
  }
  std::optional<std::string> reply(const schema::Id128& id,
                                   schema::RejectCode code) {
    flatbuffers::FlatBufferBuilder builder;
    const auto no = schema::CreateRejectionDirect(builder, code, "rule", "why");
    const auto bytes = schema::finish(
        builder,
        schema::CreateReply(builder, &id, 0, 0,
                            code == schema::RejectCode::none ? 0 : no));
    return reports.on_reply(*schema::verified<schema::Reply>(bytes));
  }
};

BOOST_FIXTURE_TEST_SUITE(member_healings, Fixture)

BOOST_AUTO_TEST_CASE(it_is_told_again_until_the_log_tells_it) {
  reports.add(set_aside(7), {1, 2});
  const auto first = due();
  BOOST_REQUIRE_EQUAL(first.size(), 1u);
  const auto* command = schema::verified<schema::Command>(first[0]);
  BOOST_REQUIRE(command);
  BOOST_TEST(command->id()->low() == 2u);
  BOOST_TEST(
      (cluster::healing_of(*command->body_as_ReportHealing()->healing()) ==
       set_aside(7)));
  BOOST_TEST(due(report_ns - 1).empty());
  BOOST_TEST((due(1) == first));
  // An answer alone is not enough.
  BOOST_TEST(!reply({1, 2}, schema::RejectCode::none));
  BOOST_TEST(due(report_ns).size() == 1u);
  known.set(set_aside(7), Sequence{20}, now);
  BOOST_TEST(due(report_ns).empty());
  BOOST_TEST(reports.untold(known).empty());
}

BOOST_AUTO_TEST_CASE(the_last_of_each_kind_is_told) {
  reports.add(set_aside(7), {1, 1});
  reports.add(refused(), {1, 2});
  reports.add(set_aside(8), {1, 3});
  BOOST_TEST(due().size() == 2u);
  const auto untold = reports.untold(known);
  BOOST_REQUIRE_EQUAL(untold.size(), 2u);
  BOOST_TEST((untold[0] == set_aside(8)));
  BOOST_TEST((untold[1] == refused()));
}

BOOST_AUTO_TEST_CASE(a_leader_that_cannot_keep_it_is_asked_again) {
  reports.add(refused(), {1, 1});
  BOOST_TEST(due().size() == 1u);
  for (const auto code :
       {schema::RejectCode::try_again, schema::RejectCode::no_space})
    BOOST_TEST(!reply({1, 1}, code));
  BOOST_TEST(due(report_ns).size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_the_leader_refuses_is_told_no_more) {
  reports.add(refused(), {1, 1});
  BOOST_TEST(!reply({1, 7}, schema::RejectCode::malformed));
  const auto why = reply({1, 1}, schema::RejectCode::malformed);
  BOOST_REQUIRE(why);
  BOOST_TEST(*why ==
             "the leader does not take what became of the log here: why");
  BOOST_TEST(due(report_ns).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::member::core_healings_test
