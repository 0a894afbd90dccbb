// What reservations and maintenance keep, from whom and until when; and that
// who waits for one is in nobody's way before.
#include <boost/test/unit_test.hpp>
#include <set>

#include "cluster/scheduling/queue.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace windows_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;

namespace {

// Nodes of 4 CPUs.
TestCell cell_with(const char* policy, std::uint32_t nodes) {
  TestCell cell;
  for (std::uint32_t i = 0; i < nodes; ++i)
    cell.add({.number = i, .cpu_milli = 4000});
  cell.scheduler.set_policy("default", *parse_policy(policy));
  return cell;
}

// One node of 4 GPUs.
TestCell gpus_with(const char* policy) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  cell.scheduler.set_policy("default", *parse_policy(policy));
  return cell;
}

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

void check_preempted(TestCell& cell, const Ids& expected) {
  Ids ids;
  for (const auto& one : cell.scheduler.preempt(cell.now))
    ids.push_back(one.session.value);
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

// Held until then, and expected then.
void check_held(TestCell& cell, std::uint64_t session, std::uint64_t until) {
  const auto why = cell.scheduler.why(SessionId{session});
  BOOST_TEST((why.reason == WaitReason::not_before));
  BOOST_TEST(why.held_until.value == until);
  BOOST_TEST(why.expected_start.value == until);
}

struct Kept {
  const char* name = "kept";
  std::vector<std::string> nodes{"n0"};
  std::vector<std::uint32_t> devices{};
  std::uint64_t from_at = 0;
  std::uint64_t to_at = 0;
  std::uint64_t every_ns = 0;
};

void reserve(TestCell& cell, const Kept& kept) {
  cell.event(schema::EventBody::ReservationSet, [&](auto& builder) {
    const auto name = builder.CreateString(kept.name);
    const auto nodes = builder.CreateVectorOfStrings(kept.nodes);
    const auto devices = builder.CreateVector(kept.devices);
    schema::ReservationSpecBuilder spec(builder);
    spec.add_name(name);
    spec.add_nodes(nodes);
    spec.add_devices(devices);
    spec.add_from_at(kept.from_at);
    spec.add_to_at(kept.to_at);
    spec.add_every_ns(kept.every_ns);
    return schema::CreateReservationSet(builder, spec.Finish()).Union();
  });
}

void unreserve(TestCell& cell) {
  cell.event(schema::EventBody::ReservationRemoved, [](auto& builder) {
    return schema::CreateReservationRemovedDirect(builder, "kept").Union();
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(windows)

// The head was to start on n0 in half an hour, when the reservation begins that
// is set now. On n1 it can in twenty minutes, for half of that is free since.
BOOST_AUTO_TEST_CASE(a_head_whose_place_is_reserved_is_kept_another) {
  TestCell cell;
  cell.scheduler.set_policy("default", *parse_policy("easy"));
  // So many that a plan in which one fits nowhere is kept for some changes.
  for (std::uint32_t i = 0; i < 202; ++i)
    cell.add({.number = i, .cpu_milli = i < 2 ? 8000u : 1000u});
  const auto now = cell.now.value;
  reserve(cell, {.name = "other", .nodes = {"n2"}, .to_at = now + day_ns});
  const auto submit = [&](std::uint32_t cpus, std::uint64_t minutes,
                          const char* node) {
    cell.submit({.cpu_milli = 1000 * cpus,
                 .on_node = node,
                 .time_limit_ns = minutes * minute_ns});
  };
  submit(8, 30, "n0");
  submit(4, 20, "n1");
  submit(4, 60, "n1");
  check_started(cell, {1, 2, 3});
  submit(64, 10, "");
  submit(8, 10, "");
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{5}).expected_start.value ==
             now + 30 * minute_ns);
  cell.end(3);
  check_started(cell, {});
  reserve(cell, {.from_at = now + 30 * minute_ns, .to_at = now + day_ns});
  submit(4, 90, "");
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{5}).expected_start.value ==
             now + 20 * minute_ns);
}

