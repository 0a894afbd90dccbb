// The manager and who may connect: who may ask for what, what the bus is told
// and when.
#include <boost/test/unit_test.hpp>

#include "actors/manager/core.hpp"
#include "actors/manager/queries.hpp"
#include "actors/manager/test_harness.hpp"

namespace identities_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using cluster::BusIdentity;
using cluster::BusRole;
using cluster::testing::key_of;
using cluster::testing::one_task;

namespace {

struct Fixture : Harness {
  Fixture() {
    commit();
    bus_identities.clear();
  }

  // "agent-n1 token-1", of each list that left since, with "; " between.
  std::string told() {
    std::string text;
    for (const auto& list : bus_identities) {
      if (!text.empty()) text += "; ";
      std::string names;
      for (const BusIdentity& one : list)
        names += (names.empty() ? "" : " ") + one.principal;
      text += names.empty() ? "nobody" : names;
    }
    bus_identities.clear();
    return text;
  }

  // A node of an agent that joined, with a session that runs there.
  std::uint64_t running_on_member() {
    create_token({});
    join_by_token({});
    commit();
    join({.name = "n1"});
    const auto id = submit(one_task());
    commit();
    place(session_of(id), {"n1"});
    start(session_of(id));
    commit();
    bus_identities.clear();
    return session_of(id);
  }
};

// Each has a bus server, which may not know yet who was removed.
struct ThreeManagers : Harness {
  static Options options() {
    Options three;
    three.managers = {{"m0", "h0"}, {"m1", "h1"}, {"m2", "h2"}};
    return three;
  }
  ThreeManagers() : Harness(options()) { commit(); }

  // A node of an agent that joined and was removed.
  void removed_agent() {
    create_token({});
    join_by_token({});
    commit();
    join({.name = "n1"});
    remove_identity("agent-n1");
    commit();
  }
  // It goes on.
  void beats(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      core->on_heartbeat("n1", now);
      tick(second_ns);
    }
    commit();
  }
  bool is_lost(const char* node) const {
    return core->state().node(node)->lost;
  }
  // By an agent whose answer comes to that inbox.
  void register_at(std::string_view agent, const std::string& reply_to,
                   bool reconciled = false) {
    Builder builder;
    const schema::Id128 id = next_id();
    const auto body = build_register(
        builder, agent, {5, 6}, {{.name = std::string(agent)}}, reconciled,
        false, {}, followed_list, core->state().epoch());
    core->on_command(command_of(builder, id, body),
                     "agent-" + std::string(agent), reply_to, now);
    commit();
  }
  std::string rule_at(const std::string& reply_to) {
    const auto* reply = schema::verified<schema::Reply>(replies.at(reply_to));
    return reply->rejection() ? reply->rejection()->rule()->str() : "accepted";
  }
  void make_admin(const char* name) {
    Builder builder;
    const schema::Id128 id = next_id();
    const auto spec = schema::CreateAccountSpecDirect(
        builder, schema::AccountKind::user, name, nullptr, 1000, INT32_MAX,
        nullptr, nullptr, 1042, true);
    core->on_command(
        command_of(builder, id, schema::CreateSetAccount(builder, spec)),
        "root", text_of(id), now);
    commit();
    BOOST_REQUIRE_EQUAL(verdict(id), "accepted");
  }
};

