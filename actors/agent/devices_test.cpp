#include "actors/agent/devices.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "actors/agent/gpu_use.hpp"
#include "actors/agent/inventory.hpp"

namespace reeve::agent::devices_test {
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

// ---- what shares need

BOOST_AUTO_TEST_CASE(the_library_for_shares_is_beside_the_programs_or_in_lib) {
  namespace fs = std::filesystem;
  std::string name = fs::temp_directory_path() / "reeve-install-XXXXXX";
  BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
  const fs::path root = name;
  const std::string programs = root / "bin";
  fs::create_directories(root / "lib");
  fs::create_directories(programs);
  const auto missing = share_library(programs);
  BOOST_REQUIRE(!missing);
  BOOST_TEST(missing.error().text.starts_with(programs + " has no lib"));
  const fs::path in_lib = root / "lib/libreeve-gpu-share.so";
  const fs::path beside = root / "bin/libreeve-gpu-share.so";
  std::ofstream(in_lib) << "x";
  fs::permissions(in_lib, fs::perms(0755));
  BOOST_TEST(share_library(programs).value() == in_lib.string());
  std::ofstream(beside) << "x";
  fs::permissions(beside, fs::perms(0644));
  BOOST_TEST(share_library(programs).value() == beside.string());
  // A user could not load it, and would run without.
  fs::permissions(beside, fs::perms(0750));
  BOOST_TEST(share_library(programs).value() == in_lib.string());
  fs::remove_all(root);
}

BOOST_AUTO_TEST_CASE(a_probe_that_cannot_be_run_is_none) {
  for (const char* wanted : {"/nowhere/reeve-gpu-probe", "/etc/passwd"}) {
    const auto none = probe_program(wanted);
    BOOST_REQUIRE(!none);
    BOOST_TEST((none.error().code == Errc::not_found));
    BOOST_TEST(none.error().text.starts_with(std::string(wanted) +
                                             " is missing or not executable"));
  }
  // With a driver it is as it was wanted; without, nothing is.
  const auto there = probe_program("/bin/sh");
  if (there)
    BOOST_TEST(*there == "/bin/sh");
  else
    BOOST_TEST(there.error().text.find("libcuda.so.1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_parent_is_found) {
  // In a pid namespace of our own nothing is told.
  const int found = parent_of(::getpid());
  BOOST_TEST((found == ::getppid() || found == 0));
  BOOST_TEST(parent_of(-1) == 0);
}

}  // namespace
}  // namespace reeve::agent::devices_test