BOOST_AUTO_TEST_CASE(a_reservation_keeps_what_would_run_into_it_away) {
  auto cell = cell_with("greedy", 1);
  const auto now = cell.now.value;
  reserve(cell,
          {.from_at = now + 60 * minute_ns, .to_at = now + 90 * minute_ns});
  cell.submit({.time_limit_ns = 60 * minute_ns});
  cell.submit({.time_limit_ns = 61 * minute_ns});
  cell.submit({});  // nobody knows when it ends
  cell.submit({.reservation = "kept"});
  check_started(cell, {1});
  BOOST_TEST(cell.scheduler.why(SessionId{2}).nodes.reserved == 1U);
  BOOST_TEST(cell.scheduler.next_wakeup().value == now + 60 * minute_ns);
  cell.now.value += 60 * minute_ns;
  cell.end(1);
  check_started(cell, {4});
  BOOST_TEST(cell.scheduler.next_wakeup().value == now + 90 * minute_ns);
  cell.now.value += 30 * minute_ns;
  check_started(cell, {2, 3});
}

// Two nodes, one kept for half an hour. The head needs both, so it starts when
// that is over, and what ends later may not pass it.
BOOST_AUTO_TEST_CASE(a_place_is_kept_from_the_end_of_a_reservation_on) {
  for (const char* policy : {"easy", "greedy"}) {
    auto cell = cell_with(policy, 2);
    const auto now = cell.now.value;
    reserve(cell, {.from_at = now, .to_at = now + 30 * minute_ns});
    cell.submit({.cpu_milli = 4000,
                 .tasks = 2,
                 .nodes = 2,
                 .time_limit_ns = 10 * minute_ns});
    check_started(cell, {});
    BOOST_TEST(cell.scheduler.why(SessionId{1}).expected_start.value ==
               now + 30 * minute_ns);
    if (policy == std::string("greedy")) continue;
    cell.submit({.cpu_milli = 4000, .time_limit_ns = 31 * minute_ns});
    cell.submit({.cpu_milli = 4000, .time_limit_ns = 30 * minute_ns});
    check_started(cell, {3});
  }
}

BOOST_AUTO_TEST_CASE(a_long_limit_counts_whole_against_a_reservation) {
  auto cell = cell_with("greedy", 1);
  const std::uint64_t day_ns = 24 * 60 * minute_ns;
  const auto now = cell.now.value;
  reserve(cell, {.from_at = now + 40 * day_ns, .to_at = now + 41 * day_ns});
  cell.submit({.time_limit_ns = 60 * day_ns});
  cell.submit({.time_limit_ns = 40 * day_ns});
  cell.submit({});  // is stopped after 30 days
  check_started(cell, {2, 3});
}

BOOST_AUTO_TEST_CASE(reserved_devices_leave_the_others_free) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  const auto now = cell.now.value;
  reserve(cell, {.devices = {0, 1}, .from_at = now, .to_at = now + minute_ns});
  cell.submit({.gpus = 1, .time_limit_ns = minute_ns});
  const auto proposals = cell.pass();
  BOOST_REQUIRE(proposals.size() == 1);
  BOOST_TEST(proposals[0].tasks[0].devices[0].device == 2U);
  cell.submit({.gpus = 2, .time_limit_ns = minute_ns});
  check_started(cell, {});
  cell.submit({.gpus = 2, .reservation = "kept"});
  const auto inside = cell.pass();
  BOOST_REQUIRE(inside.size() == 1);
  BOOST_TEST(inside[0].tasks[0].devices[0].device == 0U);
  BOOST_TEST(inside[0].tasks[0].devices[1].device == 1U);
}

BOOST_AUTO_TEST_CASE(windows_repeat) {
  auto cell = cell_with("greedy", 1);
  const auto now = cell.now.value;
  reserve(cell, {.from_at = now,
                 .to_at = now + 10 * minute_ns,
                 .every_ns = 60 * minute_ns});
  cell.submit({.time_limit_ns = 50 * minute_ns});
  cell.submit({.time_limit_ns = 51 * minute_ns});
  check_started(cell, {});
  cell.now.value += 10 * minute_ns;
  check_started(cell, {1});
}

