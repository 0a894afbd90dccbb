#include "actors/agent/devices.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::agent {
namespace {

gpu::Device device(const std::string& uuid, std::uint32_t minor) {
  gpu::Device made;
  made.uuid = uuid;
  made.model = "NVIDIA H100";
  made.memory_bytes = 80;
  made.minor = minor;
  made.numa_node = 1;
  return made;
}

gpu::MigInstance instance(const std::string& uuid, const std::string& profile) {
  gpu::MigInstance made;
  made.uuid = uuid;
  made.profile = profile;
  made.memory_bytes = 10;
  made.files = {"/dev/nvidia-caps/nvidia-cap3", "/dev/nvidia-caps/nvidia-cap4"};
  return made;
}

BOOST_AUTO_TEST_CASE(instances_are_devices_of_a_model_of_their_own) {
  gpu::Inventory found;
  gpu::Device cut = device("GPU-a", 2);
  cut.mig = {instance("MIG-1", "1g.10gb"), instance("MIG-2", "")};
  found.cut = {cut};
  found.problems = {"MIG-2 is not offered"};
  Node node;
  node.limits = {"a limit"};
  add_devices(found, node);
  BOOST_REQUIRE_EQUAL(node.devices.size(), 1u);
  const NodeDevice& part = node.devices[0];
  BOOST_TEST(part.uuid == "MIG-1");
  BOOST_TEST(part.model == "NVIDIA H100 MIG 1g.10gb");
  BOOST_TEST(part.memory_bytes == 10u);
  BOOST_TEST(part.numa_node == 1);
  BOOST_TEST(part.mig_of == "GPU-a");
  const std::vector<std::string> paths = {"/dev/nvidia2",
                                          "/dev/nvidia-caps/nvidia-cap3",
                                          "/dev/nvidia-caps/nvidia-cap4"};
  BOOST_TEST(part.paths == paths, boost::test_tools::per_element());
  const std::vector<std::string> limits = {"a limit", "MIG-2 is not offered"};
  BOOST_TEST(node.limits == limits, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(links_are_told_of_whole_devices) {
  using gpu::Connection;
  using gpu::Way;
  gpu::Inventory found;
  found.devices = {device("GPU-a", 0), device("GPU-b", 1), device("GPU-c", 2)};
  const Connection self{Way::self, 0};
  const Connection nvlink{Way::nvlink, 18};
  const Connection unknown{};
  const Connection bridge{Way::pcie_switches, 0};
  found.connections = {{self, nvlink, unknown},
                       {nvlink, self, bridge},
                       {unknown, unknown, self}};
  gpu::Device cut = device("GPU-d", 3);
  cut.mig = {instance("MIG-1", "7g.80gb")};
  found.cut = {cut};
  Node node;
  add_devices(found, node);
  using schema::DeviceLink;
  BOOST_REQUIRE_EQUAL(node.devices.size(), 4u);
  const std::vector<DeviceLink> first = {DeviceLink::none, DeviceLink::nvlink,
                                         DeviceLink::none, DeviceLink::none};
  const std::vector<DeviceLink> second = {DeviceLink::nvlink, DeviceLink::none,
                                          DeviceLink::pcie_switch,
                                          DeviceLink::none};
  BOOST_CHECK(node.devices[0].links == first);
  BOOST_CHECK(node.devices[1].links == second);
  BOOST_TEST(node.devices[2].links.empty());
  BOOST_TEST(node.devices[3].links.empty());
}

}  // namespace
}  // namespace reeve::agent
