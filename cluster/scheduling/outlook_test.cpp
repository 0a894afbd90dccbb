// What nodes are worth, by hand and beside a slow way to say it; and that a
// search takes the node that the slow way takes.
#include "cluster/scheduling/outlook.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include "cluster/scheduling/core.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace outlook_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::scheduling;
using scheduling::Node;

namespace {

const auto within = boost::test_tools::tolerance(1e-9);

Node node_of(std::uint32_t number, std::uint32_t cpus,
             const std::vector<std::uint32_t>& free_milli) {
  Node node;
  node.id = NodeId(number);
  node.known = true;
  node.cpu_capacity_milli = 1000 * cpus;
  node.memory_capacity_bytes = 256 * gib;
  for (const auto free : free_milli) {
    auto& device = node.devices.emplace_back();
    device.memory_bytes = 80 * gib;
    device.capacity_milli = 1000;
    device.used_milli = 1000 - free;
    device.used_memory_bytes = 80 * gib / 1000 * (1000 - free);
  }
  return node;
}

std::uint64_t usable_by(const Node& node, const Need& need) {
  Room room;
  look(node, room);
  return usable_milli(room, need);
}

// The need of `gpus` GPUs of `milli`, with a CPU and a GiB for each.
Need need_of(std::uint32_t gpus, std::uint32_t milli) {
  return {1000 * gpus, gpus * gib, gpus, milli, 0, {}};
}

// All that the header says, over devices one by one and in doubles.
double slowly_usable(const Node& node, const Need& need) {
  if (!fits(node, need)) return 0;
  double usable = 0;
  for (const auto& device : node.devices)
    if (device_slots(device, need, 1) > 0) usable += device.free_milli();
  const double each = double{1} * need.gpus * need.gpu_milli;
  if (need.cpu_milli > 0)
    usable =
        std::min(usable, each * static_cast<double>(node.cpu_free_milli()) /
                             need.cpu_milli);
  if (need.memory_bytes > 0)
    usable =
        std::min(usable, each * static_cast<double>(node.memory_free_bytes()) /
                             static_cast<double>(need.memory_bytes));
  return std::floor(usable + 0.5);
}

// What the slow scheduler knows: the tasks submitted, and all nodes.
struct Slow {
  std::vector<std::pair<Need, double>> typical;  // with how often
  std::vector<double> weights;
  double cpu_each = 0;
  double memory_each = 0;

  Slow(const std::vector<Need>& submitted, const std::vector<Node>& nodes) {
    double milli = 0;
    for (const auto& need : submitted) {
      if (need.gpus == 0) continue;
      const auto same =
          std::find_if(typical.begin(), typical.end(),
                       [&](const auto& one) { return one.first == need; });
      if (same == typical.end()) {
        typical.emplace_back(need, 1.0);
      } else {
        ++same->second;
      }
      milli += need.gpus * need.gpu_milli;
      cpu_each += need.cpu_milli;
      memory_each += static_cast<double>(need.memory_bytes);
    }
    cpu_each /= milli;
    memory_each /= milli;
    double sum = 0;
    for (const auto& [need, often] : typical) {
      double in_all = 1;
      for (const auto& node : nodes) {
        in_all += slowly_usable(node, need);
        in_all += 0.001 * 1000 * static_cast<double>(node.devices.size());
      }
      weights.push_back(often / in_all);
      sum += weights.back();
    }
    for (auto& weight : weights) weight /= sum;
  }

  double worth(const Node& node) const {
    double balanced = 0;
    for (const auto& device : node.devices) balanced += device.free_milli();
    balanced = std::min(
        {balanced, static_cast<double>(node.cpu_free_milli()) / cpu_each,
         static_cast<double>(node.memory_free_bytes()) / memory_each});
    double sum = 2 * balanced;
    for (std::size_t i = 0; i < typical.size(); ++i)
      sum += weights[i] * slowly_usable(node, typical[i].first);
    return sum;
  }