const schema::IdentitiesAnswer& answer_of(const schema::Answer* answer) {
  BOOST_REQUIRE(answer && answer->body_as_IdentitiesAnswer());
  return *answer->body_as_IdentitiesAnswer();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(manager_identities, Fixture)

// ---- who may ask

BOOST_AUTO_TEST_CASE(only_admins_make_tokens_and_remove_members) {
  const auto foreign = create_token({}, "ann");
  const auto own = create_token({});
  const auto joined = join_by_token({});
  const auto by_agent = remove_identity("agent-n1", "agent-n1");
  const auto by_root = remove_identity("agent-n1");
  commit();
  BOOST_CHECK_EQUAL(verdict(foreign), "forbidden owner_only");
  BOOST_CHECK_EQUAL(verdict(own), "accepted token 1");
  BOOST_CHECK_EQUAL(verdict(joined), "accepted");
  BOOST_CHECK_EQUAL(verdict(by_agent), "forbidden owner_only");
  BOOST_CHECK_EQUAL(verdict(by_root), "accepted");
}

BOOST_AUTO_TEST_CASE(a_token_is_good_for_joining_and_nothing_else) {
  create_token({});
  const auto submitted = submit(one_task(), "token-1");
  const auto made = create_token({}, "token-1");
  const auto left = leave("token-1");
  commit();
  for (const auto& id : {submitted, made, left})
    BOOST_CHECK_EQUAL(verdict(id), "forbidden token_joins_only");
  BOOST_CHECK_EQUAL(core->state().live_sessions(), 0u);
}

BOOST_AUTO_TEST_CASE(nobody_joins_under_the_names_of_the_managers_own_host) {
  create_token({});
  create_token({.role = cluster::IdentityRole::manager});
  const auto agent = join_by_token({.name = "sim"});
  const auto manager =
      join_by_token({.token = 2, .name = "m0", .address = "h:1"});
  commit();
  BOOST_CHECK_EQUAL(verdict(agent), "wrong_state identity_taken");
  BOOST_CHECK_EQUAL(verdict(manager), "wrong_state identity_taken");
}

// ---- answers

BOOST_AUTO_TEST_CASE(a_token_that_is_asked_for_again_is_the_first_one) {
  const auto id = create_token({});
  commit();
  const Bytes first = replies.at(text_of(id));
  create_token({});
  commit();
  create_token({.key = key_of("other")}, "root", id);
  commit();
  BOOST_CHECK(replies.at(text_of(id)) == first);
  BOOST_CHECK_EQUAL(verdict(id), "accepted token 1");
  restart();
  replies.clear();
  create_token({}, "root", id);
  commit();
  BOOST_CHECK(replies.at(text_of(id)) == first);
  BOOST_CHECK_EQUAL(core->state().identities().tokens().size(), 2u);
}

BOOST_AUTO_TEST_CASE(a_member_that_was_not_answered_joins_again) {
  create_token({});
  const auto id = join_by_token({});
  commit();
  const Bytes first = replies.at(text_of(id));
  join_by_token({}, id);
  const auto anew = join_by_token({});
  commit();
  BOOST_CHECK(replies.at(text_of(id)) == first);
  BOOST_CHECK_EQUAL(verdict(anew), "accepted");
  BOOST_CHECK_EQUAL(core->state().identities().token(1)->used, 1u);
}

// ---- what the bus is told

BOOST_AUTO_TEST_CASE(the_bus_is_told_at_each_start_who_may_connect) {
  Harness fresh;
  BOOST_CHECK(fresh.bus_identities.empty());
  fresh.commit();
  BOOST_REQUIRE_EQUAL(fresh.bus_identities.size(), 1u);
  BOOST_CHECK(fresh.bus_identities[0].empty());
  create_token({});
  join_by_token({});
  commit();
  bus_identities.clear();
  restart();
  collect();
  BOOST_CHECK_EQUAL(told(), "");
  commit();
  BOOST_CHECK_EQUAL(told(), "agent-n1 token-1");
}

BOOST_AUTO_TEST_CASE(the_bus_is_told_only_after_the_commit) {
  create_token({});
  begin_commit();
  collect();
  BOOST_CHECK_EQUAL(told(), "");
  // What comes meanwhile is not on disk, and goes with the next.
  join_by_token({});
  finish_commit();
  BOOST_CHECK_EQUAL(told(), "token-1");
  begin_commit();
  BOOST_CHECK_EQUAL(told(), "");
  finish_commit();
  BOOST_CHECK_EQUAL(told(), "agent-n1 token-1");
}

BOOST_AUTO_TEST_CASE(the_bus_knows_a_member_before_it_is_answered) {
  create_token({});
  commit();
  const auto id = join_by_token({});
  begin_commit();
  const Sequence last{in_flight->first.value + in_flight->count - 1};
  core->committed(last);
  const auto effects = core->take_effects();
  BOOST_REQUIRE_EQUAL(effects.size(), 2u);
  const auto* identities = std::get_if<SetBusIdentities>(&effects[0]);
  BOOST_REQUIRE(identities);
  BOOST_CHECK((identities->list ==
               std::vector<BusIdentity>{
                   {"agent-n1", BusRole::agent, key_of("n1"), "n1"},
                   {"token-1", BusRole::token, key_of("token-1"), ""}}));
  const auto* reply = std::get_if<SendReply>(&effects[1]);
  BOOST_REQUIRE(reply);
  BOOST_CHECK_EQUAL(reply->reply_to, text_of(id));
}

BOOST_AUTO_TEST_CASE(many_changes_of_one_commit_are_told_once) {
  create_token({.uses = 3});
  join_by_token({.name = "n1"});
  join_by_token({.name = "n2"});
  remove_identity("agent-n1");
  commit();
  BOOST_CHECK_EQUAL(told(), "agent-n2 token-1");
  submit(one_task());
  commit();
  BOOST_CHECK_EQUAL(told(), "");
}

BOOST_AUTO_TEST_CASE(a_removed_node_and_a_member_that_left_connect_no_more) {
  create_token({.uses = 2});
  join_by_token({.name = "n1"});
  join_by_token({.name = "n2"});
  commit();
  join({.name = "n1"});
  join({.name = "n2"});
  bus_identities.clear();
  leave("agent-n2");
  commit();
  BOOST_CHECK_EQUAL(told(), "agent-n1 token-1");
  Builder builder;
  const schema::Id128 id = next_id();
  core->on_command(
      command_of(builder, id, schema::CreateRemoveNodeDirect(builder, "n1")),
      "root", text_of(id), now);
  commit();
  BOOST_CHECK_EQUAL(verdict(id), "accepted");
  BOOST_CHECK_EQUAL(told(), "token-1");
}

BOOST_AUTO_TEST_CASE(sessions_of_an_agent_that_leaves_by_force_are_lost) {
  const std::uint64_t session = running_on_member();
  const auto refused = leave("agent-n1");
  commit();
  BOOST_CHECK_EQUAL(verdict(refused), "wrong_state agent_in_use");
  const auto forced = leave("agent-n1", true);
  commit();
  BOOST_CHECK_EQUAL(verdict(forced), "accepted");
  BOOST_CHECK(core->state().node("n1")->lost);
  BOOST_CHECK(core->state().node("n1")->holders.empty());
  const auto& left = *core->state().session(SessionId{session});
  BOOST_CHECK(left.state == schema::SessionState::failed);
  BOOST_CHECK(left.reason == schema::EndReason::node_lost);
  BOOST_CHECK_EQUAL(told(), "token-1");
}

BOOST_AUTO_TEST_CASE(a_removed_member_is_found_silent_and_its_node_lost) {
  running_on_member();
  remove_identity("agent-n1");
  commit();
  BOOST_CHECK_EQUAL(told(), "token-1");
  BOOST_CHECK(!core->state().node("n1")->lost);
  for (int i = 0; i < 12; ++i) tick(second_ns);
  commit();
  BOOST_CHECK(core->state().node("n1")->lost);
}

BOOST_AUTO_TEST_CASE(a_member_is_one_real_node_by_its_own_name) {
  create_token({});
  join_by_token({});
  commit();
  const auto other = register_nodes("n1", {{.name = "n9"}}, true);
  const auto simulated =
      register_nodes("n1", {{.name = "n1", .agent = "n1", .simulated = true}});
  const auto both = register_nodes("n1", {{.name = "n1"}, {.name = "n9"}});
  collect();
  for (const auto& id : {other, simulated, both})
    BOOST_CHECK_EQUAL(verdict(id), "forbidden node_of_member");
  for (const char* name : {"n1", "n9"}) BOOST_CHECK(!core->state().node(name));
  const auto own = register_nodes("n1", {{.name = "n1"}}, true);
  // As that of the cell's owner may, and any that did not join.
  const auto of_owner = register_nodes(
      "n1", {{.name = "s1", .agent = "n1", .simulated = true}}, true, "root");
  const auto local = register_nodes("rack", {{.name = "a"}, {.name = "b"}});
  commit();
  for (const auto& id : {own, of_owner, local})
    BOOST_CHECK_EQUAL(verdict(id), "accepted");
}

// ---- several managers

BOOST_AUTO_TEST_CASE(one_is_removed_while_those_heard_are_a_majority) {
  Options options;
  options.managers = {{"m0", "h0"}, {"m1", "h1"}, {"m2", "h2"}};
  Harness cell(options);
  cell.commit();
  BOOST_CHECK_EQUAL(
      cluster::managers_of(cell.core->state().identities()).size(), 3u);
  Membership seen;
  for (const char* name : {"m0", "m1", "m2"}) {
    ManagerSeen& one = seen.managers.emplace_back();
    one.name = name;
    one.heard = true;
  }
  seen.managers[2].silent_ns = manager_silent_ns_max + 1;
  cell.core->set_membership(seen);
  const auto refused = cell.remove_identity("m1");
  cell.commit();
  BOOST_CHECK_EQUAL(cell.verdict(refused), "wrong_state managers_majority");
  seen.managers[2].silent_ns = manager_silent_ns_max;
  cell.core->set_membership(seen);
  const auto removed = cell.remove_identity("m1");
  cell.commit();
  BOOST_CHECK_EQUAL(cell.verdict(removed), "accepted");
  BOOST_CHECK_EQUAL(
      cluster::managers_of(cell.core->state().identities()).size(), 2u);
}

BOOST_AUTO_TEST_CASE(a_removed_agent_is_neither_obeyed_nor_heard) {
  ThreeManagers cell;
  cell.removed_agent();
  const auto registered = cell.register_nodes("n1", {{.name = "n1"}}, true);
  const auto reported = cell.report("n1", 1, {});
  const auto tried = cell.quarantine("n1", "0", "agent-n1");
  cell.commit();
  for (const auto& id : {registered, reported, tried})
    BOOST_CHECK_EQUAL(cell.verdict(id), "forbidden not_a_member");
  cell.beats(12);
  BOOST_CHECK(cell.is_lost("n1"));
  // Leaving is a way out, and says the same.
  const auto left = cell.leave("agent-n1");
  // By a new token it comes back.
  cell.create_token({});
  cell.join_by_token({.token = 2});
  cell.commit();
  BOOST_CHECK_EQUAL(cell.verdict(left), "not_found identity_unknown");
  cell.join({.name = "n1"});
  cell.beats(12);
  BOOST_CHECK(!cell.is_lost("n1"));
}

BOOST_AUTO_TEST_CASE(a_removed_agent_is_silent_though_it_asks_for_nothing) {
  ThreeManagers cell;
  cell.removed_agent();
  cell.beats(12);
  BOOST_CHECK(cell.is_lost("n1"));
}

BOOST_AUTO_TEST_CASE(another_leader_does_not_hear_a_removed_agent_either) {
  ThreeManagers cell;
  cell.removed_agent();
  cell.restart();
  cell.commit();
  cell.beats(12);
  BOOST_CHECK(cell.is_lost("n1"));
  const auto registered = cell.register_nodes("n1", {{.name = "n1"}}, true);
  cell.beats(12);
  BOOST_CHECK_EQUAL(cell.verdict(registered), "forbidden not_a_member");
  BOOST_CHECK(cell.is_lost("n1"));
}

// Its name may be one that the settings of its host give it.
BOOST_AUTO_TEST_CASE(another_leader_asks_whom_it_does_not_know) {
  ThreeManagers cell;
  cell.register_at("n1", "_INBOX.reeved.1");
  cell.register_at("n1", "_INBOX.reeved.1", true);
  cell.restart();
  cell.commit();
  cell.sent.clear();
  cell.beats(5);
  BOOST_REQUIRE(!cell.sent.empty());
  BOOST_CHECK_EQUAL(cell.sent.front().agent, "n1");
  BOOST_CHECK_EQUAL(cell.sent.front().order().heard(), 0u);
  cell.register_at("n1", "_INBOX.reeved.2");
  cell.beats(12);
  BOOST_CHECK(!cell.is_lost("n1"));
}

BOOST_AUTO_TEST_CASE(another_leader_hears_members_at_once) {
  ThreeManagers cell;
  cell.create_token({});
  cell.join_by_token({});
  cell.commit();
  cell.join({.name = "n1"});
  cell.restart();
  cell.commit();
  cell.beats(12);
  BOOST_CHECK(!cell.is_lost("n1"));
}

BOOST_AUTO_TEST_CASE(agents_of_the_managers_hosts_need_not_join) {
  ThreeManagers cell;
  // By the name of its manager, or as the settings of that one name it.
  cell.register_at("m1", "m1");
  cell.register_at("rack", "_INBOX.reeved.1");
  cell.register_at("stray", "_INBOX.agent-stray.1");
  const auto simulated = cell.register_nodes(
      "sim", {{.name = "s0", .agent = "sim", .simulated = true}}, true, "root");
  const auto heard = cell.register_nodes("sim", {});
  cell.commit();
  BOOST_CHECK_EQUAL(cell.rule_at("m1"), "accepted");
  BOOST_CHECK_EQUAL(cell.rule_at("_INBOX.reeved.1"), "accepted");
  BOOST_CHECK_EQUAL(cell.rule_at("_INBOX.agent-stray.1"), "not_a_member");
  BOOST_CHECK_EQUAL(cell.verdict(simulated), "accepted");
  BOOST_CHECK_EQUAL(cell.verdict(heard), "accepted");
}

BOOST_AUTO_TEST_CASE(a_removed_admin_is_none_any_more) {
  ThreeManagers cell;
  cell.make_admin("ann");
  cell.create_token({.role = cluster::IdentityRole::user, .name = "ann"});
  cell.join_by_token({.name = "ann"});
  cell.commit();
  cell.asks_as = "ann";
  const auto ask = [&] {
    return cell.ask<schema::IdentitiesQuery>(
        [](Builder& b) { return schema::CreateIdentitiesQuery(b); });
  };
  const auto made = cell.create_token({}, "ann");
  cell.commit();
  BOOST_CHECK_EQUAL(cell.verdict(made), "accepted token 2");
  answer_of(ask());
  cell.remove_identity("ann");
  cell.commit();
  const auto refused = cell.create_token({}, "ann");
  cell.commit();
  BOOST_CHECK_EQUAL(cell.verdict(refused), "forbidden not_a_member");
  const auto* listed = ask();
  BOOST_REQUIRE(listed && listed->error());
  BOOST_CHECK(listed->error()->str().starts_with("ann is no member"));
}

BOOST_AUTO_TEST_CASE(daemons_of_managers_are_no_members_and_tell_of_logs) {
  ThreeManagers cell;
  Builder builder;
  const schema::Id128 id = cell.next_id();
  cell.core->on_command(
      command_of(
          builder, id,
          schema::CreateReportHealing(
              builder,
              schema::CreateHealingSpecDirect(
                  builder, "m1", schema::HealingKind::suffix_set_aside, 5, 6))),
      "reeved", text_of(id), cell.now);
  cell.commit();
  BOOST_CHECK_EQUAL(cell.verdict(id), "accepted");
}

// ---- what admins see

BOOST_AUTO_TEST_CASE(members_and_tokens_are_for_admins_to_see) {
  create_token({.uses = 2});
  join_by_token({.address = "10.0.0.1:7000"});
  commit();
  const auto members = [](Builder& b) {
    return schema::CreateIdentitiesQuery(b);
  };
  const auto tokens = [](Builder& b) {
    return schema::CreateIdentitiesQuery(b, true);
  };
  const auto& seen = answer_of(ask<schema::IdentitiesQuery>(members));
  BOOST_REQUIRE_EQUAL(seen.identities()->size(), 1u);
  BOOST_CHECK_EQUAL(seen.tokens()->size(), 0u);
  BOOST_CHECK_EQUAL(seen.identities()->Get(0)->principal()->str(), "agent-n1");
  BOOST_CHECK_EQUAL(seen.identities()->Get(0)->address()->str(),
                    "10.0.0.1:7000");
  BOOST_CHECK_EQUAL(seen.identities()->Get(0)->added_at(), now.value);
  const auto& listed = answer_of(ask<schema::IdentitiesQuery>(tokens));
  BOOST_REQUIRE_EQUAL(listed.tokens()->size(), 1u);
  BOOST_CHECK_EQUAL(listed.tokens()->Get(0)->used(), 1u);
  BOOST_CHECK_EQUAL(listed.tokens()->Get(0)->last_used_by()->str(), "n1");
  asks_as = "ann";
  const auto* refused = ask<schema::IdentitiesQuery>(members);
  BOOST_REQUIRE(refused && refused->error());
  BOOST_CHECK(!refused->body());
  BOOST_CHECK_EQUAL(refused->error()->str(),
                    "only root and admins may see this");
}

BOOST_AUTO_TEST_CASE(members_come_in_pages) {
  create_token({.uses = answer_rows_max + 5});
  for (std::uint32_t i = 0; i < answer_rows_max + 5; ++i)
    join_by_token({.name = "h" + std::to_string(i)});
  commit();
  std::string after;
  std::size_t count = 0;
  for (bool more = true; more;) {
    const auto& page = answer_of(ask<schema::IdentitiesQuery>([&](Builder& b) {
      return schema::CreateIdentitiesQueryDirect(b, false, after.c_str());
    }));
    BOOST_CHECK(page.identities()->size() <= answer_rows_max);
    for (const auto* one : *page.identities()) {
      BOOST_CHECK(one->principal()->str() > after);
      after = one->principal()->str();
      ++count;
    }
    more = page.more();
  }
  BOOST_CHECK_EQUAL(count, answer_rows_max + 5);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace identities_test
