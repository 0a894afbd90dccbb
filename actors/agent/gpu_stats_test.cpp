#include "actors/agent/gpu_stats.hpp"

#include <boost/test/unit_test.hpp>

#include "actors/agent/core.hpp"
#include "cluster/limits.hpp"
#include "schema/wire.hpp"

namespace reeve::agent::gpu_stats_test {
namespace {

Node node_of(const std::vector<std::string>& uuids) {
  Node node;
  node.name = "host";
  for (const std::string& uuid : uuids)
    node.devices.push_back({uuid, "H100", 80, 0, {}});
  return node;
}

struct Told {
  Told(const Node& node, const std::vector<WatchedGpu>& gpus)
      : bytes(node_stats("agent", node, gpus, Time{7})),
        stats(schema::verified<schema::NodeStats>(bytes)) {
    BOOST_REQUIRE(stats != nullptr);
  }
  const schema::DeviceStats& device(unsigned index) const {
    BOOST_REQUIRE(index < stats->devices()->size());
    return *stats->devices()->Get(index);
  }

  std::vector<std::byte> bytes;
  const schema::NodeStats* stats;
};

WatchedGpu busy_gpu(const std::string& uuid) {
  WatchedGpu gpu;
  gpu.model = "NVIDIA H100";
  gpu.minor = 3;
  gpu.now.uuid = uuid;
  gpu.now.gpu_percent = 97;
  gpu.now.memory_percent = 0;
  gpu.now.memory_used_bytes = 5'000;
  gpu.now.memory_total_bytes = 80ull << 30;
  gpu.now.power_mw = 650'000;
  gpu.now.temperature_c = 61;
  gpu.now.sm_clock_mhz = 1'755;
  gpu.now.memory_clock_mhz = 2'619;
  gpu.now.throttles = {gpu::Throttle::power_cap, gpu::Throttle::thermal};
  gpu.thorough.energy_mj = 123;
  gpu.thorough.ecc_uncorrected = 2;
  gpu.thorough.row_remap_failed = false;
  gpu.thorough.pcie_sent_bytes_per_s = 10'240;
  gpu.thorough.processes = {{42, 1}, {43, std::nullopt}};
  gpu.xids = 2;
  gpu.last_xid = 79;
  return gpu;
}

BOOST_AUTO_TEST_CASE(
    the_load_is_of_now_and_the_rest_of_the_last_thorough_look) {
  const Told told(node_of({"GPU-b", "GPU-a"}), {busy_gpu("GPU-a")});
  BOOST_TEST(told.stats->agent()->str() == "agent");
  BOOST_TEST(told.stats->node()->str() == "host");
  BOOST_TEST(told.stats->sampled_at() == 7u);
  const auto& it = told.device(0);
  BOOST_TEST(it.uuid()->str() == "GPU-a");
  BOOST_TEST(it.index().value() == 1u);
  BOOST_TEST(it.model()->str() == "NVIDIA H100");
  BOOST_TEST(it.minor().value() == 3u);
  BOOST_TEST(it.gpu_percent().value() == 97u);
  BOOST_TEST(it.memory_percent().value() == 0u);
  BOOST_TEST(it.memory_used_bytes().value() == 5'000u);
  BOOST_TEST(it.memory_total_bytes().value() == 80ull << 30);
  BOOST_TEST(it.power_mw().value() == 650'000u);
  BOOST_TEST(it.temperature_c().value() == 61u);
  BOOST_TEST(it.sm_clock_mhz().value() == 1'755u);
  BOOST_TEST(it.memory_clock_mhz().value() == 2'619u);
  BOOST_REQUIRE_EQUAL(it.throttles()->size(), 2u);
  BOOST_TEST(it.throttles()->Get(1)->str() == "thermal slowdown");
  BOOST_TEST(it.xids().value() == 2u);
  BOOST_TEST(it.xid_last().value() == 79u);
  BOOST_TEST(it.energy_mj().value() == 123u);
  BOOST_TEST(it.ecc_uncorrected().value() == 2u);
  BOOST_TEST(!it.row_remap_failed().value());
  BOOST_TEST(it.pcie_sent_bytes_per_s().value() == 10'240u);
  BOOST_TEST(it.processes().value() == 2u);
  BOOST_REQUIRE_EQUAL(it.programs()->size(), 2u);
  BOOST_TEST(it.programs()->Get(0)->pid().value() == 42u);
  BOOST_TEST(it.programs()->Get(0)->memory_bytes().value() == 1u);
  BOOST_TEST(it.programs()->Get(1)->pid().value() == 43u);
  BOOST_TEST(!it.programs()->Get(1)->memory_bytes().has_value());
}

BOOST_AUTO_TEST_CASE(so_many_programs_are_told_over_all_devices) {
  const auto most_of = [](std::size_t devices) {
    std::vector<WatchedGpu> gpus(devices, busy_gpu("GPU-a"));
    for (WatchedGpu& gpu : gpus)
      gpu.thorough.processes.assign(programs_told_max + 1, {42, 1});
    const Told told(node_of({}), gpus);
    BOOST_TEST(told.device(0).processes().value() == programs_told_max + 1);
    return std::size_t{told.device(0).programs()->size()};
  };
  BOOST_TEST(most_of(1) == programs_told_max);
  BOOST_TEST(most_of(8) == programs_told_max / 8);
}

BOOST_AUTO_TEST_CASE(what_the_driver_does_not_tell_is_null) {
  WatchedGpu gpu;
  gpu.now.uuid = "GPU-a";
  const Told told(node_of({}), {gpu});
  const auto& it = told.device(0);
  BOOST_TEST(!it.index().has_value());
  BOOST_TEST(it.model() == nullptr);
  BOOST_TEST(!it.gpu_percent().has_value());
  BOOST_TEST(!it.xid_last().has_value());
  BOOST_TEST(!it.ecc_corrected().has_value());
  BOOST_TEST(!it.row_remap_pending().has_value());
  BOOST_TEST(it.xids().value() == 0u);
}

BOOST_AUTO_TEST_CASE(of_a_lost_device_only_its_name_and_its_errors_are_told) {
  WatchedGpu gpu = busy_gpu("GPU-a");
  gpu.now.lost = "GPU 0 does not answer";
  const Told told(node_of({"GPU-a"}), {gpu});
  const auto& it = told.device(0);
  BOOST_TEST(it.lost()->str() == "GPU 0 does not answer");
  BOOST_TEST(it.index().value() == 0u);
  BOOST_TEST(it.xid_last().value() == 79u);
  BOOST_TEST(!it.gpu_percent().has_value());
  BOOST_TEST(!it.energy_mj().has_value());
}

BOOST_AUTO_TEST_CASE(as_many_devices_as_a_node_may_have_fit_into_a_message) {
  std::vector<WatchedGpu> gpus;
  for (unsigned i = 0; i < cluster::devices_per_node_max + 1; ++i) {
    gpus.push_back(busy_gpu(std::string(96, 'u')));
    gpus.back().model = std::string(90, 'm') + std::to_string(i);
    gpu::Sample& rest = gpus.back().thorough;
    for (auto* number :
         {&rest.nvlink_sent_bytes, &rest.nvlink_received_bytes,
          &rest.ecc_corrected, &rest.ecc_corrected_ever,
          &rest.ecc_uncorrected_ever, &rest.pcie_received_bytes_per_s})
      *number = ~std::uint64_t{0};
    rest.processes.assign(programs_told_max, {~0u, ~std::uint64_t{0}});
    if (i % 2 == 1)
      gpus.back().now.lost = std::string(fact_detail_bytes_max + 1, 'l');
  }
  std::vector<WatchedGpu> well = gpus;
  for (WatchedGpu& gpu : well) gpu.now.lost.clear();
  (void)Told(node_of({}), well);
  const Told told(node_of({}), gpus);
  BOOST_TEST(told.stats->devices()->size() == cluster::devices_per_node_max);
  BOOST_TEST(told.device(1).lost()->size() == fact_detail_bytes_max);
  gpus.resize(cluster::devices_per_node_max);
  for (WatchedGpu& gpu : gpus)
    gpu.now.lost = std::string(fact_detail_bytes_max, 'l');
  (void)Told(node_of({}), gpus);
}

}  // namespace
}  // namespace reeve::agent::gpu_stats_test