  // The least that a task can take from the worth of a node where it fits, on
  // the best of all sets of devices; only for one GPU or one share.
  double loss(const Node& node, const Need& need) const {
    double most = -1;
    for (std::uint32_t i = 0; i < node.devices.size(); ++i) {
      const auto& device = node.devices[i];
      if (device_slots(device, need, 1) == 0) continue;
      Node taken = node;
      claim(taken, need, {{i, need.gpu_milli, device_memory(device, need)}});
      most = std::max(most, worth(taken));
    }
    return worth(node) - most;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(outlook)

BOOST_AUTO_TEST_CASE(usable_is_what_devices_with_enough_have) {
  const auto node = node_of(0, 8, {1000, 600, 300});
  struct {
    Need need;
    std::uint64_t expected;
  } const cases[] = {
      {need_of(1, 1000), 1000},
      {need_of(1, 500), 1600},
      {need_of(1, 300), 1900},
      {need_of(2, 500), 1600},
      {need_of(2, 700), 0},  // only one device has as much
      {need_of(2, 1000), 0},
      {{9000, gib, 1, 300, 0, {}}, 0},  // CPUs
      {{1000, 300 * gib, 1, 300, 0, {}}, 0},
      {{1000, gib, 1, 300, 50 * gib, {}}, 1000},  // device memory
      {{1000, gib, 1, 300, 0, {7}}, 0},           // a model it has not
  };
  for (const auto& one : cases)
    BOOST_TEST(usable_by(node, one.need) == one.expected);
}

BOOST_AUTO_TEST_CASE(a_share_needs_its_part_of_the_devices_memory) {
  auto node = node_of(0, 8, {600});
  node.devices[0].used_memory_bytes = 60 * gib;  // a quarter is free
  BOOST_TEST(usable_by(node, need_of(1, 250)) == 600U);
  BOOST_TEST(usable_by(node, need_of(1, 251)) == 0U);
}

BOOST_AUTO_TEST_CASE(similar_requests_are_one_sort_and_the_rest_are_apart) {
  TypicalRequests typical;
  BOOST_TEST(!typical.stale());
  typical.add({5000, gib, 1, 1000, 0, {}}, 3);
  typical.add({7000, gib, 1, 1000, 0, {}}, 1);
  typical.add({9000, gib, 1, 1000, 0, {}}, 2);
  typical.add({5000, gib, 1, 500, 0, {}}, 6);
  typical.add({5000, gib, 0, 0, 0, {}}, 100);
  BOOST_TEST(typical.stale());
  typical.renew();
  const auto& all = typical.most_common();
  BOOST_REQUIRE_EQUAL(all.size(), 3);
  BOOST_TEST(all[0].need.gpu_milli == 500U);
  BOOST_TEST(all[0].frequency == 0.5);
  BOOST_TEST(all[1].need.cpu_milli == 5500U);
  BOOST_TEST(all[1].frequency == 4.0 / 12, within);
  BOOST_TEST(all[2].need.cpu_milli == 9000U);
  BOOST_TEST(typical.cpu_milli_each() == 70.0 / 9, within);
  BOOST_TEST(!typical.stale());
}

BOOST_AUTO_TEST_CASE(old_requests_are_forgotten) {
  TypicalRequests typical;
  for (int i = 0; i < 16; ++i) typical.add(need_of(1, 1000), 1);
  const auto rounds = 6 * typical_tasks_max / typical_tasks_at_once_max;
  for (std::uint64_t i = 0; i < rounds; ++i)
    typical.add(need_of(2, 1000), typical_tasks_at_once_max);
  typical.renew();
  BOOST_TEST(typical.most_common().size() == 1U);
}

BOOST_AUTO_TEST_CASE(no_more_sorts_than_the_bound_are_typical) {
  TypicalRequests typical;
  for (std::uint32_t i = 1; i <= 2 * typical_sorts_max; ++i)
    typical.add(need_of(1, i), i);
  typical.renew();
  const auto& all = typical.most_common();
  BOOST_TEST(all.size() == typical_sorts_max);
  BOOST_TEST(all.front().need.gpu_milli == 2 * typical_sorts_max);
  BOOST_TEST(all.back().need.gpu_milli == typical_sorts_max + 1);
}

BOOST_AUTO_TEST_CASE(a_node_is_worth_what_comes_can_use_and_its_balance) {
  // One CPU beside each GPU: 2 whole devices, 1 CPU.
  const std::vector<Node> nodes = {node_of(0, 1, {1000, 1000}),
                                   node_of(1, 8, {1000, 400})};
  Outlook outlook;
  outlook.submitted(need_of(1, 1000), 1);
  for (const auto& node : nodes) outlook.changed(node.id);
  outlook.refresh(nodes);
  // Usable 1000 of 2000, for want of CPUs, and balanced the same.
  BOOST_TEST(outlook.worth(NodeId(0)) == 3000.0, within);
  // 1000, the share is too small; balanced 1400.
  BOOST_TEST(outlook.worth(NodeId(1)) == 3800.0, within);
  BOOST_TEST(outlook.worth(nodes[1]) == 3800.0, within);
}

BOOST_AUTO_TEST_CASE(what_is_scarce_weighs_more) {
  // Whole pairs are on one node only, single devices on four.
  std::vector<Node> nodes = {node_of(0, 64, {1000, 1000})};
  for (std::uint32_t i = 1; i < 4; ++i) nodes.push_back(node_of(i, 64, {1000}));
  Outlook outlook;
  outlook.submitted(need_of(1, 1000), 1);
  outlook.submitted(need_of(2, 1000), 1);
  for (const auto& node : nodes) outlook.changed(node.id);
  outlook.refresh(nodes);
  // 1/5006 and 1/2006 of the weight, by what there is for each.
  const double pair = (1.0 / 2006) / (1.0 / 2006 + 1.0 / 5006);
  BOOST_TEST(outlook.worth(NodeId(0)) == 4000 + 2000.0, within);
  BOOST_TEST(outlook.worth(NodeId(1)) == 2000 + 1000 * (1 - pair), within);
  // A node that is gone or not offered leaves the sums.
  nodes[1].lost = true;
  outlook.changed(NodeId(1));
  outlook.left(NodeId(2));
  outlook.refresh(nodes);
  const double then = (1.0 / 2004) / (1.0 / 2004 + 1.0 / 3004);
  BOOST_TEST(outlook.worth(NodeId(3)) == 2000 + 1000 * (1 - then), within);
}

BOOST_AUTO_TEST_CASE(a_share_goes_to_the_device_where_least_is_lost) {
  std::vector<Node> nodes = {node_of(0, 64, {1000, 700, 500})};
  Outlook outlook;
  outlook.submitted(need_of(1, 500), 1);
  outlook.submitted(need_of(1, 200), 1);
  outlook.changed(NodeId(0));
  outlook.refresh(nodes);
  std::vector<DeviceGrant> devices;
  // 700 - 200 still serves both; 500 - 200 no longer the larger.
  auto trial = nodes[0];
  outlook.place(trial, need_of(1, 200), devices);
  BOOST_REQUIRE_EQUAL(devices.size(), 1);
  BOOST_TEST(devices[0].device == 1U);
  // 500 - 500 leaves nothing that is too small.
  trial = nodes[0];
  outlook.place(trial, need_of(1, 500), devices);
  BOOST_TEST(devices[0].device == 2U);
}

namespace {

std::uint32_t one_of(std::mt19937_64& random,
                     const std::vector<std::uint32_t>& values) {
  return values[random() % values.size()];
}

// Few enough sessions that typical requests are renewed once, at the first.
void compare_with_the_slow_way(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  TestCell cell;
  Scheduler::Core core;
  cell.deliver = [&](const schema::Event& event) { core.apply(event); };
  core.set_policy(default_group, policy_of(Packing::fragmentation));
  for (std::uint32_t i = 0; i < 4; ++i)
    cell.add(
        {.number = i,
         .cpu_milli = 1000 * one_of(random, {8, 16, 32}),
         .memory_bytes = one_of(random, {32, 64}) * gib,
         .models = devices(one_of(random, {1, 2, 4}), i == 0 ? "A" : "B")});
  std::vector<Need> submitted;
  for (int i = 0; i < 25; ++i) {
    TestSession session{.cpu_milli = one_of(random, {1000, 2000, 4000}),
                        .memory_bytes = one_of(random, {1, 4, 8}) * gib,
                        .gpus = 1,
                        .gpu_milli = one_of(random, {1000, 1000, 500, 300})};
    if (random() % 4 == 0) session.gpu_models = {"A"};
    const auto& waiting = core.sessions.at(cell.submit(session));
    submitted.push_back(core.classes[waiting.request_class].need);
  }
  while (true) {
    const auto before = core.nodes;
    const auto proposals = core.propose(cell.now, 1);
    if (proposals.empty()) break;
    const auto& started = core.sessions.at(proposals[0].session.value);
    const auto need = core.classes[started.request_class].need;
    const Slow slow(submitted, before);
    double least = 1e18;
    for (const auto& node : before)
      if (fits(node, need)) least = std::min(least, slow.loss(node, need));
    const auto taken = proposals[0].tasks[0].node.value;
    BOOST_TEST_REQUIRE(std::abs(slow.loss(before[taken], need) - least) < 1e-5,
                       "seed " << seed << ", session "
                               << proposals[0].session.value << " on node "
                               << taken);
    cell.confirm(proposals[0]);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_search_takes_the_node_that_the_slow_way_takes) {
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    compare_with_the_slow_way(seed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace outlook_test
