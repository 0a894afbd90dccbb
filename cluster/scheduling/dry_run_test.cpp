// What would become of a session, held against what becomes of it.
#include <boost/test/unit_test.hpp>
#include <random>

#include "cluster/scheduling/queue.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace dry_run_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;

namespace {

TestCell cell_with(const char* policy, std::uint32_t nodes) {
  TestCell cell;
  for (std::uint32_t i = 0; i < nodes; ++i)
    cell.add({.number = i, .cpu_milli = 4000, .models = devices(2)});
  cell.scheduler.set_policy("default", *parse_policy(policy));
  return cell;
}

DryRun dry_run(TestCell& cell, const TestSession& session,
               std::uint32_t count = 1) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(session_spec(builder, session));
  return cell.scheduler.dry_run(
      *flatbuffers::GetRoot<schema::SessionSpec>(builder.GetBufferPointer()),
      cell.now, count);
}

Ids ids_of(const std::vector<SessionId>& sessions) {
  Ids ids;
  for (const auto id : sessions) ids.push_back(id.value);
  return ids;
}

Ids preempted_for(TestCell& cell, std::uint64_t session) {
  Ids ids;
  for (const auto& one : cell.scheduler.preempt(cell.now))
    if (one.for_session.value == session) ids.push_back(one.session.value);
  return ids;
}

// Submits it, and goes on until others are told to make room for it; 0: never
// within an hour.
Time told(TestCell& cell, const TestSession& session, Ids& whom) {
  const auto id = cell.submit(session);
  const Time end(cell.now.value + 60 * minute_ns);
  while (cell.now < end) {
    cell.pass();
    whom = preempted_for(cell, id);
    if (!whom.empty()) return cell.now;
    const auto next = cell.scheduler.next_wakeup();
    cell.now = next > cell.now ? next : Time(cell.now.value + minute_ns);
  }
  return Time{};
}

void check_told(TestCell& cell, const TestSession& session, const Ids& whom,
                std::uint64_t after_ns) {
  const auto run = dry_run(cell, session);
  BOOST_TEST(run.starting == 0U);
  BOOST_TEST(ids_of(run.makes_room) == whom, boost::test_tools::per_element());
  if (!whom.empty())
    BOOST_TEST(run.makes_room_at.value == cell.now.value + after_ns);
  Ids really;
  const auto at = told(cell, session, really);
  BOOST_TEST(really == whom, boost::test_tools::per_element());
  if (!whom.empty()) BOOST_TEST(at.value == run.makes_room_at.value);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dry_runs)

BOOST_AUTO_TEST_CASE(who_makes_room_at_once_is_named) {
  auto cell = cell_with("greedy,preemption=priority", 2);
  cell.submit({.cpu_milli = 4000, .priority = 1, .on_node = "n0"});
  cell.submit({.cpu_milli = 2000, .on_node = "n1"});
  cell.submit({.cpu_milli = 2000, .on_node = "n1"});
  cell.pass();
  cell.now.value += 20 * minute_ns;
  cell.pass();
  check_told(cell, {.cpu_milli = 4000, .priority = 5}, {3, 2}, 0);
}

// Looked at each minute from its submission on; its victim has to have run for
// five.
BOOST_AUTO_TEST_CASE(who_makes_room_later_is_named_with_the_moment) {
  auto cell = cell_with("greedy,preemption=priority,preempt_after=5m", 1);
  cell.submit({.cpu_milli = 2000});
  cell.pass();
  cell.now.value += 4 * minute_ns;
  cell.submit({.cpu_milli = 2000});
  cell.pass();
  cell.now.value += 30 * second_ns;
  cell.pass();
  check_told(cell, {.cpu_milli = 4000, .priority = 5}, {2, 1}, 5 * minute_ns);
}

