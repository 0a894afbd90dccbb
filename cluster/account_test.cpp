// Users, projects, groups and quotas: what may be said of them, and what they
// hold back.
#include <boost/test/unit_test.hpp>

#include "cluster/project.hpp"
#include "cluster/testing.hpp"

namespace account_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;
using schema::AccountKind;
using schema::QuotaPeriod;

namespace {

struct AccountWords {
  AccountKind kind = AccountKind::project;
  std::string name = "ml";
  std::string parent{};
  std::uint32_t weight_milli = 1000;
  std::int32_t priority_max = any_priority;
  std::vector<std::string> members{};
  std::string policy{};
  std::uint32_t uid = 0;
  bool admin = false;
};

struct Fixture {
  Cell cell;
  flatbuffers::FlatBufferBuilder builder;

  Fixture() {
    NodeOptions node;
    node.devices = 8;
    cell.add(node);
  }

  template <class Table, class Decide>
  std::string decided(flatbuffers::Offset<Table> body, Decide decide) {
    builder.Finish(body);
    const auto decision = decide(
        cell.state, *flatbuffers::GetRoot<Table>(builder.GetBufferPointer()),
        cell.origin("root"), cell.writer);
    builder.Clear();
    cell.settle();
    return verdict(decision);
  }

  std::string set(const AccountWords& words) {
    const auto spec = schema::CreateAccountSpec(
        builder, words.kind, builder.CreateString(words.name),
        builder.CreateString(words.parent), words.weight_milli,
        words.priority_max, builder.CreateVectorOfStrings(words.members),
        builder.CreateString(words.policy), words.uid, words.admin);
    return decided(schema::CreateSetAccount(builder, spec), decide_set_account);
  }
  std::string remove(AccountKind kind, const char* name) {
    return decided(schema::CreateRemoveAccountDirect(builder, kind, name),
                   decide_remove_account);
  }
  std::string quota(AccountKind kind, const char* name, const Quota& quota) {
    const auto limits = build_quota(builder, quota);
    return decided(schema::CreateSetQuotaDirect(builder, kind, name, limits),
                   decide_set_quota);
  }
  std::string remove_quota(AccountKind kind, const char* name) {
    return decided(schema::CreateRemoveQuotaDirect(builder, kind, name),
                   decide_remove_quota);
  }
  const Account& account(AccountKind kind, const char* name) const {
    return *cell.state.accounts().find(kind, name);
  }
};

Spec of_project(const char* project, std::uint32_t gpus = 1) {
  Spec spec = one_task();
  spec.project = project;
  spec.gpus = gpus;
  return spec;
}

std::vector<DeviceGrant> whole(std::uint32_t first, std::uint32_t count) {
  std::vector<DeviceGrant> out;
  for (std::uint32_t i = 0; i < count; ++i)
    out.push_back({first + i, 1000, 80 * gib});
  return out;
}

Quota gpus_of(std::uint64_t gpus) {
  Quota quota;
  quota.gpu_milli = gpus * 1000;
  return quota;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(account, Fixture)

BOOST_AUTO_TEST_CASE(a_project_that_is_set_may_be_submitted_for) {
  BOOST_TEST(verdict(cell.try_submit(of_project("ml"))) ==
             "not_found project_unknown 0 0");
  BOOST_TEST(set({}) == "accepted");
  BOOST_TEST(verdict(cell.try_submit(of_project("ml"))) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_name_with_a_blank_is_refused) {
  BOOST_TEST(set({.name = "m l"}) == "malformed account_name 128 3");
  BOOST_TEST(set({.name = ""}) == "malformed account_name 128 0");
}

BOOST_AUTO_TEST_CASE(a_weight_over_account_weight_milli_max_is_refused) {
  BOOST_TEST(set({.weight_milli = account_weight_milli_max}) == "accepted");
  BOOST_TEST(set({.weight_milli = account_weight_milli_max + 1}) ==
             "over_limit account_weight_milli_max 1000000 1000001");
  BOOST_TEST(set({.weight_milli = 0}) ==
             "over_limit account_weight_milli_max 1000000 0");
}

BOOST_AUTO_TEST_CASE(more_than_account_members_max_are_refused) {
  AccountWords words;
  for (std::uint32_t i = 0; i <= account_members_max; ++i)
    words.members.push_back("u" + std::to_string(i));
  BOOST_TEST(set(words) == "over_limit account_members_max 1000 1001");
  words.members.pop_back();
  BOOST_TEST(set(words) == "accepted");
}

BOOST_AUTO_TEST_CASE(more_than_accounts_max_are_refused) {
  cell.checks = false;
  cell.keeps_log = false;
  std::size_t count = cell.state.accounts().all().size();
  for (; count < accounts_max; ++count)
    if (set({.name = "p" + std::to_string(count)}) != "accepted") break;
  BOOST_TEST(count == accounts_max);
  BOOST_TEST(set({.name = "more"}) == "over_limit accounts_max 100000 100000");
  BOOST_TEST(set({.name = "p99"}) == "accepted");
}

BOOST_AUTO_TEST_CASE(projects_deeper_than_project_depth_max_are_refused) {
  BOOST_TEST(set({.name = "p0"}) == "accepted");
  for (std::size_t i = 1; i < project_depth_max; ++i)
    BOOST_TEST(set({.name = "p" + std::to_string(i),
                    .parent = "p" + std::to_string(i - 1)}) == "accepted");
  BOOST_TEST(set({.name = "deep", .parent = "p7"}) ==
             "over_limit project_depth_max 8 9");
  // A whole branch counts where it would hang.
  BOOST_TEST(set({.name = "above"}) == "accepted");
  BOOST_TEST(set({.name = "p0", .parent = "above"}) ==
             "over_limit project_depth_max 8 9");
}

BOOST_AUTO_TEST_CASE(a_project_above_itself_is_refused) {
  set({.name = "a"});
  set({.name = "b", .parent = "a"});
  BOOST_TEST(set({.name = "a", .parent = "b"}) ==
             "malformed project_circle 0 0");
  BOOST_TEST(set({.name = "a", .parent = "a"}) ==
             "malformed project_circle 0 0");
}

BOOST_AUTO_TEST_CASE(a_field_of_another_kind_is_refused) {
  BOOST_TEST(set({.policy = "fifo"}) == "malformed account_field 0 0");
  BOOST_TEST(set({.kind = AccountKind::user, .parent = "default"}) ==
             "malformed account_field 0 0");
  BOOST_TEST(set({.uid = 7}) == "malformed account_field 0 0");
}

BOOST_AUTO_TEST_CASE(a_policy_that_does_not_exist_is_refused) {
  BOOST_TEST(
      set({.kind = AccountKind::group, .name = "g", .policy = "fifoo"}) ==
      "malformed policy 0 0");
  BOOST_TEST(set({.kind = AccountKind::group, .name = "g", .policy = "fifo"}) ==
             "accepted");
}

BOOST_AUTO_TEST_CASE(only_members_may_submit_for_a_project) {
  set({.members = {"ann"}});
  BOOST_TEST(verdict(cell.try_submit(of_project("ml"))) ==
             "forbidden project_members 0 0");
  Spec spec = of_project("ml");
  spec.user = "ann";
  BOOST_TEST(verdict(cell.try_submit(spec)) == "accepted");
}

BOOST_AUTO_TEST_CASE(only_its_projects_may_use_a_group) {
  set({.kind = AccountKind::group, .name = "default", .members = {"ml"}});
  set({});
  BOOST_TEST(verdict(cell.try_submit(of_project("default"))) ==
             "forbidden group_members 0 0");
  BOOST_TEST(verdict(cell.try_submit(of_project("ml"))) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_priority_over_the_cap_of_a_project_above_is_refused) {
  set({.name = "top", .priority_max = 5});
  set({.parent = "top"});
  Spec spec = of_project("ml");
  spec.priority = 6;
  BOOST_TEST(verdict(cell.try_submit(spec)) == "over_limit priority_max 5 6");
  spec.priority = 5;
  BOOST_TEST(verdict(cell.try_submit(spec)) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_removed_user_may_not_submit_until_set_again) {
  Spec spec = one_task();
  spec.user = "ann";
  const SessionId id = cell.submit(spec);
  BOOST_TEST(remove(AccountKind::user, "ann") ==
             "wrong_state account_in_use 0 1");
  cell.cancel(id);
  BOOST_TEST(remove(AccountKind::user, "ann") == "accepted");
  BOOST_TEST(verdict(cell.try_submit(spec)) == "wrong_state user_removed 0 0");
  BOOST_TEST(set({.kind = AccountKind::user, .name = "ann"}) == "accepted");
  BOOST_TEST(verdict(cell.try_submit(spec)) == "accepted");
}

BOOST_AUTO_TEST_CASE(what_others_rest_on_is_not_removed) {
  set({.name = "top"});
  set({.parent = "top"});
  BOOST_TEST(remove(AccountKind::project, "top") ==
             "wrong_state project_has_children 0 0");
  BOOST_TEST(remove(AccountKind::project, "default") ==
             "wrong_state account_default 0 0");
  BOOST_TEST(remove(AccountKind::user, "root") ==
             "wrong_state account_owner 0 0");
  set({.kind = AccountKind::group, .name = "g"});
  NodeOptions node;
  node.name = "n1";
  node.group = "g";
  cell.add(node);
  BOOST_TEST(remove(AccountKind::group, "g") == "wrong_state group_in_use 0 0");
  BOOST_TEST(remove(AccountKind::project, "none") ==
             "not_found account_unknown 0 0");
}

BOOST_AUTO_TEST_CASE(an_admin_may_administer_and_others_may_not) {
  BOOST_TEST(cell.state.may_administer("root"));
  BOOST_TEST(!cell.state.may_administer("ann"));
  set({.kind = AccountKind::user, .name = "ann", .admin = true});
  BOOST_TEST(cell.state.may_administer("ann"));
  remove(AccountKind::user, "ann");
  BOOST_TEST(!cell.state.may_administer("ann"));
}

BOOST_AUTO_TEST_CASE(no_new_user_has_a_name_that_the_bus_gives_to_others) {
  for (const char* name : {"agent-n1", "manager-m2", "token-7", "reeved"})
    BOOST_TEST(set({.kind = AccountKind::user, .name = name, .uid = 7}) ==
                   "malformed user_reserved 0 0",
               name);
  BOOST_TEST(set({.name = "agent-n1"}) == "accepted");  // a project
}

Spec of_user(const char* user, std::uint32_t uid) {
  Spec spec = one_task();
  spec.user = user;
  spec.uid = uid;
  return spec;
}

// The session is the other's, and the event says who submitted it.
BOOST_AUTO_TEST_CASE(what_an_admin_submits_for_another_is_the_others) {
  set({.kind = AccountKind::user, .name = "eve", .uid = 2000, .admin = true});
  const auto first = cell.try_submit(of_user("bob", 1000), "eve");
  BOOST_REQUIRE(first);
  BOOST_TEST(cell.kinds == "UserCreated SessionSubmitted");
  BOOST_TEST(cell.state.user(cell.session(first->session)) == "bob");
  BOOST_TEST(account(AccountKind::user, "bob").held.waiting == 1U);
  const auto& event = cell.event(cell.state.last_sequence());
  BOOST_TEST(event.principal()->str() == "eve");
  // As no other than whom the account says, whoever asks.
  for (const char* principal : {"eve", "root", "bob"})
    for (const std::uint32_t uid : {0U, 2000U})
      BOOST_TEST(verdict(cell.try_submit(of_user("bob", uid), principal)) ==
                 "forbidden uid_foreign 1000 " + std::to_string(uid));
  BOOST_TEST(verdict(cell.cancel(first->session, "mallory")) ==
             "forbidden session_foreign 0 0");
  BOOST_TEST(verdict(cell.cancel(first->session, "eve")) == "accepted");
}

BOOST_AUTO_TEST_CASE(what_an_admin_submits_for_another_has_the_others_limits) {
  set({.kind = AccountKind::user,
       .name = "bob",
       .priority_max = 3,
       .uid = 1000});
  set({.members = {"root"}});
  Spec spec = of_user("bob", 1000);
  spec.priority = 4;
  BOOST_TEST(verdict(cell.try_submit(spec)) == "over_limit priority_max 3 4");
  spec.priority = 3;
  spec.project = "ml";
  BOOST_TEST(verdict(cell.try_submit(spec)) == "forbidden project_members 0 0");
  spec.project = "default";
  spec.gpus = 3;
  BOOST_TEST(quota(AccountKind::user, "bob", gpus_of(2)) == "accepted");
  BOOST_TEST(verdict(cell.try_submit(spec)) ==
             "impossible quota_never 2000 3000");
  spec.gpus = 2;
  BOOST_TEST(verdict(cell.try_submit(spec)) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_quota_counts_what_a_project_holds_with_those_below) {
  set({.name = "top"});
  set({.parent = "top"});
  BOOST_TEST(quota(AccountKind::project, "top", gpus_of(3)) == "accepted");
  const SessionId first = cell.submit(of_project("ml", 2));
  const SessionId second = cell.submit(of_project("ml", 2));
  cell.place(first, {"n0"}, whole(0, 2));
  BOOST_TEST(account(AccountKind::project, "top").held.gpu_milli == 2000U);
  BOOST_TEST(verdict(cell.try_place(second, {"n0"}, whole(2, 2))) ==
             "over_limit quota 3000 2000");
  cell.start(first);
  cell.exit(first);
  BOOST_TEST(verdict(cell.try_place(second, {"n0"}, whole(2, 2))) ==
             "accepted");
}

BOOST_AUTO_TEST_CASE(what_a_project_holds_moves_with_it) {
  set({.name = "a"});
  set({.name = "b"});
  set({.parent = "a"});
  const SessionId id = cell.submit(of_project("ml", 2));
  cell.place(id, {"n0"}, whole(0, 2));
  BOOST_TEST(account(AccountKind::project, "a").held.gpu_milli == 2000U);
  set({.parent = "b"});
  BOOST_TEST(account(AccountKind::project, "a").held.gpu_milli == 0U);
  BOOST_TEST(account(AccountKind::project, "b").held.gpu_milli == 2000U);
}

BOOST_AUTO_TEST_CASE(a_session_that_no_quota_could_hold_is_refused) {
  set({});
  quota(AccountKind::project, "ml", gpus_of(2));
  BOOST_TEST(verdict(cell.try_submit(of_project("ml", 3))) ==
             "impossible quota_never 2000 3000");
  Quota none;
  none.sessions = 0;
  quota(AccountKind::user, "root", none);
  BOOST_TEST(verdict(cell.try_submit(of_project("ml", 1))) ==
             "impossible quota_never 0 1");
}

BOOST_AUTO_TEST_CASE(no_more_may_wait_than_a_quota_says) {
  Quota two;
  two.waiting = 2;
  quota(AccountKind::user, "root", two);
  cell.submit(one_task());
  cell.submit(one_task());
  BOOST_TEST(verdict(cell.try_submit(one_task())) ==
             "over_limit quota_waiting 2 2");
}

BOOST_AUTO_TEST_CASE(gpu_time_counts_by_the_thousandth_and_begins_anew) {
  cell.now = Time{1'795'176'000 * second_ns};  // a Friday, noon
  Quota hours;
  hours.gpu_milli_hours = 4'000;
  hours.period = QuotaPeriod::day;
  quota(AccountKind::user, "root", hours);
  const SessionId id = cell.submit(of_project("default", 2));
  cell.place(id, {"n0"}, whole(0, 2));
  cell.start(id);
  cell.pass(2 * hour_ns);
  const auto& root = account(AccountKind::user, "root");
  BOOST_TEST(cell.state.accounts().used_milli_ms(root, cell.now) ==
             std::uint64_t{2000} * 2 * 3'600'000);
  const SessionId next = cell.submit(of_project("default", 1));
  BOOST_TEST(verdict(cell.try_place(next, {"n0"}, whole(2, 1))) ==
             "over_limit quota 4000 4000");
  // A session without GPUs is none of that.
  const SessionId plain = cell.submit(one_task());
  BOOST_TEST(verdict(cell.try_place(plain, {"n0"})) == "accepted");
  cell.pass(10 * hour_ns);
  BOOST_TEST(verdict(cell.try_place(next, {"n0"}, whole(2, 1))) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_quota_without_a_limit_is_refused) {
  BOOST_TEST(quota(AccountKind::user, "root", {}) ==
             "malformed quota_empty 0 0");
  BOOST_TEST(quota(AccountKind::user, "nobody", gpus_of(1)) ==
             "not_found account_unknown 0 0");
  BOOST_TEST(remove_quota(AccountKind::user, "root") ==
             "not_found quota_unknown 0 0");
}

BOOST_AUTO_TEST_CASE(a_quota_goes_with_its_last_limit) {
  quota(AccountKind::user, "root", gpus_of(1));
  BOOST_TEST(quota(AccountKind::user, "root", {}) == "accepted");
  BOOST_CHECK(!account(AccountKind::user, "root").quota);
}

BOOST_AUTO_TEST_CASE(a_raised_quota_of_gpu_time_goes_on_counting) {
  Quota hours;
  hours.gpu_milli_hours = 1'000;
  quota(AccountKind::user, "root", hours);
  const SessionId id = cell.submit(of_project("default", 1));
  cell.place(id, {"n0"}, whole(0, 1));
  cell.pass(hour_ns);
  hours.gpu_milli_hours = 3'000;
  quota(AccountKind::user, "root", hours);
  const auto& root = account(AccountKind::user, "root");
  BOOST_TEST(cell.state.accounts().used_milli_ms(root, cell.now) ==
             std::uint64_t{1000} * 3'600'000);
}

BOOST_AUTO_TEST_CASE(a_snapshot_keeps_accounts_quotas_and_what_was_used) {
  set({.name = "b"});
  set({.name = "a", .parent = "b", .members = {"root"}});
  set({.name = "b", .parent = "default"});
  Quota hours = gpus_of(4);
  hours.gpu_milli_hours = 9'000;
  hours.period = QuotaPeriod::week;
  quota(AccountKind::project, "b", hours);
  const SessionId id = cell.submit(of_project("a", 2));
  cell.place(id, {"n0"}, whole(0, 2));
  cell.pass(hour_ns);
  cell.submit(of_project("a", 1));
  const auto decoded = State::decode_snapshot(cell.state.encode_snapshot());
  BOOST_REQUIRE(decoded.has_value());
  BOOST_TEST(decoded->digest_hex() == cell.state.digest_hex());
  BOOST_REQUIRE(decoded->check_invariants().has_value());
  const auto* b = decoded->accounts().find(AccountKind::project, "b");
  BOOST_TEST(decoded->accounts().used_milli_ms(*b, cell.now) ==
             cell.state.accounts().used_milli_ms(*b, cell.now));
  BOOST_TEST(replayed_digest(cell) == cell.state.digest_hex());
}

// What the two have in common is all but the group.
BOOST_AUTO_TEST_CASE(sessions_of_one_directory_count_in_their_own_groups) {
  set({.kind = AccountKind::group, .name = "g"});
  cell.add({.name = "n1", .group = "g"});
  Spec spec = one_task();
  const SessionId first = cell.submit(spec);
  spec.group = "g";
  const SessionId second = cell.submit(spec);
  const auto group_of = [](const State& state, SessionId id) {
    return state.accounts().at(state.session(id)->owners.group).name;
  };
  BOOST_TEST(group_of(cell.state, first) == "default");
  BOOST_TEST(group_of(cell.state, second) == "g");
  BOOST_TEST(account(AccountKind::group, "g").held.waiting == 1U);
  cell.place(second, {"n1"});
  BOOST_TEST(account(AccountKind::group, "g").held.sessions == 1U);
  BOOST_TEST(remove(AccountKind::group, "g") ==
             "wrong_state account_in_use 0 1");
  // A snapshot that knows the second alone says the same.
  cell.checks = cell.keeps_log = false;
  cell.cancel(first);
  for (std::size_t i = 0; i < ended_sessions_max; ++i)
    cell.cancel(cell.submit(of_project("default", 0)));
  BOOST_REQUIRE(!cell.state.session(first));
  const auto copy = State::decode_snapshot(cell.state.encode_snapshot());
  BOOST_REQUIRE(copy.has_value());
  BOOST_TEST(group_of(*copy, second) == "g");
  for (const char* name : {"default", "g"}) {
    const auto* kept = copy->accounts().find(AccountKind::group, name);
    const auto& live = account(AccountKind::group, name);
    BOOST_TEST(kept->held.sessions == live.held.sessions);
    BOOST_TEST(kept->held.waiting == live.held.waiting);
    BOOST_TEST(kept->held.cpu_milli == live.held.cpu_milli);
  }
}

// A snapshot forgets below which project one was that is gone.
BOOST_AUTO_TEST_CASE(one_that_comes_back_counts_no_time_of_those_above_it) {
  Quota hours;
  hours.gpu_milli_hours = 9'000;
  hours.period = QuotaPeriod::week;
  set({.name = "b"});
  quota(AccountKind::project, "b", hours);
  set({.name = "a", .parent = "b"});
  BOOST_TEST(remove(AccountKind::project, "a") == "accepted");
  auto copy = State::decode_snapshot(cell.state.encode_snapshot());
  BOOST_REQUIRE(copy.has_value());
  cell.pass(hour_ns);
  set({.name = "a", .parent = "b"});
  replay(*copy, cell, Sequence{copy->last_sequence().value + 1});
  BOOST_TEST(copy->digest_hex() == cell.state.digest_hex());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace account_test