// That another node is reserved at times opens no kept one.
BOOST_AUTO_TEST_CASE(what_is_kept_for_the_head_stays_so_beside_reservations) {
  auto cell = cell_with("greedy", 2);
  const auto now = cell.now.value;
  reserve(cell, {.nodes = {"n1"},
                 .from_at = now + 500 * minute_ns,
                 .to_at = now + 600 * minute_ns});
  cell.submit({.cpu_milli = 2000, .on_node = "n0"});
  cell.submit({.on_node = "n0"});
  cell.submit({.cpu_milli = 4000, .on_node = "n0"});  // the head
  cell.submit({.cpu_milli = 4000, .time_limit_ns = 60 * minute_ns});
  check_started(cell, {1, 2, 4});
  cell.now.value += head_patience_ns;
  cell.submit({.cpu_milli = 1000});
  check_started(cell, {});
  cell.end(2);
  check_started(cell, {});
  cell.end(1);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(a_reservation_that_is_removed_keeps_nothing) {
  auto cell = cell_with("greedy", 1);
  reserve(cell, {.from_at = cell.now.value,
                 .to_at = cell.now.value + 600 * minute_ns});
  cell.submit({});
  check_started(cell, {});
  cell.event(schema::EventBody::ReservationRemoved, [](auto& builder) {
    return schema::CreateReservationRemovedDirect(builder, "kept").Union();
  });
  check_started(cell, {1});
}

// ---- who waits for a reservation

// Tomorrow n1 is kept for it; n0 will be free in an hour. Whatever the policy
// keeps for those that wait, it keeps nothing for one whose time has not come.
BOOST_AUTO_TEST_CASE(before_its_reservation_begins_one_is_in_nobodys_way) {
  for (const char* policy :
       {"none", "greedy", "easy", "conservative", "greedy,preemption=priority"})
    BOOST_TEST_CONTEXT(policy) {
      auto cell = cell_with(policy, 2);
      const auto begins = cell.now.value + day_ns;
      reserve(cell, {.nodes = {"n1"},
                     .from_at = begins,
                     .to_at = begins + 60 * minute_ns});
      cell.submit({.cpu_milli = 2000,
                   .on_node = "n0",
                   .time_limit_ns = 60 * minute_ns});
      check_started(cell, {1});
      cell.submit({.cpu_milli = 4000, .priority = 5, .reservation = "kept"});
      check_started(cell, {});
      check_held(cell, 2, begins);
      BOOST_TEST(cell.scheduler.sizes().held == 1U);
      BOOST_TEST(cell.scheduler.queue("default", false, 9).held.size() == 1U);
      cell.now.value += head_patience_ns;
      check_started(cell, {});
      check_preempted(cell, {});
      cell.submit({.cpu_milli = 2000, .on_node = "n0"});
      check_started(cell, {3});
      BOOST_TEST(cell.scheduler.next_wakeup().value == begins);
      cell.now = Time{begins};
      check_started(cell, {2});
    }
}

// Its node is taken by one that may stay; the other node is none for it.
BOOST_AUTO_TEST_CASE(while_its_reservation_holds_no_other_node_is_for_it) {
  for (const char* policy :
       {"greedy", "easy", "conservative", "greedy,preemption=priority"})
    BOOST_TEST_CONTEXT(policy) {
      auto cell = cell_with(policy, 2);
      const auto now = cell.now.value;
      cell.submit({.cpu_milli = 4000,
                   .priority = 9,
                   .on_node = "n1",
                   .time_limit_ns = 60 * minute_ns});
      cell.submit({.cpu_milli = 2000,
                   .on_node = "n0",
                   .time_limit_ns = 30 * minute_ns});
      check_started(cell, {1, 2});
      reserve(cell, {.nodes = {"n1"}, .from_at = now, .to_at = now + day_ns});
      cell.submit({.cpu_milli = 4000, .priority = 5, .reservation = "kept"});
      check_started(cell, {});
      cell.now.value += head_patience_ns;
      check_started(cell, {});
      check_preempted(cell, {});
      BOOST_TEST(cell.scheduler.why(SessionId{3}).expected_start.value ==
                 now + 60 * minute_ns);
      cell.submit({.cpu_milli = 2000, .on_node = "n0"});
      check_started(cell, {4});
      cell.end(1);
      check_started(cell, {3});
    }
}

BOOST_AUTO_TEST_CASE(when_its_reservation_pauses_one_is_held_again) {
  auto cell = cell_with("none", 2);
  const auto now = cell.now.value;
  cell.submit({.cpu_milli = 4000, .on_node = "n1"});
  check_started(cell, {1});
  reserve(cell, {.nodes = {"n1"},
                 .from_at = now,
                 .to_at = now + 60 * minute_ns,
                 .every_ns = day_ns});
  cell.submit({.cpu_milli = 4000, .reservation = "kept"});
  cell.submit({});
  check_started(cell, {});
  cell.now.value += 60 * minute_ns;
  check_started(cell, {3});
  cell.end(1);
  check_started(cell, {});
  check_held(cell, 2, now + day_ns);
  cell.now.value = now + day_ns;
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(one_that_is_refused_as_its_reservation_ends_is_held) {
  auto cell = cell_with("none", 2);
  const auto now = cell.now.value;
  reserve(cell, {.from_at = now, .to_at = now + minute_ns, .every_ns = day_ns});
  cell.submit({.reservation = "kept"});
  BOOST_TEST(cell.propose().size() == 1U);
  cell.now.value += minute_ns;
  BOOST_TEST(cell.propose().empty());
  cell.scheduler.refused(SessionId{1}, 1);
  cell.submit({.on_node = "n1"});
  check_started(cell, {2});
  check_held(cell, 1, now + day_ns);
}

BOOST_AUTO_TEST_CASE(who_waits_follows_its_reservation_as_it_is_set_anew) {
  auto cell = cell_with("greedy", 1);
  const auto now = cell.now.value;
  const auto later = now + 60 * minute_ns;
  reserve(cell, {.from_at = later, .to_at = now + day_ns});
  cell.submit({.reservation = "kept"});
  check_started(cell, {});
  reserve(cell, {.from_at = now, .to_at = now + day_ns});
  check_started(cell, {1});
  cell.submit({.cpu_milli = 4000, .reservation = "kept"});
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.sizes().waiting == 1U);
  reserve(cell, {.from_at = later, .to_at = now + day_ns});
  BOOST_TEST(cell.scheduler.sizes().held == 1U);
  cell.end(1);
  check_held(cell, 2, later);
  unreserve(cell);
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.sizes().held == 1U);
}