BOOST_AUTO_TEST_CASE(nobody_is_named_where_nobody_would_go) {
  const struct {
    const char* policy;
    TestSession session;
  } cases[] = {
      {"greedy", {.cpu_milli = 4000, .priority = 5}},
      {"greedy,preemption=priority", {.cpu_milli = 4000}},
      {"greedy,preemption=priority",
       {.gpus = 2, .priority = 5, .on_node = "x"}},
      {"greedy,preemption=fair", {.cpu_milli = 4000, .user = "ann"}},
  };
  for (const auto& c : cases) BOOST_TEST_CONTEXT(c.policy) {
      auto cell = cell_with(c.policy, 1);
      cell.submit({.cpu_milli = 4000, .user = "ann"});
      cell.pass();
      cell.now.value += 20 * minute_ns;
      cell.pass();
      check_told(cell, c.session, {}, 0);
    }
}

// Others go for the head alone.
BOOST_AUTO_TEST_CASE(nobody_is_named_for_one_behind_the_head) {
  for (const char* policy :
       {"greedy,preemption=priority", "none,preemption=priority"}) {
    auto cell = cell_with(policy, 1);
    cell.submit({.cpu_milli = 4000});
    cell.pass();
    cell.now.value += minute_ns;
    cell.submit({.cpu_milli = 4000, .priority = 7});
    cell.pass();
    cell.scheduler.preempt(cell.now);
    cell.now.value += 20 * minute_ns;
    cell.pass();
    const auto run = dry_run(cell, {.cpu_milli = 4000, .priority = 5});
    BOOST_TEST(run.makes_room.empty());
  }
}

// The head fits nowhere; where others may pass, they go for the next.
BOOST_AUTO_TEST_CASE(one_behind_a_stuck_head_is_served) {
  for (const bool may_pass : {true, false}) {
    auto cell = cell_with(
        may_pass ? "greedy,preemption=priority" : "none,preemption=priority",
        1);
    cell.submit({.cpu_milli = 4000});
    cell.pass();
    cell.submit({.priority = 10, .together = "db@nowhere"});
    cell.now.value += 20 * minute_ns;
    cell.pass();
    cell.scheduler.preempt(cell.now);
    check_told(cell, {.cpu_milli = 4000, .priority = 9},
               may_pass ? Ids{1} : Ids{}, minute_ns);
  }
}

BOOST_AUTO_TEST_CASE(an_end_that_comes_sooner_is_told_in_place_of_it) {
  auto cell = cell_with("greedy,preemption=priority", 1);
  cell.submit({.cpu_milli = 4000, .time_limit_ns = 4 * minute_ns});
  cell.pass();
  const auto run = dry_run(cell, {.cpu_milli = 4000, .priority = 5});
  BOOST_TEST(run.makes_room.empty());
  BOOST_TEST(run.why.expected_start.value == cell.now.value + 4 * minute_ns);
}

BOOST_AUTO_TEST_CASE(of_equals_the_poorer_users_session_is_made_room_for) {
  auto cell = cell_with("drf,preemption=fair", 1);
  for (int i = 0; i < 4; ++i) cell.submit({.user = "ann"});
  cell.pass();
  cell.now.value += 20 * minute_ns;
  cell.pass();
  BOOST_TEST(dry_run(cell, {.user = "ann"}).makes_room.empty());
  BOOST_TEST(dry_run(cell, {.user = "bob"}).makes_room.size() == 1U);
  // Two and two would be equal, not more.
  BOOST_TEST(
      dry_run(cell, {.cpu_milli = 2000, .user = "bob"}).makes_room.empty());
}

// ---- arrays

BOOST_AUTO_TEST_CASE(of_an_array_all_count) {
  auto cell = cell_with("greedy", 2);
  auto run = dry_run(cell, {}, 10);
  BOOST_TEST(run.starting == 8U);
  BOOST_TEST(run.tasks.size() == 8U);
  BOOST_TEST((run.why.reason == WaitReason::no_room));
  BOOST_TEST(run.why.queue_length == 2U);
  run = dry_run(cell, {.array_session = 99, .array_running_max = 3}, 10);
  BOOST_TEST(run.starting == 3U);
  BOOST_TEST((run.why.reason == WaitReason::array_full));
  run = dry_run(cell, {.apart = "w"}, 10);
  BOOST_TEST(run.starting == 2U);
  run = dry_run(cell, {}, 8);
  BOOST_TEST(run.starting == 8U);
  BOOST_TEST((run.why.reason == WaitReason::queued));
}

