// Whose shares of one GPU may be together: in passes, plans and answers.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/queue.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace sharing_test {

using namespace reeve;
using namespace reeve::cluster;
using schema::GpuSharing;
using Ids = std::vector<std::uint64_t>;

namespace {

TestSession share_of(const char* project, std::uint32_t milli = 300,
                     const char* user = "ann") {
  return {.gpus = 1,
          .gpu_milli = milli,
          .group = "default",
          .project = project,
          .user = user};
}

TestNode node_with(std::uint32_t number, std::uint32_t gpus) {
  return {.number = number, .models = devices(gpus), .group = "default"};
}

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

// Submitted and started: the node and the device that it gets.
std::pair<std::uint32_t, std::uint32_t> place_of(TestCell& cell,
                                                 const TestSession& session) {
  cell.submit(session);
  const auto proposals = cell.pass();
  BOOST_REQUIRE(proposals.size() == 1U);
  const auto& task = proposals[0].tasks.at(0);
  return {task.node.value, task.devices.at(0).device};
}

using Place = std::pair<std::uint32_t, std::uint32_t>;

}  // namespace

BOOST_AUTO_TEST_SUITE(sharing)

BOOST_AUTO_TEST_CASE(each_packing_keeps_projects_apart) {
  for (const auto packing :
       {Packing::best_fit, Packing::pack, Packing::fragmentation}) {
    TestCell cell;
    cell.scheduler.set_policy("default", policy_of(packing));
    cell.add(node_with(0, 3));
    const auto a = place_of(cell, share_of("a"));
    const auto b = place_of(cell, share_of("b"));
    BOOST_TEST((a != b));
    BOOST_TEST((place_of(cell, share_of("a")) == a));
    BOOST_TEST((place_of(cell, share_of("b")) == b));
    BOOST_TEST((place_of(cell, share_of("b", 700)) != b));
  }
}