BOOST_AUTO_TEST_CASE(a_time_of_its_own_and_its_reservation_both_hold_one) {
  auto cell = cell_with("greedy", 1);
  const auto now = cell.now.value;
  const auto begins = now + 60 * minute_ns;
  reserve(cell, {.from_at = begins, .to_at = now + day_ns});
  const auto at = [&](std::uint64_t minutes) {
    cell.now.value = now + minutes * minute_ns;
  };
  for (const std::uint64_t minutes : {30, 90})
    cell.submit(
        {.not_before_at = now + minutes * minute_ns, .reservation = "kept"});
  at(30);
  check_started(cell, {});
  check_held(cell, 1, begins);
  check_held(cell, 2, now + 90 * minute_ns);
  at(60);
  check_started(cell, {1});
  at(90);
  check_started(cell, {2});
}

// Those of their account and array that need no reservation go on.
BOOST_AUTO_TEST_CASE(one_that_is_held_again_leaves_its_place_in_other_lines) {
  auto cell = cell_with("greedy", 2);
  const auto now = cell.now.value;
  cell.event(schema::EventBody::QuotaSet, [](auto& builder) {
    Quota quota;
    quota.sessions = 1;
    const auto limits = build_quota(builder, quota);
    return schema::CreateQuotaSetDirect(builder, schema::AccountKind::project,
                                        "ml", limits, 0, 0)
        .Union();
  });
  reserve(cell,
          {.from_at = now, .to_at = now + 60 * minute_ns, .every_ns = day_ns});
  cell.submit({.project = "ml"});
  cell.submit({.project = "ml", .reservation = "kept"});
  cell.submit({.project = "ml"});
  const TestSession of_array{
      .reservation = "kept", .array_session = 4, .array_running_max = 1};
  for (int i = 0; i < 3; ++i) cell.submit(of_array);
  check_started(cell, {1, 4});
  BOOST_TEST(cell.scheduler.sizes().over_quota == 2U);
  BOOST_TEST(cell.scheduler.sizes().array_full == 2U);
  cell.now.value += 60 * minute_ns;
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.sizes().held == 3U);
  cell.end(1);
  cell.end(4);
  check_started(cell, {3});
  cell.end(3);
  cell.now.value = now + day_ns;
  check_started(cell, {2, 5});
  cell.end(5);
  check_started(cell, {6});
}

