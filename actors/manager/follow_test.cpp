// A core that follows the log of another manager, and then leads.
// random_test.cpp compares one at any point of a long history.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

#include "actors/manager/test_harness.hpp"
#include "cluster/limits.hpp"
#include "schema/wire.hpp"

namespace follow_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::testing::one_task;

namespace {

// A leader with a log, and a core that follows it.
struct Followed : Harness {
  Core follower{cluster::State{}, Options{}};
  std::size_t heard = 0;

  void hear() {
    commit();
    for (; heard < log.size(); ++heard)
      for_each(log[heard], [&](const schema::Event& event) {
        const Status followed = follower.follow(event);
        BOOST_REQUIRE_MESSAGE(followed, followed.error().text);
      });
  }

  // Who may connect to the bus of the follower; nothing: as before.
  std::optional<std::size_t> admitted() {
    std::optional<std::size_t> count;
    for (const Effect& effect : follower.take_effects())
      count = std::get<SetBusIdentities>(effect).list.size();
    return count;
  }

  // The answer of the follower; null when there is none.
  template <class Body>
  const schema::Answer* ask_follower(
      const std::function<flatbuffers::Offset<Body>(Builder&)>& make) {
    Builder builder;
    const auto body = make(builder);
    builder.Finish(schema::CreateQuery(
        builder, schema::QueryBodyTraits<Body>::enum_value, body.Union()));
    BOOST_REQUIRE(!follower.on_query(
        *flatbuffers::GetRoot<schema::Query>(builder.GetBufferPointer()),
        "root", "q"));
    for (Effect& effect : follower.take_effects())
      if (auto* reply = std::get_if<SendReply>(&effect))
        answer_ = std::move(reply->bytes);
    return answer_.empty() ? nullptr
                           : schema::verified<schema::Answer>(answer_);
  }