BOOST_AUTO_TEST_CASE(a_gpu_is_the_next_projects_when_the_last_has_gone) {
  TestCell cell;
  cell.add(node_with(0, 1));
  cell.submit(share_of("a"));
  cell.submit(share_of("a"));
  cell.submit(share_of("b"));
  check_started(cell, {1, 2});
  cell.end(1);
  check_started(cell, {});
  cell.submit(share_of("a", 700));
  check_started(cell, {4});
  cell.end(2);
  cell.end(4);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(the_setting_says_who_shares) {
  const struct {
    GpuSharing setting;
    Ids started;  // of: a by ann, a by bob, b by ann
  } cases[] = {{GpuSharing::project, {1, 2}},
               {GpuSharing::user, {1, 3}},
               {GpuSharing::anyone, {1, 2, 3}},
               {GpuSharing::none, {}}};
  for (const auto& c : cases) {
    TestCell cell;
    cell.shared_by("default", c.setting);
    cell.add(node_with(0, 1));
    cell.submit(share_of("a", 300, "ann"));
    cell.submit(share_of("a", 300, "bob"));
    cell.submit(share_of("b", 300, "ann"));
    check_started(cell, c.started);
  }
}

// Two shares of one project, one of another.
BOOST_AUTO_TEST_CASE(another_setting_lets_in_who_waits_and_ends_nobody) {
  TestCell cell;
  cell.add(node_with(0, 1));
  cell.submit(share_of("a"));
  cell.submit(share_of("b"));
  check_started(cell, {1});
  cell.shared_by("default", GpuSharing::anyone);
  check_started(cell, {2});
  cell.shared_by("default", GpuSharing::project);
  cell.submit(share_of("a"));
  cell.submit(share_of("b"));
  check_started(cell, {});
  // Of one project alone, whoever was there before.
  cell.end(1);
  check_started(cell, {4});
  cell.shared_by("default", GpuSharing::none);
  check_started(cell, {});
  cell.end(2);
  cell.end(4);
  check_started(cell, {});
  cell.shared_by("default", GpuSharing::user);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(whole_gpus_are_given_as_before) {
  TestCell cell;
  cell.shared_by("default", GpuSharing::none);
  cell.add(node_with(0, 2));
  cell.submit({.gpus = 2, .group = "default", .project = "a"});
  check_started(cell, {1});
}

// What runs on a node that moves counts by the setting of its new group.
BOOST_AUTO_TEST_CASE(a_node_in_another_group_is_shared_by_its_setting) {
  TestCell cell;
  cell.shared_by("other", GpuSharing::user);
  auto node = node_with(0, 1);
  cell.add(node);
  cell.submit(share_of("a", 300, "ann"));
  check_started(cell, {1});
  node.group = "other";
  cell.add(node);
  auto session = share_of("a", 300, "bob");
  session.group = "other";
  cell.submit(session);
  session = share_of("b", 300, "ann");
  session.group = "other";
  cell.submit(session);
  check_started(cell, {3});
  cell.end(1);
  cell.end(3);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(the_reason_counts_nodes_whose_gpus_others_share) {
  TestCell cell;
  for (std::uint32_t i = 0; i < 4; ++i) cell.add(node_with(i, 1));
  for (const auto& [name, milli] :
       {std::pair("n0", 300U), std::pair("n1", 300U), std::pair("n2", 900U)}) {
    auto session = share_of("a", milli);
    session.on_node = name;
    cell.submit(session);
  }
  auto whole = TestSession{.gpus = 1, .group = "default", .on_node = "n3"};
  cell.submit(whole);
  check_started(cell, {1, 2, 3, 4});
  const auto id = cell.submit(share_of("b", 300));
  check_started(cell, {});
  auto answer = cell.scheduler.why(SessionId{id});
  BOOST_TEST((answer.reason == WaitReason::no_room));
  BOOST_TEST(answer.nodes.not_shared == 2U);
  BOOST_TEST(answer.nodes.devices_busy == 2U);
  BOOST_TEST(answer.nodes.fitting == 0U);
  BOOST_TEST(answer.tasks_fitting == 0U);
  BOOST_REQUIRE(answer.nearest);
  BOOST_TEST(answer.nearest->gpus_free == 0U);
  cell.shared_by("default", GpuSharing::none);
  check_started(cell, {});
  answer = cell.scheduler.why(SessionId{id});
  BOOST_TEST(answer.nodes.not_shared == 4U);
}

BOOST_AUTO_TEST_CASE(a_plan_waits_for_the_last_of_another_project) {
  for (const char* policy : {"easy", "conservative"}) {
    TestCell cell;
    cell.scheduler.set_policy("default", *parse_policy(policy));
    cell.add(node_with(0, 1));
    auto session = share_of("a");
    session.time_limit_ns = 10 * minute_ns;
    cell.submit(session);
    session.time_limit_ns = 30 * minute_ns;
    cell.submit(session);
    check_started(cell, {1, 2});
    session = share_of("b");
    session.time_limit_ns = 20 * minute_ns;
    const auto head = cell.submit(session);
    check_started(cell, {});
    const auto start = [&] {
      return cell.scheduler.why(SessionId{head}).expected_start.value -
             cell.now.value;
    };
    BOOST_TEST(start() == 30 * minute_ns);
    // Beside the others there is room, but it would keep the head waiting.
    session = share_of("a");
    session.time_limit_ns = 40 * minute_ns;
    const auto behind = cell.submit(session);
    check_started(cell, {});
    session.time_limit_ns = 30 * minute_ns;
    const auto shorter = cell.submit(session);
    check_started(cell, {shorter});
    BOOST_TEST(start() == 30 * minute_ns);
    cell.now.value += 30 * minute_ns;
    for (const auto id : {Ids::value_type{1}, Ids::value_type{2}, shorter})
      cell.end(id);
    check_started(cell, {head});
    cell.end(head);
    check_started(cell, {behind});
  }
}

BOOST_AUTO_TEST_CASE(all_of_another_project_make_room) {
  TestCell cell;
  cell.scheduler.set_policy("default",
                            *parse_policy("fifo,greedy,preemption=priority,"
                                          "preempt_after=1m"));
  cell.add(node_with(0, 1));
  cell.submit(share_of("a"));
  cell.submit(share_of("a"));
  check_started(cell, {1, 2});
  cell.now.value += 2 * minute_ns;
  auto session = share_of("b");
  session.priority = 1;
  cell.submit(session);
  check_started(cell, {});
  Ids gone;
  for (const auto& one : cell.scheduler.preempt(cell.now))
    gone.push_back(one.session.value);
  std::sort(gone.begin(), gone.end());
  BOOST_TEST(gone == (Ids{1, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_gang_of_shares_stays_among_its_own) {
  TestCell cell;
  cell.add(node_with(0, 1));
  cell.add(node_with(1, 1));
  auto session = share_of("a", 600);
  session.on_node = "n0";
  cell.submit(session);
  check_started(cell, {1});
  session = share_of("b", 400);
  session.tasks = 3;
  const auto three = cell.submit(session);
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{three}).tasks_fitting == 2U);
  session.tasks = 2;
  const auto two = cell.submit(session);
  check_started(cell, {two});
  cell.end(1);
  cell.end(two);
  check_started(cell, {three});
}

BOOST_AUTO_TEST_CASE(a_dry_run_and_what_becomes_of_it_agree) {
  TestCell cell;
  cell.add(node_with(0, 1));
  cell.submit(share_of("a"));
  check_started(cell, {1});
  const auto starting = [&](const TestSession& session) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(session_spec(builder, session));
    return cell.scheduler
        .dry_run(*flatbuffers::GetRoot<schema::SessionSpec>(
                     builder.GetBufferPointer()),
                 cell.now, 4)
        .starting;
  };
  BOOST_TEST(starting(share_of("b")) == 0U);
  BOOST_TEST(starting(share_of("a")) == 2U);
  // Nothing is left of it.
  BOOST_TEST(starting(share_of("b")) == 0U);
  cell.end(1);
  BOOST_TEST(starting(share_of("b")) == 3U);
}

// The device with the least free share is another project's.
BOOST_AUTO_TEST_CASE(best_fit_looks_at_its_own_devices_alone) {
  TestCell cell;
  cell.add(node_with(0, 2));
  cell.add(node_with(1, 2));
  auto a = share_of("a", 500);
  a.on_node = "n0";
  auto b = share_of("b", 600);
  b.on_node = "n0";
  auto a_less = share_of("a", 400);
  a_less.on_node = "n1";
  auto b_less = share_of("b", 300);
  b_less.on_node = "n1";
  cell.submit(a);
  cell.submit(b);
  cell.submit(a_less);
  cell.submit(b_less);
  check_started(cell, {1, 2, 3, 4});
  BOOST_TEST((place_of(cell, share_of("a", 400)) == Place{0, 0}));
  BOOST_TEST((place_of(cell, share_of("b", 400)) == Place{0, 1}));
  BOOST_TEST((place_of(cell, share_of("a", 400)) == Place{1, 0}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace sharing_test
