// The agent's core and its GPUs: tests that are ordered, and from one owner to
// the next. The worker is the test.
#include <boost/test/unit_test.hpp>

#include "actors/agent/core.hpp"
#include "actors/agent/test_orders.hpp"
#include "cluster/limits.hpp"

namespace reeve::agent::core_devices_test {
namespace {

using schema::DeviceVerdict;
using schema::EndReason;
using schema::FactKind;
using testing::Heard;
using testing::Orders;

constexpr Time noon{1'000 * second_ns};
const TaskKey one{5, 1, 0};
const TaskKey two{6, 1, 0};

struct Agent {
  explicit Agent(Options options = make()) : core(std::move(options)) {
    core.on_runtime_ready({}, {}, {}, noon);
    step();
    answer(heard.registration_id);
    core.on_order(testing::order_of(Orders(1).list(heard.boot, {})), now);
    step();
    answer(heard.registration_id);
    BOOST_REQUIRE(core.registered());
  }

  static Options make() {
    Options all;
    all.agent = "n1";
    all.node.name = "n1";
    all.node.gpu_probe = "/probe";
    for (const char* uuid : {"GPU-a", "GPU-b"})
      all.node.devices.push_back({uuid, "A100", 80, 0, {}});
    all.gpu_jobs = true;
    all.test_new = true;
    return all;
  }
  void answer(const schema::Id128& id) { reply(testing::make_reply(id, true)); }
  void reply(const std::vector<std::byte>& bytes) {
    core.on_reply(testing::reply_of(bytes), now);
    step();
  }
  void tick(std::uint64_t ns) {
    now.value += ns;
    core.on_tick(now);
    step();
  }
  void order(const std::vector<std::byte>& bytes) {
    core.on_order(testing::order_of(bytes), now);
    step();
  }
  void probe(const std::string& uuid, std::uint64_t test, bool full = false) {
    order(Orders(1).probe({{uuid, test, full}}));
  }
  // The oldest job is done.
  void done(DeviceVerdict verdict, const std::string& text = "") {
    GpuJobDone result = take_job();
    result.verdict = verdict;
    result.text = text;
    result.figures = {{"memory_read", 3'000, 940}};
    core.on_gpu_job(result);
    step();
  }
  void cleaned(const std::string& unclean = "") {
    GpuJobDone result = take_job();
    result.unclean = unclean;
    core.on_gpu_job(result);
    step();
  }
  GpuJobDone take_job() {
    BOOST_REQUIRE(!jobs.empty());
    GpuJobDone result;
    result.id = jobs.front().id;
    result.uuid = jobs.front().uuid;
    jobs.erase(jobs.begin());
    return result;
  }
  void exit(const TaskKey& key) {
    core.on_started(key, 20, 10, "");
    core.on_exited(key, {});
    step();
    answer(heard.report_id);
  }
  void step() {
    Effects effects = core.take_effects(now);
    core.check_invariants();
    for (auto& command : effects.commands) heard.take(command);
    for (auto& spec : effects.launches) launched.push_back(spec.key);
    for (auto& each : effects.stops) stopped.push_back(each.key);
    for (auto& job : effects.gpu_jobs) jobs.push_back(std::move(job));
  }
  const testing::HeardFact& fact() const {
    BOOST_REQUIRE(!heard.facts.empty());
    return heard.facts.back();
  }

  Time now = noon;
  Core core;
  Heard heard;
  std::vector<TaskKey> launched;
  std::vector<TaskKey> stopped;
  std::vector<GpuJob> jobs;
};

BOOST_FIXTURE_TEST_SUITE(agent_devices, Agent)

// ---- tests

BOOST_AUTO_TEST_CASE(a_test_is_made_once_and_its_verdict_told) {
  probe("GPU-a", 7, true);
  probe("GPU-a", 7, true);
  BOOST_REQUIRE_EQUAL(jobs.size(), 1u);
  BOOST_CHECK(jobs[0].work == GpuWork::full_test);
  BOOST_TEST(jobs[0].uuid == "GPU-a");
  BOOST_TEST(jobs[0].model == "A100");
  BOOST_TEST(jobs[0].probe == "/probe");
  done(DeviceVerdict::slow, "80 % of its model");
  BOOST_REQUIRE_EQUAL(heard.tests.size(), 1u);
  BOOST_TEST(heard.tests[0].node == "n1");
  BOOST_TEST(heard.tests[0].device == "GPU-a");
  BOOST_TEST(heard.tests[0].test == 7u);
  BOOST_CHECK(heard.tests[0].verdict == DeviceVerdict::slow);
  BOOST_TEST(heard.tests[0].text == "80 % of its model");
  BOOST_TEST(heard.tests[0].figures == 1u);
  const auto id = heard.test_id;
  tick(0);
  BOOST_TEST(core.wait_ns() <= retry_first_ns);
  tick(retry_first_ns);
  BOOST_TEST(heard.tests.size() == 2u);
  BOOST_TEST(heard.test_id.low() == id.low());
  answer(id);
  // The order crossed the answer.
  probe("GPU-a", 7, true);
  for (int i = 0; i < 10; ++i) tick(retry_longest_ns / 2);
  BOOST_TEST(jobs.empty());
  BOOST_TEST(heard.tests.size() == 2u);
  probe("GPU-a", 9);
  BOOST_REQUIRE_EQUAL(jobs.size(), 1u);
  BOOST_CHECK(jobs[0].work == GpuWork::quick_test);
}

BOOST_AUTO_TEST_CASE(a_verdict_that_nobody_waits_for_is_dropped) {
  probe("GPU-a", 7);
  done(DeviceVerdict::healthy);
  for (const auto code :
       {schema::RejectCode::no_space, schema::RejectCode::try_again}) {
    const auto id = heard.test_id;
    reply(testing::make_refusal(id, code, "no_room"));
    tick(retry_longest_ns);
    BOOST_TEST(heard.test_id.low() != id.low());
  }
  const auto sent = heard.tests.size();
  reply(testing::make_refusal(heard.test_id, schema::RejectCode::not_found,
                              "test_unknown"));
  for (int i = 0; i < 10; ++i) tick(retry_longest_ns / 2);
  BOOST_TEST(heard.tests.size() == sent);
}

BOOST_AUTO_TEST_CASE(devices_are_tested_beside_each_other) {
  order(Orders(1).probe({{"GPU-a", 7, true}, {"GPU-b", 8, false}}));
  BOOST_TEST(jobs.size() == 2u);
  done(DeviceVerdict::healthy);
  done(DeviceVerdict::faulty, "it is broken");
  BOOST_REQUIRE_EQUAL(heard.tests.size(), 2u);
  BOOST_TEST(heard.tests[1].device == "GPU-b");
}

BOOST_AUTO_TEST_CASE(a_device_that_is_held_is_tested_when_it_is_free) {
  order(Orders(1).launch({one}));
  cleaned();
  BOOST_REQUIRE_EQUAL(launched.size(), 1u);
  probe("GPU-a", 7);
  BOOST_TEST(jobs.empty());
  exit(one);
  BOOST_REQUIRE_EQUAL(jobs.size(), 1u);
  BOOST_CHECK(jobs[0].work == GpuWork::quick_test);
}

BOOST_AUTO_TEST_CASE(a_test_of_no_device_of_the_node_is_told_as_such) {
  probe("GPU-x", 7);
  BOOST_REQUIRE_EQUAL(heard.tests.size(), 1u);
  BOOST_CHECK(heard.tests[0].verdict == DeviceVerdict::not_tested);
  BOOST_TEST(heard.tests[0].text == "node n1 has no such device (any more)");
}

BOOST_AUTO_TEST_CASE(a_test_that_does_not_come_back_is_told_as_unfinished) {
  probe("GPU-a", 7);
  tick(0);
  for (std::uint64_t waited = 0; waited < job_ns_max(GpuWork::quick_test);
       waited += 4 * second_ns)
    tick(4 * second_ns);
  BOOST_REQUIRE(!heard.tests.empty());
  BOOST_CHECK(heard.tests[0].verdict == DeviceVerdict::unfinished);
  // What it says after all is not heard, but the device is free again.
  answer(heard.test_id);
  done(DeviceVerdict::healthy);
  const auto sent = heard.tests.size();
  probe("GPU-a", 8);
  BOOST_TEST(jobs.size() == 1u);
  BOOST_TEST(heard.tests.size() == sent);
}

BOOST_AUTO_TEST_CASE(a_test_in_place_of_another_waits_for_its_end) {
  probe("GPU-a", 7);
  probe("GPU-a", 9, true);
  BOOST_TEST(jobs.size() == 1u);
  done(DeviceVerdict::faulty);
  BOOST_TEST(heard.tests.empty());
  BOOST_REQUIRE_EQUAL(jobs.size(), 1u);
  done(DeviceVerdict::healthy);
  BOOST_REQUIRE_EQUAL(heard.tests.size(), 1u);
  BOOST_TEST(heard.tests[0].test == 9u);
}

BOOST_AUTO_TEST_CASE(the_text_of_a_test_is_cut_at_its_bound) {
  probe("GPU-a", 7);
  done(DeviceVerdict::faulty,
       std::string(cluster::test_text_bytes_max + 1, 'x'));
  BOOST_TEST(heard.tests.at(0).text.size() == cluster::test_text_bytes_max);
}

BOOST_AUTO_TEST_CASE(so_many_tests_are_remembered_and_not_one_more) {
  std::vector<Orders::Probe> all;
  for (std::size_t i = 0; i <= tests_max; ++i)
    all.push_back({"GPU-" + std::to_string(i), i + 1, false});
  order(Orders(1).probe(all));
  BOOST_TEST(heard.tests.size() == tests_max);
  // None of the node: they are forgotten when they are told.
  const auto last = std::to_string(tests_max);
  answer(heard.test_id);
  order(Orders(1).probe({{"GPU-" + last, tests_max + 1, false}}));
  BOOST_TEST(heard.tests.back().device == "GPU-" + last);
}

BOOST_AUTO_TEST_CASE(what_the_node_can_test_by_itself_is_told) {
  BOOST_TEST(heard.test_new);
  BOOST_TEST(!heard.test_quarantined);
  Options bare = make();
  bare.node.gpu_probe.clear();
  BOOST_TEST(!Agent(std::move(bare)).heard.test_new);
}

// ---- from one owner to the next

BOOST_AUTO_TEST_CASE(a_launch_waits_until_its_device_is_clean) {
  order(Orders(1).launch({one}));
  BOOST_TEST(launched.empty());
  BOOST_REQUIRE_EQUAL(jobs.size(), 1u);
  BOOST_CHECK(jobs[0].work == GpuWork::hand_over);
  BOOST_TEST(jobs[0].owner == "1000 ann");
  order(Orders(1).launch({one}));  // sent again meanwhile
  BOOST_TEST(jobs.size() == 1u);
  cleaned();
  BOOST_TEST((launched == std::vector{one}));
  exit(one);
  // The same owner again: nothing is done.
  order(Orders(1).launch({two}));
  BOOST_TEST(launched.size() == 2u);
  exit(two);
  order(Orders(1).of_user("bob", 1001).launch({{7, 1, 0}}));
  BOOST_TEST(launched.size() == 2u);
  BOOST_TEST(jobs.at(0).owner == "1001 bob");
}

BOOST_AUTO_TEST_CASE(what_was_written_down_before_counts) {
  Options options = make();
  options.owners = {{"GPU-a", "1000 ann"}};
  Agent agent(std::move(options));
  agent.order(Orders(1).launch({one}));
  BOOST_TEST(agent.launched.size() == 1u);
  agent.order(Orders(1).with_device("GPU-b").launch({two}));
  BOOST_TEST(agent.launched.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_card_that_is_cut_and_whole_again_is_cleaned) {
  Options options = make();
  options.owners = {{"GPU-a", "1000 ann"}};
  Agent agent(std::move(options));
  const Node whole = agent.core.node();
  Node cut = whole;
  cut.devices[0].uuid = "MIG-a";
  cut.devices[0].mig_of = "GPU-a";
  for (const Node& node : {cut, whole}) {
    agent.core.on_node(node);
    agent.tick(second_ns);
  }
  BOOST_REQUIRE_EQUAL(agent.jobs.size(), 1u);
  BOOST_CHECK(agent.jobs[0].work == GpuWork::note);
  BOOST_TEST(agent.jobs[0].uuid == "GPU-a");
  agent.cleaned();
  agent.order(Orders(1).launch({one}));
  BOOST_TEST(agent.launched.empty());
  BOOST_REQUIRE_EQUAL(agent.jobs.size(), 1u);
  BOOST_CHECK(agent.jobs[0].work == GpuWork::hand_over);
}

BOOST_AUTO_TEST_CASE(a_task_without_a_device_waits_for_nothing) {
  order(Orders(1).command({"true"}).launch({one}));
  BOOST_TEST((launched == std::vector{one}));
}

BOOST_AUTO_TEST_CASE(a_user_name_is_one_line_of_a_file) {
  order(Orders(1).of_user("a\nb", 7).launch({one}));
  BOOST_TEST(jobs.at(0).owner == "7 a?b");
}

BOOST_AUTO_TEST_CASE(a_device_that_cannot_be_cleaned_goes_into_quarantine) {
  order(Orders(1).launch({one}));
  heard.kinds.clear();
  cleaned("programs still use it: 17");
  BOOST_TEST(launched.empty());
  // The session is not to be sent to the same place again.
  BOOST_TEST(heard.kinds == "quarantine report ");
  BOOST_TEST(heard.quarantines.at(0).device == "GPU-a");
  BOOST_TEST(heard.quarantines[0].reason ==
             "it could not be cleared for its next owner: programs still use "
             "it: 17");
  BOOST_CHECK(fact().kind == FactKind::start_failed);
  BOOST_CHECK(fact().reason == EndReason::device_unclean);
  BOOST_TEST(fact().detail ==
             "GPU-a could not be cleared: programs still use it: 17");
  BOOST_TEST(core.counters().unclean == 1u);
  answer(heard.report_id);
  BOOST_TEST(core.tasks() == 0u);
}

BOOST_AUTO_TEST_CASE(the_reason_of_a_quarantine_is_cut_at_its_bound) {
  order(Orders(1).launch({one}));
  cleaned(std::string(cluster::quarantine_reason_bytes_max, 'x'));
  BOOST_TEST(heard.quarantines.at(0).reason.size() ==
             cluster::quarantine_reason_bytes_max);
}

BOOST_AUTO_TEST_CASE(a_driver_that_hangs_costs_the_device_not_the_agent) {
  order(Orders(1).with_devices({"GPU-a", "GPU-b"}).launch({one}));
  BOOST_TEST(jobs.size() == 2u);
  cleaned();
  for (std::uint64_t waited = 0; waited < job_ns_max(GpuWork::hand_over);
       waited += 4 * second_ns)
    tick(4 * second_ns);
  BOOST_REQUIRE(!heard.quarantines.empty());
  BOOST_TEST(heard.quarantines[0].device == "GPU-b");
  BOOST_CHECK(fact().reason == EndReason::device_unclean);
}

BOOST_AUTO_TEST_CASE(a_launch_does_not_wait_for_a_test_for_ever) {
  probe("GPU-a", 7, true);
  order(Orders(1).launch({one}));
  BOOST_TEST(jobs.size() == 1u);
  for (std::uint64_t waited = 0; waited < handover_ns_max;
       waited += 4 * second_ns)
    tick(4 * second_ns);
  BOOST_CHECK(fact().reason == EndReason::device_unclean);
  BOOST_TEST(heard.quarantines.empty());
}

BOOST_AUTO_TEST_CASE(a_launch_that_waits_is_stopped_without_the_runtime) {
  order(Orders(1).launch({one}));
  order(Orders(1).stop({one}));
  BOOST_TEST(stopped.empty());
  BOOST_CHECK(fact().kind == FactKind::start_failed);
  BOOST_CHECK(fact().reason == EndReason::start_failed);
  cleaned();
  BOOST_TEST(launched.empty());
  answer(heard.report_id);
  // It was cleaned for her all the same.
  order(Orders(1).launch({two}));
  BOOST_TEST(launched.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_launch_that_is_not_wanted_any_more_is_dropped) {
  order(Orders(1).launch({one}));
  core.on_reconnected(now);
  step();
  answer(heard.registration_id);
  core.on_order(testing::order_of(Orders(1).at(2).list(heard.boot, {})), now);
  step();
  BOOST_CHECK(fact().kind == FactKind::start_failed);
  cleaned();
  BOOST_TEST(launched.empty());
}

BOOST_AUTO_TEST_CASE(a_launch_that_waits_comes_again_with_a_new_keeper) {
  order(Orders(1).launch({one}));
  core.on_runtime_lost();
  step();
  core.on_runtime_ready({}, {}, {}, now);
  step();
  cleaned();
  BOOST_TEST(launched.empty());
  BOOST_TEST(core.tasks() == 0u);
  order(Orders(1).launch({one}));
  BOOST_TEST((launched == std::vector{one}));
}

BOOST_AUTO_TEST_CASE(without_a_worker_nothing_waits) {
  Options options = make();
  options.gpu_jobs = false;
  Agent agent(std::move(options));
  agent.order(Orders(1).launch({one}));
  BOOST_TEST(agent.launched.size() == 1u);
  BOOST_TEST(!agent.heard.test_new);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::agent::core_devices_test