 private:
  Bytes answer_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(manager_follow)

BOOST_FIXTURE_TEST_CASE(a_follower_knows_what_the_leader_committed, Followed) {
  join({.name = "n0"});
  submit(one_task());
  hear();
  BOOST_TEST(follower.state().digest_hex() == core->state().digest_hex());
  // It decides nothing and tells nobody.
  admitted();
  follower.on_tick(Time{now.value + 100 * second_ns});
  BOOST_TEST(follower.take_batch().count == 0u);
  BOOST_TEST(follower.take_effects().empty());
  BOOST_TEST(!follower.started());
}

BOOST_FIXTURE_TEST_CASE(the_bus_of_a_follower_lets_in_whom_the_leader_s_does,
                        Followed) {
  hear();
  BOOST_REQUIRE(admitted());
  const std::size_t before = bus_identities.back().size();
  submit(one_task());
  hear();
  BOOST_TEST(!admitted());
  create_token({});
  hear();
  BOOST_TEST(bus_identities.back().size() == before + 1);
  BOOST_TEST(admitted().value_or(0) == before + 1);
}

BOOST_FIXTURE_TEST_CASE(an_event_that_does_not_follow_is_refused, Followed) {
  hear();
  submit(one_task());
  commit();
  submit(one_task());
  commit();
  for_each(log.back(), [&](const schema::Event& event) {
    const Status refused = follower.follow(event);
    BOOST_REQUIRE(!refused);
    BOOST_TEST((refused.error().code == Errc::damaged));
  });
}

BOOST_FIXTURE_TEST_CASE(a_follower_answers_questions_and_says_how_old,
                        Followed) {
  join({.name = "n0"});
  const auto id = submit(one_task());
  hear();
  follower.set_membership(
      {schema::ManagerRole::following, "m0", 1'500, {}, {}, true});
  const auto* answer = ask_follower<schema::StatusQuery>(
      [](Builder& b) { return schema::CreateStatusQuery(b); });
  BOOST_REQUIRE(answer);
  BOOST_TEST(answer->seq() == core->decided().value);
  BOOST_TEST(answer->leader_unheard());
  const auto* status = answer->body_as_StatusAnswer();
  BOOST_TEST(status->cell()->str() == "cell");
  BOOST_TEST(status->nodes_up() == 1u);
  BOOST_TEST((status->role() == schema::ManagerRole::following));
  BOOST_TEST(status->leader()->str() == "m0");
  BOOST_TEST(status->behind_ns() == 1'500u);
  BOOST_TEST(status->leader_unheard());
  const std::uint64_t session = session_of(id);
  const auto* seen = ask_follower<schema::SessionQuery>([&](Builder& b) {
                       return schema::CreateSessionQuery(b, session);
                     })->body_as_SessionView();
  BOOST_REQUIRE(seen);
  BOOST_TEST(seen->session() == session);
}

BOOST_FIXTURE_TEST_CASE(a_leader_says_that_it_leads, Followed) {
  hear();
  const auto* status = ask<schema::StatusQuery>([](Builder& b) {
                         return schema::CreateStatusQuery(b);
                       })->body_as_StatusAnswer();
  BOOST_TEST((status->role() == schema::ManagerRole::leading));
  BOOST_TEST(status->leader()->str() == "m0");
  BOOST_TEST(status->behind_ns() == 0u);
  BOOST_TEST(!status->leader_unheard());
}

BOOST_FIXTURE_TEST_CASE(what_the_schedulers_know_only_the_leader_tells,
                        Followed) {
  join({.name = "n0"});
  const auto id = submit(one_task());
  hear();
  follower.set_membership({schema::ManagerRole::following, "m0", 0, {}, {}});
  const auto* answer = ask_follower<schema::WhyQuery>(
      [&](Builder& b) { return schema::CreateWhyQuery(b, session_of(id)); });
  BOOST_REQUIRE(answer);
  BOOST_TEST(schema::text(answer->error()) ==
             "this manager follows m0, which alone knows what waits for what: "
             "ask the leader");
}

// While it takes over, or once it led: its lease names it, and it does not
// lead.
BOOST_FIXTURE_TEST_CASE(one_that_does_not_lead_does_not_say_that_it_does,
                        Followed) {
  join({.name = "n0"});
  const auto id = submit(one_task());
  hear();
  for (const char* leader : {"", "m2"}) {
    follower.set_membership(
        {schema::ManagerRole::candidate, leader, 0, {}, "m2"});
    const auto* answer = ask_follower<schema::StatusQuery>(
        [](Builder& b) { return schema::CreateStatusQuery(b); });
    BOOST_REQUIRE(answer);
    BOOST_TEST(answer->standing_by()->str() == "m2");
    BOOST_TEST(!answer->leads_alone());
    BOOST_TEST(schema::text(answer->body_as_StatusAnswer()->leader()) == "");
    const auto* why = ask_follower<schema::WhyQuery>(
        [&](Builder& b) { return schema::CreateWhyQuery(b, session_of(id)); });
    BOOST_REQUIRE(why);
    BOOST_TEST(schema::text(why->error()) ==
               "this manager does not lead, and knows of none that does, which "
               "alone knows what waits for what: ask again when one leads");
  }
}

BOOST_FIXTURE_TEST_CASE(a_hand_over_to_nobody_is_told_as_not_found, Followed) {
  hear();
  const auto answer = [&](const Expected<std::string>& to) {
    replies.erase("q");
    core->answer_hand_over(to, "q");
    collect();
    return flatbuffers::GetRoot<schema::Answer>(replies.at("q").data());
  };
  const auto* none = answer(fail(Errc::not_found, "there is no manager m9"));
  BOOST_TEST(none->not_found());
  BOOST_TEST(none->error()->str() == "there is no manager m9");
  const auto* no = answer(fail(Errc::rejected, "m2 is far behind"));
  BOOST_TEST(!no->not_found());
  BOOST_TEST(no->error()->str() == "m2 is far behind");
  BOOST_TEST(answer("m2")->body_as_HandOverAnswer()->to()->str() == "m2");
}

BOOST_FIXTURE_TEST_CASE(a_command_to_a_follower_gets_no_answer, Followed) {
  hear();
  Builder builder;
  const auto spec = cluster::build_spec(builder, one_task());
  follower.on_command(command_of(builder, next_id(),
                                 schema::CreateSubmitSession(builder, spec)),
                      "root", "r", now);
  BOOST_REQUIRE(admitted());  // and no answer
  BOOST_TEST(follower.take_batch().count == 0u);
  hear();
  BOOST_TEST(follower.state().digest_hex() == core->state().digest_hex());
}

BOOST_FIXTURE_TEST_CASE(a_follower_that_leads_takes_up_what_was_left,
                        Followed) {
  join({.name = "n0"});
  submit(one_task());
  commit();
  place(1, {"n0"});
  hear();
  const Epoch epoch{core->state().epoch().value + 7};
  const Batch first = follower.beginning("cell", "root", 0, "m1", epoch, now);
  BOOST_TEST(first.count == 1u);
  BOOST_TEST(first.first.value == core->decided().value + 1);
  BOOST_TEST((first.epoch == epoch));
  // It does not count before the others have it.
  BOOST_TEST((follower.state().epoch() < epoch));
  for_each(first, [&](const schema::Event& event) {
    BOOST_REQUIRE(follower.follow(event));
  });
  follower.start("cell", "root", 0, "m1", now, Core::Beginning::begun);
  BOOST_TEST((follower.state().epoch() == epoch));
  const Batch next = follower.take_batch();
  BOOST_TEST(next.count == 0u);
  const auto effects = follower.take_effects();
  BOOST_REQUIRE_EQUAL(effects.size(), 2u);
  BOOST_TEST(std::holds_alternative<SetBusIdentities>(effects[1]));
  const auto& order = *flatbuffers::GetRoot<schema::AgentOrder>(
      std::get<SendOrder>(effects[0]).bytes.data());
  BOOST_TEST(text_of(order) == "launch 1.1.0");
  BOOST_TEST(order.epoch() == epoch.value);
  // What it decides from here on is of this epoch.
  Builder builder;
  const auto spec = cluster::build_spec(builder, one_task());
  follower.on_command(command_of(builder, next_id(),
                                 schema::CreateSubmitSession(builder, spec)),
                      "root", "r", now);
  const Batch decided = follower.take_batch();
  BOOST_TEST(decided.first.value == first.first.value + 1);
  BOOST_TEST((decided.epoch == epoch));
}

BOOST_FIXTURE_TEST_CASE(a_manager_that_leads_tells_what_was_healed, Followed) {
  hear();
  const cluster::Healing tail{
      "m1", cluster::HealingKind::tail_published, 5, 6, 1, {}, 0, 0, {}};
  const Epoch epoch{core->state().epoch().value + 1};
  const Batch first = follower.beginning("cell", "root", 0, "m1", epoch, now,
                                         std::span(&tail, 1));
  BOOST_TEST(first.count == 2u);
  for_each(first, [&](const schema::Event& event) {
    BOOST_REQUIRE(follower.follow(event));
  });
  BOOST_TEST(follower.state().healings().knows(tail));
  std::vector<ManagerSeen> both(2);
  both[0].name = "m0";
  both[1].name = "m1";
  follower.set_membership(
      {schema::ManagerRole::following, "m0", 0, both, "m1"});
  const auto* answer = ask_follower<schema::StatusQuery>(
      [](Builder& b) { return schema::CreateStatusQuery(b); });
  BOOST_REQUIRE(answer);
  const auto& managers = *answer->body_as_StatusAnswer()->managers();
  BOOST_TEST(!managers[0]->healing());
  BOOST_REQUIRE(managers[1]->healing());
  BOOST_TEST(managers[1]->healing()->healing()->first() == 5u);
}

BOOST_FIXTURE_TEST_CASE(only_managers_tell_what_became_of_their_logs,
                        Followed) {
  const auto report = [&](std::string_view principal) {
    Builder builder;
    const auto id = next_id();
    core->on_command(
        command_of(
            builder, id,
            schema::CreateReportHealing(
                builder, schema::CreateHealingSpecDirect(
                             builder, "m1",
                             schema::HealingKind::suffix_set_aside, 5, 6))),
        principal, "r", now);
    commit();
  };
  for (const char* other : {"root", "ann", "agent-n0", "manager-m1"})
    report(other);
  BOOST_TEST(core->state().healings().all().empty());
  report("reeved");
  BOOST_TEST(core->state().healings().last_of("m1"));
}

BOOST_AUTO_TEST_CASE(a_cell_begins_with_the_first_commit_of_its_first_leader) {
  Core first(cluster::State{}, Options{});
  const Batch batch =
      first.beginning("cell", "root", 0, "m1", Epoch{1}, Time{second_ns});
  for_each(batch, [&](const schema::Event& event) {
    BOOST_REQUIRE(first.follow(event));
  });
  first.start("cell", "root", 0, "m1", Time{second_ns}, Core::Beginning::begun);
  BOOST_TEST(first.state().cell() == "cell");
  BOOST_TEST(first.take_batch().count == 0u);
}

BOOST_AUTO_TEST_CASE(a_commit_of_several_managers_fits_one_message) {
  Harness cell(Options{.batch_bytes_max = cluster::shared_commit_bytes_max});
  cell.commit();
  cell.join({.name = "n0"});
  // Some megabytes of decisions are several commits.
  cluster::Spec spec = one_task();
  const std::string long_word(200'000, 'x');
  spec.argv = {long_word};
  for (int i = 0; i < 20; ++i) cell.submit(spec);
  std::size_t commits = 0;
  while (cell.begin_commit(), cell.in_flight) {
    BOOST_TEST(cell.in_flight->events.size() <=
               cluster::shared_commit_bytes_max);
    cell.finish_commit();
    ++commits;
  }
  BOOST_TEST(commits >= 5u);
  // One decision stays one commit, so one that does not fit is refused.
  const std::string word(300, 'x');
  const auto array_of = [&](std::uint32_t sessions) {
    Builder builder;
    cluster::Spec each = one_task();
    each.argv = {word};
    const auto id = cell.next_id();
    const auto packed = cluster::build_spec(builder, each);
    cell.core->on_command(command_of(builder, id,
                                     schema::CreateSubmitSession(
                                         builder, packed, true, 1, sessions)),
                          "root", text_of(id), cell.now);
    cell.begin_commit();
    if (cell.in_flight)
      BOOST_TEST(cell.in_flight->events.size() <=
                 cluster::shared_commit_bytes_max);
    cell.finish_commit();
    return cell.verdict(id);
  };
  BOOST_TEST(array_of(3'000) == "over_limit commit_bytes_max");
  BOOST_TEST(array_of(1'000).starts_with("accepted"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace follow_test