// Its node is away, and no other will do, however idle.
BOOST_AUTO_TEST_CASE(one_whose_reserved_node_is_away_is_in_nobodys_way) {
  auto cell = cell_with("greedy,preemption=priority", 2);
  const auto now = cell.now.value;
  reserve(cell, {.nodes = {"n1"}, .from_at = now, .to_at = now + day_ns});
  cell.lost(1);
  cell.submit({.cpu_milli = 4000});
  check_started(cell, {1});
  cell.now.value += 20 * minute_ns;
  cell.submit({.cpu_milli = 4000, .priority = 6, .reservation = "kept"});
  cell.submit({.cpu_milli = 4000, .priority = 5});
  check_started(cell, {});
  check_preempted(cell, {1});
}

BOOST_AUTO_TEST_CASE(a_dry_run_says_when_its_reservation_begins) {
  auto cell = cell_with("greedy", 1);
  const Time begins(cell.now.value + day_ns);
  reserve(cell, {.from_at = begins.value, .to_at = begins.value + minute_ns});
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(session_spec(builder, {.reservation = "kept"}));
  const auto run = cell.scheduler.dry_run(
      *flatbuffers::GetRoot<schema::SessionSpec>(builder.GetBufferPointer()),
      cell.now, 1);
  BOOST_TEST(run.starting == 0U);
  BOOST_TEST((run.why.reason == WaitReason::not_before));
  BOOST_TEST(run.why.held_until.value == begins.value);
  BOOST_TEST(run.why.expected_start.value == begins.value);
}

// ---- reserved devices

// Devices 0 and 1 came to be reserved while small ones ran there; on 2 and 3
// is one that may stay. That the small ones go would help nobody.
BOOST_AUTO_TEST_CASE(nobody_goes_from_devices_that_are_reserved_for_others) {
  for (const std::uint32_t tasks : {1U, 2U}) {
    auto cell = gpus_with("greedy,preemption=priority");
    const auto now = cell.now.value;
    for (int i = 0; i < 2; ++i) cell.submit({.gpus = 1});
    check_started(cell, {1, 2});
    cell.submit({.gpus = 2, .priority = 9});
    check_started(cell, {3});
    reserve(cell, {.devices = {0, 1}, .from_at = now, .to_at = now + day_ns});
    cell.now.value += 20 * minute_ns;
    cell.submit({.gpus = 2 / tasks, .tasks = tasks, .priority = 5});
    check_started(cell, {});
    check_preempted(cell, {});
  }
}

// Reserved ones are no room though they are idle.
BOOST_AUTO_TEST_CASE(who_holds_the_devices_that_are_not_reserved_goes) {
  for (const std::uint32_t tasks : {1U, 2U}) {
    auto cell = gpus_with("greedy,preemption=priority");
    const auto now = cell.now.value;
    reserve(cell, {.devices = {0, 1}, .from_at = now, .to_at = now + day_ns});
    cell.submit({.gpus = 2});
    check_started(cell, {1});
    cell.now.value += 20 * minute_ns;
    cell.submit({.gpus = 2 / tasks, .tasks = tasks, .priority = 5});
    check_started(cell, {});
    check_preempted(cell, {1});
    cell.end(1);
    check_started(cell, {2});
  }
}

// On n0 more is free, but not for the head.
BOOST_AUTO_TEST_CASE(nodes_are_kept_by_the_devices_that_are_not_reserved) {
  auto cell = gpus_with("greedy");
  cell.add({.number = 1, .models = devices(4)});
  const auto now = cell.now.value;
  cell.submit({.gpus = 2, .on_node = "n1"});
  check_started(cell, {1});
  reserve(cell, {.devices = {0, 1}, .from_at = now, .to_at = now + day_ns});
  cell.submit({.gpus = 3});
  check_started(cell, {});
  cell.now.value += head_patience_ns;
  cell.submit({.gpus = 1});
  const auto proposals = cell.pass();
  BOOST_REQUIRE(proposals.size() == 1U);
  BOOST_TEST(proposals[0].tasks[0].node.value == 0U);
  cell.end(1);
  check_started(cell, {2});
}