BOOST_AUTO_TEST_CASE(of_an_array_all_count_against_quotas) {
  auto cell = cell_with("greedy", 2);
  cell.event(schema::EventBody::QuotaSet, [&](TestCell::Builder& builder) {
    Quota quota;
    quota.sessions = 5;
    const auto limits = build_quota(builder, quota);
    return schema::CreateQuotaSetDirect(builder, schema::AccountKind::user,
                                        "ann", limits)
        .Union();
  });
  cell.submit({.user = "ann"});
  cell.pass();
  const auto run = dry_run(cell, {.user = "ann"}, 100);
  BOOST_TEST(run.starting == 4U);
  BOOST_REQUIRE((run.why.reason == WaitReason::quota));
  BOOST_TEST(run.why.quota->held == 5U);
  for (int i = 0; i < 100; ++i) cell.submit({.user = "ann"});
  BOOST_TEST(cell.started().size() == 4U);
}

// ---- against what really happens

namespace {

struct Chance {
  std::mt19937_64 engine;
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(engine() % bound);
  }
};

TestSession random_session(Chance& chance) {
  TestSession session;
  session.cpu_milli = 1000 * (1 + chance.below(4));
  session.gpus = chance.below(3);
  session.tasks = 1 + chance.below(2);
  session.priority = static_cast<std::int32_t>(chance.below(4));
  session.user = chance.below(2) ? "ann" : "bob";
  if (chance.below(3) == 0) session.apart = "w";
  if (chance.below(2))
    session.time_limit_ns = (1 + chance.below(20)) * minute_ns;
  session.name = std::to_string(session.cpu_milli);
  return session;
}

// One round: time passes, one may end, and one comes. Tells what it became.
std::string round(TestCell& cell, Chance& chance, std::uint64_t& last,
                  bool asks) {
  cell.now.value += chance.below(8) * minute_ns + 1;
  if (last > 0 && chance.below(3) == 0) cell.end(1 + chance.below(last));
  cell.pass();
  for (const auto& one : cell.scheduler.preempt(cell.now))
    cell.end(one.session.value);
  cell.pass();
  const auto session = random_session(chance);
  DryRun run;
  if (asks) run = dry_run(cell, session);
  last = cell.submit(session);
  std::string text;
  bool started = false;
  for (const auto& proposal : cell.pass()) {
    text += std::to_string(proposal.session.value) + " on";
    for (const auto& task : proposal.tasks)
      text += " " + std::to_string(task.node.value);
    text += "; ";
    if (proposal.session.value != last) continue;
    started = true;
    if (asks) BOOST_TEST((proposal.tasks == run.tasks));
  }
  const auto whom = preempted_for(cell, last);
  for (const auto id : whom) text += std::to_string(id) + " goes; ";
  if (!asks) return text;
  BOOST_TEST(run.starting == (started ? 1U : 0U));
  const bool at_once = !run.makes_room.empty() && run.makes_room_at == cell.now;
  BOOST_TEST(whom == (at_once ? ids_of(run.makes_room) : Ids{}),
             boost::test_tools::per_element());
  return text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_is_as_it_was_said_and_asking_changes_nothing) {
  std::size_t rooms = 0;
  for (const char* policy :
       {"greedy,preemption=priority,preempt_after=5m",
        "none,preemption=priority,preempt_after=5m",
        "drf,preemption=fair,preempt_after=5m", "drf,none,preemption=fair",
        "easy,preemption=priority,preempt_after=5m",
        "conservative,preemption=priority,preempt_after=5m",
        "easy,estimates=history", "sjf,none,estimates=history"})
    for (std::uint64_t seed = 0; seed < 20; ++seed)
      BOOST_TEST_CONTEXT(policy << " seed " << seed) {
        Chance with{std::mt19937_64(seed)};
        Chance without{std::mt19937_64(seed)};
        auto asked = cell_with(policy, 3);
        auto silent = cell_with(policy, 3);
        std::uint64_t last[2] = {};
        for (int i = 0; i < 60; ++i) {
          const auto text = round(asked, with, last[0], true);
          BOOST_TEST(text == round(silent, without, last[1], false));
          rooms += text.find("goes") != std::string::npos ? 1 : 0;
        }
      }
  BOOST_TEST(rooms > 100U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace dry_run_test
