// A manager of several that has no majority, or may lead no more.
#include <boost/test/unit_test.hpp>

#include "actors/manager/core.hpp"
#include "actors/manager/messages.hpp"
#include "actors/manager/test_harness.hpp"

namespace alone_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::testing::one_task;
using schema::FactKind;
using schema::SessionState;

BOOST_FIXTURE_TEST_SUITE(manager_alone, TwoNodes)

// Another may lead, whom the command has reached as well.
BOOST_AUTO_TEST_CASE(a_manager_alone_does_not_say_that_nothing_came_of_it) {
  core->set_alone("the others do not answer");
  const auto command = submit(one_task());
  core->committed(core->decided());
  for (auto& effect : core->take_effects())
    if (auto* reply = std::get_if<SendReply>(&effect))
      replies[reply->reply_to] = reply->bytes;
  BOOST_CHECK_EQUAL(verdict(command), "try_again not_kept");
  // Asked again when they do, it is done.
  core->set_alone("");
  submit(one_task(), "root", command);
  commit();
  BOOST_CHECK_EQUAL(verdict(command), "accepted s-1");
}

// Whoever leads by now decides what becomes of a session, and of a node that is
// not heard here.
BOOST_AUTO_TEST_CASE(a_manager_alone_decides_nothing_by_time_or_by_facts) {
  submit(one_task());
  place(1, {"n0"});
  start(1);
  commit();
  const Sequence before = state().last_sequence();
  core->set_alone("the others do not answer");
  for (int i = 0; i < 2; ++i) tick(60 * second_ns);
  const auto told = report("n0", 1, {.kind = FactKind::exited});
  collect();
  BOOST_CHECK_EQUAL(verdict(told), "none");
  BOOST_CHECK(state().last_sequence() == before);
  BOOST_CHECK(!state().node("n0")->lost);
  // It comes again, and nobody is lost for what was not heard meanwhile.
  core->set_alone("");
  tick(second_ns);
  report("n0", 1, {.kind = FactKind::exited});
  commit();
  BOOST_CHECK(!state().node("n0")->lost);
  BOOST_CHECK_EQUAL(state().count(SessionState::succeeded), 1);
}

BOOST_AUTO_TEST_CASE(a_manager_alone_says_so_and_tells_no_end_that_may_not_be) {
  const auto ask_for = [&](std::uint64_t session) {
    return ask<schema::SessionQuery>([&](Builder& builder) {
      return schema::CreateSessionQuery(builder, session);
    });
  };
  submit(one_task());
  commit();
  cancel(1);
  core->set_alone("the others do not answer");
  tick(7 * second_ns);
  BOOST_CHECK(!ask_for(1));
  // Of what nothing is under way it tells.
  const auto* other = ask_for(2);
  BOOST_REQUIRE(other);
  BOOST_CHECK(other->standing_by());  // for who knows no other word
  BOOST_CHECK(other->leads_alone());
  BOOST_CHECK_GE(other->behind_ns(), 7 * second_ns);
  core->set_alone("");
  commit();
  const auto* ended = ask_for(1);
  BOOST_REQUIRE(ended);
  BOOST_CHECK(!ended->standing_by());
  BOOST_CHECK(!ended->leads_alone());
}

// It may be whom the agents follow by now.
BOOST_AUTO_TEST_CASE(a_manager_alone_does_not_make_its_epoch_the_newest) {
  core->set_alone("the others do not answer");
  const Epoch before = state().epoch();
  epoch_seen = Epoch{before.value + 2};
  const auto command = send_registration("n0", {{.name = "n0", .devices = 2}});
  for (auto& effect : core->take_effects())
    if (auto* reply = std::get_if<SendReply>(&effect))
      replies[reply->reply_to] = reply->bytes;
  BOOST_CHECK_EQUAL(verdict(command), "try_again managers_away");
  BOOST_CHECK(state().epoch() == before);
}

BOOST_AUTO_TEST_CASE(who_may_lead_no_more_does_not_make_its_epoch_the_newest) {
  core->set_leads(false);
  const Epoch before = state().epoch();
  epoch_seen = Epoch{before.value + 2};
  const auto command = send_registration("n0", {{.name = "n0", .devices = 2}});
  commit();
  BOOST_CHECK(verdict(command) != "accepted");
  BOOST_CHECK(state().epoch() == before);
  core->set_leads(true);
  const auto again = send_registration("n0", {{.name = "n0", .devices = 2}});
  commit();
  BOOST_CHECK_EQUAL(verdict(again), "accepted");
  BOOST_CHECK_EQUAL(state().epoch().value, before.value + 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace alone_test