// ---- lengths

// The last ones of this user took a minute. That is no promise, so against a
// reservation the limit counts.
BOOST_AUTO_TEST_CASE(the_limit_decides_against_a_reservation_not_the_estimate) {
  for (const char* policy : {"greedy", "sjf,greedy", "easy", "conservative"})
    BOOST_TEST_CONTEXT(policy) {
      auto cell = cell_with(policy, 1);
      auto history = *parse_policy(policy);
      history.estimates = EstimateSource::history;
      cell.scheduler.set_policy("default", history);
      cell.submit({.user = "ann", .time_limit_ns = 90 * minute_ns});
      check_started(cell, {1});
      cell.now.value += minute_ns;
      cell.end(1);
      const auto now = cell.now.value;
      reserve(cell, {.from_at = now + 60 * minute_ns, .to_at = now + day_ns});
      for (const std::uint64_t minutes : {0, 61, 60, 90})
        cell.submit({.user = "ann", .time_limit_ns = minutes * minute_ns});
      check_started(cell, {4});
    }
}

BOOST_AUTO_TEST_CASE(why_counts_no_device_that_is_reserved_for_others) {
  TestCell cell;
  cell.add({.number = 0, .models = devices(4)});
  reserve(cell, {.devices = {0, 1},
                 .from_at = cell.now.value,
                 .to_at = cell.now.value + minute_ns});
  cell.submit({.gpus = 1, .tasks = 4});
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{1}).tasks_fitting == 2U);
  cell.submit({.gpus = 1});
  cell.submit({.gpus = 4});
  check_started(cell, {2});
  const auto why = cell.scheduler.why(SessionId{3});
  BOOST_REQUIRE(why.nearest);
  BOOST_TEST(why.nearest->gpus_free == 1U);
  BOOST_TEST(why.nearest->gpus_lacking == 3U);
}

// Of several requests, of gangs, and of those whose time has not come, beside
// windows and what runs.
BOOST_AUTO_TEST_CASE(a_queue_expects_of_each_what_why_says) {
  for (const char* policy : {"greedy", "easy", "conservative"}) {
    auto cell = cell_with(policy, 0);
    for (std::uint32_t i = 0; i < 4; ++i)
      cell.add({.number = i,
                .cpu_milli = 4000,
                .labels = {{"rack", "r" + std::to_string(i / 2)}}});
    const auto at = [&](std::uint64_t minutes) {
      return cell.now.value + minutes * minute_ns;
    };
    reserve(cell, {.nodes = {"n3"}, .from_at = at(20), .to_at = at(50)});
    for (std::uint32_t i = 0; i < 6; ++i)
      cell.submit({.cpu_milli = 2000,
                   .on_node = "n" + std::to_string(i / 2),
                   .time_limit_ns = (15 + 10 * i) * minute_ns});
    BOOST_TEST(cell.started().size() == 6U);
    const TestSession all{.cpu_milli = 4000};
    std::vector<TestSession> others(6, all);
    others[0].time_limit_ns = 40 * minute_ns;
    others[1].tasks = others[1].nodes = 2;
    others[2].tasks = others[2].nodes = 2;
    others[2].within = "rack";
    others[3].on_node = "n3";
    others[4].tasks = 5;  // as many as never fit
    for (const auto& session : others) cell.submit(session);
    for (auto session : others) {
      session.not_before_at = at(session.tasks == 1 ? 30 : 90);
      cell.submit(session);
    }
    cell.pass();
    const auto queue = cell.scheduler.queue("default", false, 100);
    BOOST_TEST(queue.entries.size() + queue.held.size() == 12U);
    std::set<std::uint64_t> starts;
    for (const auto* list : {&queue.entries, &queue.held})
      for (const auto& entry : *list) {
        const auto why = cell.scheduler.why(entry.session);
        BOOST_TEST(entry.expected_start.value == why.expected_start.value);
        starts.insert(entry.expected_start.value);
      }
    BOOST_TEST(starts.size() > 3U);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace windows_test
