// Agents and clients of other programs: who is understood, and what becomes of
// the nodes of one that is not.
#include <boost/test/unit_test.hpp>

#include "actors/manager/core.hpp"
#include "actors/manager/test_harness.hpp"
#include "schema/wire.hpp"

namespace programs_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::Program;
using cluster::testing::one_task;
using schema::FactKind;
using schema::Protocol;

namespace {

const Program ours{"0.4.0", Protocol{4, 3}};
const Program before{"0.3.0", Protocol{3, 2}};
const Program after{"0.5.0", Protocol{5, 4}};
const Program ancient{"0.2.0", Protocol{2, 1}};
const Program stranger{"0.6.0", Protocol{6, 5}};

Options of_ours() {
  Options options;
  options.program = ours;
  return options;
}

struct Fixture : Harness {
  Fixture() : Harness(of_ours()) {
    program = ours;
    commit();
    join({.name = "n0"});
    orders();
  }
  const cluster::Node& node() const { return *core->state().node("n0"); }
  std::string registered(std::optional<Program> as, bool reconciled = false) {
    program = std::move(as);
    const auto id = send_registration("n0", {{.name = "n0"}}, reconciled);
    commit();
    return verdict(id);
  }
  std::string submitted(std::optional<Program> as) {
    program = std::move(as);
    const auto id = submit(one_task());
    commit();
    return verdict(id);
  }
  std::string asked_status() {
    const auto* answer = ask<schema::StatusQuery>(
        [](Builder& builder) { return schema::CreateStatusQuery(builder); });
    return answer ? std::string(schema::text(answer->error())) : "no answer";
  }
  std::size_t events() const { return core->state().last_sequence().value; }
  void check() const {
    const Status sound = core->state().check_invariants();
    BOOST_TEST(sound.has_value());
    BOOST_TEST(replayed().digest_hex() == core->state().digest_hex());
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(programs)

BOOST_FIXTURE_TEST_CASE(agents_a_release_apart_are_let_in, Fixture) {
  for (const Program& one : {before, after, ours}) {
    BOOST_TEST(registered(one).starts_with("accepted"), one.version);
    BOOST_TEST(node().version == one.version);
    BOOST_TEST(node().protocol == one.protocol.number());
    BOOST_TEST(node().offered());
  }
  check();
}

BOOST_FIXTURE_TEST_CASE(a_new_version_is_an_event_and_the_same_is_none,
                        Fixture) {
  const std::size_t known = events();
  registered(ours);
  BOOST_TEST(events() == known);
  registered(after);
  BOOST_TEST(events() == known + 1);
  registered(after);
  BOOST_TEST(events() == known + 1);
}

BOOST_FIXTURE_TEST_CASE(a_stranger_is_refused_and_gets_nothing_new, Fixture) {
  for (const Program& one : {ancient, stranger}) {
    BOOST_TEST(registered(one) == "wrong_state protocol", one.version);
    BOOST_TEST(!node().offered());
    BOOST_TEST(node().refused);
    BOOST_TEST(node().drain_reason.find("agent n0 (reeve " + one.version) == 0,
               node().drain_reason);
    BOOST_TEST(node().drain_reason.find("reeve 0.4.0") != std::string::npos);
    const auto said = core->take_messages();
    BOOST_REQUIRE(said.size() == 1u);
    BOOST_TEST(said[0] == node().drain_reason);
  }
  check();
}

BOOST_FIXTURE_TEST_CASE(a_refusal_is_one_event_however_often_it_asks, Fixture) {
  const std::size_t known = events();
  for (int i = 0; i < 5; ++i)
    BOOST_TEST(registered(stranger) == "wrong_state protocol");
  BOOST_TEST(events() == known + 1);
  BOOST_TEST(core->take_messages().size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(the_right_program_brings_the_node_back, Fixture) {
  registered(stranger);
  BOOST_TEST(registered(ours).starts_with("accepted"));
  BOOST_TEST(node().offered());
  BOOST_TEST(node().drain_reason.empty());
  check();
  // And a refusal after that is said anew.
  core->take_messages();
  registered(stranger);
  BOOST_TEST(core->take_messages().size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(what_an_admin_drained_stays_drained, Fixture) {
  drain("n0", 0);
  registered(stranger);
  BOOST_TEST(!node().refused);
  registered(ours);
  BOOST_TEST(!node().offered());
  resume("n0");
  commit();
  BOOST_TEST(node().offered());
  check();
}

BOOST_FIXTURE_TEST_CASE(resumed_by_hand_it_is_drained_when_it_asks_again,
                        Fixture) {
  registered(stranger);
  program = ours;
  resume("n0");
  commit();
  BOOST_TEST(node().offered());
  registered(stranger);
  BOOST_TEST(!node().offered());
}

BOOST_FIXTURE_TEST_CASE(an_admins_drain_outlives_the_programs, Fixture) {
  registered(stranger);
  program = ours;
  drain("n0", 0);
  commit();
  registered(ours);
  BOOST_TEST(!node().offered());
  check();
}

BOOST_FIXTURE_TEST_CASE(its_sessions_run_on_and_their_ends_wait, Fixture) {
  const auto id = submit(one_task());
  commit();
  const std::uint64_t session = session_of(id);
  place(session, {"n0"});
  commit();
  start(session);
  commit();
  registered(stranger);
  const auto exit = report("n0", session, {.kind = FactKind::exited});
  commit();
  BOOST_TEST(verdict(exit) == "wrong_state protocol");
  const auto state = [&] {
    return core->state().session(SessionId{session})->state;
  };
  BOOST_TEST((state() == schema::SessionState::running));
  registered(ours);
  const auto again = report("n0", session, {.kind = FactKind::exited});
  commit();
  BOOST_TEST(verdict(again).starts_with("accepted"), verdict(again));
  BOOST_TEST((state() == schema::SessionState::succeeded));
  check();
}

BOOST_FIXTURE_TEST_CASE(a_foreigner_cannot_have_a_node_drained, Fixture) {
  program = stranger;
  const auto id = send_registration("n0", {{.name = "n0"}}, false, "agent-n1");
  commit();
  BOOST_TEST(verdict(id) == "forbidden agent_foreign");
  BOOST_TEST(node().offered());
}

BOOST_FIXTURE_TEST_CASE(clients_a_release_apart_are_served, Fixture) {
  for (const Program& one : {before, after, ours}) {
    BOOST_TEST(submitted(one).starts_with("accepted"), one.version);
    BOOST_TEST(asked_status() == "");
  }
}

BOOST_FIXTURE_TEST_CASE(clients_that_are_not_understood_are_told_so, Fixture) {
  const std::size_t known = events();
  for (const auto& one :
       {std::optional(ancient), std::optional(stranger),
        std::optional<Program>()}) {  // the last is of protocol 1
    BOOST_TEST(submitted(one) == "wrong_state protocol");
    const std::string why = asked_status();
    BOOST_TEST(why.find("the program that asks") == 0, why);
    BOOST_TEST(why.find("nstall reeve 0.4.0") != std::string::npos, why);
  }
  BOOST_TEST(events() == known);
}

BOOST_AUTO_TEST_CASE(a_program_of_before_the_handshake_is_a_release_before) {
  Harness cell;
  cell.commit();
  cell.join({.name = "n0"});
  const auto& node = *cell.core->state().node("n0");
  BOOST_TEST(node.offered());
  BOOST_TEST(node.version == "");
  BOOST_TEST(node.protocol == 0u);
  const auto id = cell.submit(one_task());
  cell.commit();
  BOOST_TEST(cell.verdict(id).starts_with("accepted"));
}

BOOST_FIXTURE_TEST_CASE(a_simulated_node_has_no_program, Fixture) {
  program = ours;
  join({.name = "s0", .agent = "sim", .simulated = true});
  BOOST_TEST(core->state().node("s0")->version == "");
  program = after;
  const std::size_t known = events();
  register_nodes("sim", {{.name = "s0", .agent = "sim", .simulated = true}},
                 true, "root");
  commit();
  BOOST_TEST(events() == known);
}

BOOST_FIXTURE_TEST_CASE(a_version_over_version_bytes_max_is_refused, Fixture) {
  Program one = ours;
  one.version = std::string(cluster::version_bytes_max, '7');
  BOOST_TEST(registered(one).starts_with("accepted"));
  one.version += '7';
  BOOST_TEST(registered(one) == "malformed version_bytes_max");
  one.version = "0.4.0\033[2J";
  BOOST_TEST(registered(one) == "malformed version_bytes_max");
  BOOST_TEST(node().version == std::string(cluster::version_bytes_max, '7'));
}

BOOST_FIXTURE_TEST_CASE(versions_and_refusals_are_in_a_snapshot, Fixture) {
  registered(after);
  registered(stranger);
  restart();
  BOOST_TEST(node().version == "0.5.0");
  BOOST_TEST(node().refused);
  const auto back =
      cluster::State::decode_snapshot(core->state().encode_snapshot());
  BOOST_REQUIRE(back.has_value());
  BOOST_TEST(back->digest_hex() == core->state().digest_hex());
  BOOST_TEST(back->node("n0")->refused);
  BOOST_TEST(back->node("n0")->protocol == 5u);
}

BOOST_FIXTURE_TEST_CASE(nodes_are_shown_with_the_program_of_their_agent,
                        Fixture) {
  registered(after);
  program = ours;
  const auto* answer = ask<schema::NodesQuery>(
      [](Builder& builder) { return schema::CreateNodesQuery(builder); });
  BOOST_REQUIRE(answer != nullptr);
  const auto* node = answer->body_as_NodesAnswer()->nodes()->Get(0);
  BOOST_TEST(schema::text(node->version()) == "0.5.0");
  BOOST_TEST(node->protocol() == 5u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace programs_test
