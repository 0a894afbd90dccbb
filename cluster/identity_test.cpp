// Tokens, who joins by them, leaves and is removed: what is decided.
#include <boost/test/unit_test.hpp>

#include "cluster/testing.hpp"

namespace identity_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string said(const Decision& decision) {
  return decision ? "accepted" : decision.error().text;
}

struct Fixture : Cell {
  // n1 joined by token 1 and registered its node.
  void joined() {
    create_token();
    BOOST_REQUIRE(join({}));
    add({.name = "n1", .devices = 1});
  }
  const Token& token(std::uint64_t id) const {
    return *state.identities().token(id);
  }
  bool is_member(std::string_view principal) const {
    return state.identities().find(principal) != nullptr;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(identity, Fixture)

// ---- tokens

BOOST_AUTO_TEST_CASE(a_token_has_what_was_asked_for) {
  TokenOptions options;
  options.role = IdentityRole::manager;
  options.name = "m2";
  options.uses = 3;
  options.expires_ns = day_ns;
  const auto made = create_token(options);
  BOOST_TEST(verdict(made) == "accepted");
  BOOST_TEST(kinds == "TokenCreated");
  const Token& one = *state.identities().token_made_at(made->seq);
  BOOST_TEST(one.id == 1u);
  BOOST_TEST((one.role == IdentityRole::manager));
  BOOST_TEST(one.name == "m2");
  BOOST_TEST(one.uses == 3u);
  BOOST_TEST(one.created_by == "root");
  BOOST_TEST((one.expires_at == Time{now.value + day_ns}));
  BOOST_TEST(verdict(create_token()) == "accepted");
  BOOST_TEST(state.identities().token(2));
}

BOOST_AUTO_TEST_CASE(a_token_beyond_a_bound_is_not_made) {
  const auto made = [&](auto change) {
    TokenOptions options;
    change(options);
    return verdict(create_token(options));
  };
  using Options = TokenOptions;
  BOOST_TEST(made([](Options& o) { o.expires_ns = token_ns_min; }) ==
             "accepted");
  BOOST_TEST(made([](Options& o) { o.expires_ns = token_ns_min - 1; }) ==
             "over_limit token_ns_min 60000000000 59999999999");
  BOOST_TEST(made([](Options& o) { o.expires_ns = token_ns_max; }) ==
             "accepted");
  BOOST_TEST(made([](Options& o) { o.expires_ns = token_ns_max + 1; }) ==
             "over_limit token_ns_max 31536000000000000 31536000000000001");
  BOOST_TEST(made([](Options& o) { o.uses = token_uses_max; }) == "accepted");
  BOOST_TEST(made([](Options& o) { o.uses = token_uses_max + 1; }) ==
             "over_limit token_uses_max 10000 10001");
  BOOST_TEST(made([](Options& o) { o.uses = 0; }) ==
             "malformed token_uses 0 0");
  BOOST_TEST(made([](Options& o) {
               o.name = std::string(identity_name_bytes_max, 'n');
             }) == "accepted");
  BOOST_TEST(made([](Options& o) {
               o.name = std::string(identity_name_bytes_max + 1, 'n');
             }) == "malformed identity_name 56 57");
  BOOST_TEST(made([](Options& o) { o.name = "-n"; }) ==
             "malformed identity_name 56 2");
  BOOST_TEST(made([](Options& o) { o.key = "UNONE"; }) ==
             "malformed identity_key 0 0");
  BOOST_TEST(made([](Options& o) { o.role = static_cast<IdentityRole>(9); }) ==
             "malformed identity_role 0 0");
}

BOOST_AUTO_TEST_CASE(a_token_for_a_user_needs_the_user) {
  TokenOptions options;
  options.role = IdentityRole::user;
  options.name = "ann";
  const auto refused = create_token(options);
  BOOST_TEST(verdict(refused) == "not_found user_unknown 0 0");
  BOOST_TEST(contains(said(refused), "reeve user set ann --uid N"));
  add_user("ann");
  BOOST_TEST(verdict(create_token(options)) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_token_for_an_agent_of_a_managers_host_is_not_made) {
  const auto refused = create_token({.name = "sim"});
  BOOST_TEST(verdict(refused) == "wrong_state identity_taken 0 0");
  BOOST_TEST(contains(said(refused), "choose another name"));
  BOOST_TEST(state.identities().tokens().empty());
  // A node that is there may be gone when its token is used.
  add({.name = "n0"});
  BOOST_TEST(verdict(create_token({.name = "n0"})) == "accepted");
}

BOOST_AUTO_TEST_CASE(no_two_have_one_key) {
  TokenOptions options;
  options.key = key_of("k");
  BOOST_TEST(verdict(create_token(options)) == "accepted");
  BOOST_TEST(verdict(create_token(options)) == "wrong_state key_taken 0 0");
  BOOST_TEST(verdict(join({.key = key_of("k")})) ==
             "wrong_state key_taken 0 0");
  BOOST_TEST(verdict(join({})) == "accepted");
  create_token();
  const auto second = join({.token = 2, .name = "n2", .key = key_of("n1")});
  BOOST_TEST(verdict(second) == "wrong_state key_taken 0 0");
  BOOST_TEST(contains(said(second), "agent-n1 has that key"));
}

BOOST_AUTO_TEST_CASE(over_tokens_max_one_waits_until_others_are_over) {
  checks = false;
  TokenOptions options;
  options.expires_ns = token_ns_min;
  for (std::size_t i = 0; i < tokens_max; ++i)
    BOOST_REQUIRE(create_token(options));
  BOOST_TEST(verdict(create_token(options)) ==
             "over_limit tokens_max 1000 1000");
  pass(token_ns_min + token_kept_ns - 1);
  BOOST_TEST(verdict(create_token(options)) ==
             "over_limit tokens_max 1000 1000");
  pass(1);
  BOOST_TEST(verdict(create_token(options)) == "accepted");
  BOOST_TEST(state.identities().tokens().size() == 1u);
  BOOST_TEST(state.check_invariants().has_value());
}

BOOST_AUTO_TEST_CASE(a_token_is_revoked_once) {
  create_token();
  BOOST_TEST(verdict(revoke_token(1)) == "accepted");
  BOOST_TEST(kinds == "TokenRevoked");
  BOOST_TEST((token(1).revoked_at == now));
  BOOST_TEST(verdict(revoke_token(1)) == "accepted");
  BOOST_TEST(kinds == "");
  BOOST_TEST(verdict(revoke_token(2)) == "not_found token_unknown 0 0");
}

// ---- joining

BOOST_AUTO_TEST_CASE(who_has_a_token_becomes_a_member) {
  create_token();
  const auto decision = join({.address = "10.0.0.1:7000"});
  BOOST_TEST(verdict(decision) == "accepted");
  BOOST_TEST(kinds == "IdentityAdded");
  const Identity* member = state.identities().find("agent-n1");
  BOOST_REQUIRE(member);
  BOOST_TEST(member->public_key == key_of("n1"));
  BOOST_TEST(member->token == 1u);
  BOOST_TEST(member->address == "10.0.0.1:7000");
  BOOST_TEST((member->added_at == now));
  BOOST_TEST(token(1).used_up());
}

BOOST_AUTO_TEST_CASE(the_same_join_again_changes_nothing) {
  create_token();
  join({});
  pass(2 * day_ns);  // by then the token has expired, too
  revoke_token(1);
  BOOST_TEST(verdict(join({})) == "accepted");
  BOOST_TEST(kinds == "");
  BOOST_TEST(token(1).used == 1u);
}

BOOST_AUTO_TEST_CASE(a_token_that_lets_nobody_in_says_why) {
  const auto refused = [&](const JoinOptions& options, std::string_view rule,
                           std::string_view part) {
    const auto decision = join(options);
    BOOST_REQUIRE(!decision);
    BOOST_TEST(decision.error().rule == rule);
    BOOST_TEST(contains(decision.error().text, part), decision.error().text);
  };
  refused({.token = 9}, "token_unknown", "token 9 is not known");
  create_token();
  join({.name = "n3"});
  refused({}, "token_used_up", "token 1 was used up by n3 at 1970-");
  refused({}, "token_used_up", "reeve token create --role agent");
  create_token();
  revoke_token(2);
  refused({.token = 2}, "token_revoked", "token 2 was revoked at 1970-");
  create_token({.name = "n4"});
  refused({.token = 3}, "token_name", "token 3 is for n4 alone, not for n1");
  create_token();
  pass(3600 * second_ns - 1);
  BOOST_TEST(verdict(join({.token = 4})) == "accepted");
  create_token({.name = "n5"});
  pass(3600 * second_ns);
  refused({.token = 5, .name = "n5"}, "token_expired", "token 5 expired at");
}

BOOST_AUTO_TEST_CASE(a_token_whose_text_was_changed_lets_nobody_in) {
  create_token();
  const auto refused = join({.name = "bob", .role = "user"});
  BOOST_TEST(verdict(refused) == "wrong_state token_role 0 0");
  BOOST_TEST(contains(said(refused), "token 1 is for one more agent"));
  BOOST_TEST(contains(said(refused), "reeve token create --role agent"));
  BOOST_TEST(token(1).used == 0u);
  BOOST_TEST(verdict(join({.role = "agent"})) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_token_of_several_uses_lets_so_many_in) {
  create_token({.uses = 2});
  BOOST_TEST(verdict(join({.name = "a"})) == "accepted");
  BOOST_TEST(verdict(join({.name = "b"})) == "accepted");
  BOOST_TEST(verdict(join({.name = "c"})) == "wrong_state token_used_up 0 0");
}

BOOST_AUTO_TEST_CASE(only_a_token_joins) {
  create_token();
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::CreateJoinDirect(builder, "n1", key_of("n1").c_str()));
  const auto& command =
      *flatbuffers::GetRoot<schema::Join>(builder.GetBufferPointer());
  for (const char* principal : {"root", "agent-n1", "token-x", ""}) {
    const auto decision =
        decide_join(state, command, local, origin(principal), writer);
    BOOST_TEST(verdict(decision) == "forbidden not_a_token 0 0");
  }
  settle();
  BOOST_TEST(state.identities().all().empty());
}

BOOST_AUTO_TEST_CASE(what_a_member_says_of_itself_is_checked) {
  create_token({.uses = 100});
  BOOST_TEST(verdict(join({.name = "a b"})) == "malformed identity_name 56 3");
  BOOST_TEST(verdict(join({.name = ""})) == "malformed identity_name 56 0");
  BOOST_TEST(verdict(join({.key = "UNONE"})) == "malformed identity_key 0 0");
  BOOST_TEST(verdict(join({.address = "a b"})) ==
             "malformed identity_address 0 0");
  const std::string longest(identity_address_bytes_max, 'a');
  BOOST_TEST(verdict(join({.address = longest + "a"})) ==
             "over_limit identity_address_bytes_max 256 257");
  BOOST_TEST(verdict(join({.address = longest})) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_name_that_is_taken_is_refused) {
  create_token({.uses = 100});
  add({.name = "n0"});
  BOOST_TEST(verdict(join({.name = "n0"})) == "wrong_state node_taken 0 0");
  BOOST_TEST(verdict(join({.name = "sim"})) ==
             "wrong_state identity_taken 0 0");
  BOOST_TEST(verdict(join({.name = "n1"})) == "accepted");
  const auto again = join({.name = "n1", .key = key_of("other")});
  BOOST_TEST(verdict(again) == "wrong_state identity_taken 0 0");
  BOOST_TEST(contains(said(again), "reeve members remove agent-n1"));
  // A node that another agent runs, though it is lost.
  add({.name = "n5", .agent = "a5"});
  lose("n5");
  BOOST_TEST(verdict(join({.name = "n5"})) == "wrong_state node_taken 0 0");
}

BOOST_AUTO_TEST_CASE(a_user_joins_who_has_an_account) {
  create_token({.role = IdentityRole::user, .uses = 100});
  BOOST_TEST(verdict(join({.name = "ann"})) == "not_found user_unknown 0 0");
  add_user("ann");
  BOOST_TEST(verdict(join({.name = "ann"})) == "accepted");
  BOOST_TEST(is_member("ann"));
  BOOST_TEST(verdict(join({.name = "agent-n0"})) ==
             "malformed user_reserved 0 0");
  BOOST_TEST(verdict(join({.name = "root"})) ==
             "wrong_state identity_taken 0 0");
}

BOOST_AUTO_TEST_CASE(no_more_than_identities_max_join) {
  checks = keeps_log = false;
  create_token({.uses = token_uses_max});
  writer.begin(origin());
  for (std::size_t i = 0; i < identities_max; ++i) {
    const std::string name = "h" + std::to_string(i);
    writer.add(schema::CreateIdentityAddedDirect(
                   writer.builder(), ("agent-" + name).c_str(),
                   IdentityRole::agent, key_of(name).c_str(), 1, name.c_str()),
               Sequence{});
  }
  settle();
  create_token();
  BOOST_TEST(verdict(join({.token = 2, .name = "one-more"})) ==
             "over_limit identities_max 10000 10000");
  remove_identity("agent-h7");
  BOOST_TEST(verdict(join({.token = 2, .name = "one-more"})) == "accepted");
  BOOST_TEST(state.check_invariants().has_value());
}

// ---- nodes of members

BOOST_AUTO_TEST_CASE(a_removed_node_takes_its_agents_key_with_it) {
  joined();
  BOOST_TEST(verdict(remove("n1")) == "accepted");
  BOOST_TEST(kinds == "NodeRemoved IdentityRemoved");
  BOOST_TEST(!is_member("agent-n1"));
  // It comes back when an admin says so, with a new token.
  create_token();
  BOOST_TEST(verdict(join({.token = 2})) == "not_found node_removed 0 0");
  resume("n1");
  BOOST_TEST(verdict(join({.token = 2})) == "accepted");
}

BOOST_AUTO_TEST_CASE(an_agent_with_another_node_stays_a_member) {
  joined();
  // Of before members had one node alone, or declared by the owner.
  BOOST_REQUIRE(register_node({.name = "extra", .agent = "n1"}, true, "root"));
  remove("extra");
  BOOST_TEST(kinds == "NodeRemoved");
  BOOST_TEST(is_member("agent-n1"));
  remove("n1");
  BOOST_TEST(kinds == "NodeRemoved IdentityRemoved");
}

BOOST_AUTO_TEST_CASE(a_lost_node_of_a_member_is_not_taken_over) {
  joined();
  lose("n1");
  const NodeOptions node{.name = "n1", .devices = 1, .agent = "thief"};
  const auto refused = register_node(node, true);
  BOOST_TEST(verdict(refused) == "wrong_state node_taken 0 0");
  BOOST_TEST(contains(said(refused), "reeve node remove n1"));
  remove_identity("agent-n1");
  BOOST_TEST(verdict(register_node(node, true)) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_removed_member_may_join_again_when_its_node_is_lost) {
  joined();
  BOOST_TEST(verdict(remove_identity("agent-n1", "stolen")) == "accepted");
  BOOST_TEST(kinds == "IdentityRemoved");
  BOOST_TEST(state.node("n1"));
  create_token({.uses = 2});
  const auto early = join({.token = 2, .key = key_of("new")});
  BOOST_TEST(verdict(early) == "wrong_state node_taken 0 0");
  lose("n1");
  BOOST_TEST(verdict(join({.token = 2, .key = key_of("new")})) == "accepted");
  BOOST_TEST(verdict(remove_identity("agent-n9")) ==
             "not_found identity_unknown 0 0");
  const std::string reason(identity_reason_bytes_max + 1, 'r');
  BOOST_TEST(verdict(remove_identity("agent-n1", reason)) ==
             "over_limit identity_reason_bytes_max 1024 1025");
  BOOST_TEST(verdict(remove_identity("agent-n1", reason.substr(1))) ==
             "accepted");
}

BOOST_AUTO_TEST_CASE(a_removed_user_connects_no_more) {
  add_user("ann");
  create_token({.role = IdentityRole::user});
  join({.name = "ann"});
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::CreateRemoveAccountDirect(
      builder, schema::AccountKind::user, "ann"));
  decide_remove_account(
      state,
      *flatbuffers::GetRoot<schema::RemoveAccount>(builder.GetBufferPointer()),
      origin("root"), writer)
      .value();
  settle();
  BOOST_TEST(kinds == "AccountRemoved IdentityRemoved");
  BOOST_TEST(!is_member("ann"));
}

// ---- leaving

BOOST_AUTO_TEST_CASE(an_agent_that_holds_nothing_leaves_with_its_nodes) {
  joined();
  BOOST_TEST(verdict(leave("agent-n1")) == "accepted");
  BOOST_TEST(kinds == "NodeRemoved NodeResumed IdentityRemoved");
  BOOST_TEST(!is_member("agent-n1"));
  BOOST_TEST(!state.node("n1"));
  // And comes again, with a new token and without an admin's word.
  create_token();
  BOOST_TEST(verdict(join({.token = 2, .key = key_of("new")})) == "accepted");
  add({.name = "n1"});
  BOOST_TEST(state.node("n1")->id.value == 1u);
}

BOOST_AUTO_TEST_CASE(an_agent_that_holds_sessions_leaves_by_force_only) {
  joined();
  const SessionId id = submit(one_task());
  place(id, {"n1"});
  start(id);
  const auto refused = leave("agent-n1");
  BOOST_TEST(verdict(refused) == "wrong_state agent_in_use 0 1");
  BOOST_TEST(contains(said(refused), "nodes of agent n1 hold 1 session"));
  BOOST_TEST(is_member("agent-n1"));
  BOOST_TEST(verdict(leave("agent-n1", true)) == "accepted");
  BOOST_TEST(kinds == "NodeLost IdentityRemoved");
  BOOST_TEST(state.node("n1")->lost);
  BOOST_TEST(task_lost(id));
}

BOOST_AUTO_TEST_CASE(who_never_joined_cannot_leave) {
  BOOST_TEST(verdict(leave("root")) == "not_found identity_unknown 0 0");
  add_user("ann");
  create_token({.role = IdentityRole::user});
  join({.name = "ann"});
  BOOST_TEST(verdict(leave("ann")) == "accepted");
  BOOST_TEST(kinds == "IdentityRemoved");
}

// ---- what is kept

BOOST_AUTO_TEST_CASE(tokens_and_members_come_back_from_a_snapshot_and_the_log) {
  const std::string before = state.digest_hex();
  joined();
  create_token({.name = "n7", .uses = 4});
  revoke_token(2);
  BOOST_TEST(state.digest_hex() != before);
  auto copy = State::decode_snapshot(state.encode_snapshot());
  BOOST_REQUIRE(copy);
  BOOST_TEST(copy->digest_hex() == state.digest_hex());
  BOOST_TEST(replayed_digest(*this) == state.digest_hex());
  BOOST_TEST((copy->identities().for_bus() == state.identities().for_bus()));
  deliver_to = &*copy;
  create_token();
  leave("agent-n1");
  BOOST_TEST(copy->digest_hex() == state.digest_hex());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace identity_test
