#include "gpu/inventory.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace reeve::gpu {
namespace {

namespace fs = std::filesystem;

// A directory of PCI devices where the second fake GPU is on NUMA node 1.
struct Host {
  Host() {
    std::string name = (fs::temp_directory_path() / "reeve-gpu-XXXXXX");
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory = name;
    fs::create_directory(directory / "0000:1b:00.0");
    std::ofstream(directory / "0000:1b:00.0" / "numa_node") << "1\n";
  }
  ~Host() {
    fs::remove_all(directory);
    ::unsetenv("REEVE_FAKE_GPUS");
  }
  Inventory read(const char* gpus) const {
    ::setenv("REEVE_FAKE_GPUS", gpus, 1);
    return read_inventory({REEVE_FAKE_NVML, directory.string()});
  }
  fs::path directory;
};

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

BOOST_FIXTURE_TEST_CASE(devices_are_read_with_their_place_and_file, Host) {
  const Inventory found = read("gg");
  BOOST_REQUIRE_EQUAL(found.devices.size(), 2u);
  BOOST_TEST(found.driver_version == "570.1.2");
  BOOST_TEST(found.why_none.empty());
  BOOST_TEST(found.problems.empty());
  const Device& second = found.devices[1];
  BOOST_TEST(second.uuid == "GPU-00000001");
  BOOST_TEST(second.model == "NVIDIA Fake");
  BOOST_TEST(second.memory_bytes == 80ull << 30);
  BOOST_TEST(second.minor == 6u);
  BOOST_TEST(second.pci_bus == "0000:1b:00.0");
  BOOST_TEST(second.numa_node == 1);
  BOOST_TEST(found.devices[0].numa_node == -1);
}

BOOST_FIXTURE_TEST_CASE(a_host_without_a_driver_has_none_and_says_so, Host) {
  const Inventory found = read_inventory({"libreeve-no-such-driver.so.1", "/"});
  BOOST_TEST(found.devices.empty());
  BOOST_TEST(contains(found.why_none, "no GPU driver"));
  BOOST_TEST(found.problems.empty());
}

BOOST_FIXTURE_TEST_CASE(a_library_without_its_driver_is_no_problem, Host) {
  const Inventory found = read("!");
  BOOST_TEST(found.devices.empty());
  BOOST_TEST(contains(found.why_none, "Driver Not Loaded"));
  BOOST_TEST(found.problems.empty());
}

BOOST_FIXTURE_TEST_CASE(a_driver_that_fails_is_a_problem, Host) {
  const Inventory found = read("?");
  BOOST_TEST(found.devices.empty());
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "Unknown Error"));
}

BOOST_FIXTURE_TEST_CASE(a_lost_device_is_left_out_and_named, Host) {
  const Inventory found = read("lg");
  BOOST_REQUIRE_EQUAL(found.devices.size(), 1u);
  BOOST_TEST(found.devices[0].uuid == "GPU-00000001");
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "GPU 0 is not offered"));
  BOOST_TEST(contains(found.problems[0], "GPU is lost"));
}

BOOST_FIXTURE_TEST_CASE(a_device_in_mig_mode_is_left_out_and_named, Host) {
  const Inventory found = read("m");
  BOOST_TEST(found.devices.empty());
  BOOST_TEST(contains(found.why_none, "none of the 1 GPUs"));
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "MIG mode"));
}

BOOST_FIXTURE_TEST_CASE(a_library_that_is_not_the_drivers_is_named, Host) {
  const Inventory found = read_inventory({"libc.so.6", "/"});
  BOOST_TEST(found.devices.empty());
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "nvmlInit_v2"));
}

}  // namespace
}  // namespace reeve::gpu
