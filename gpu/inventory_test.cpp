#include "gpu/inventory.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <string>

#include "gpu/changes.hpp"
#include "gpu/fake_machine.hpp"
#include "gpu/nvml_abi.hpp"

namespace reeve::gpu::inventory_test {
namespace {

std::string devices(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "device\n";
  return text;
}

std::string row(const Inventory& found, std::size_t index) {
  std::string text;
  for (const Connection& connection : found.connections.at(index))
    text += (text.empty() ? "" : " ") + short_name(connection);
  return text;
}

BOOST_FIXTURE_TEST_CASE(devices_are_read_with_their_place_and_file,
                        FakeMachine) {
  numa_node("0000:1b:00.0", 1);
  const Inventory found = read("cuda 12080\n" + devices(2));
  BOOST_REQUIRE_EQUAL(found.devices.size(), 2u);
  BOOST_TEST(found.driver_version == "570.1.2");
  BOOST_TEST(found.cuda_version == "12.8");
  BOOST_TEST(found.why_none.empty());
  BOOST_TEST(found.problems.empty());
  const Device& second = found.devices[1];
  BOOST_TEST(second.uuid == "GPU-00000001");
  BOOST_TEST(second.model == "NVIDIA Fake");
  BOOST_TEST(second.memory_bytes == 80ull << 30);
  BOOST_TEST(second.minor == 62u);
  BOOST_TEST(second.pci_bus == "0000:1b:00.0");
  BOOST_TEST(second.numa_node == 1);
  BOOST_TEST(found.devices[0].numa_node == -1);
}

BOOST_FIXTURE_TEST_CASE(make_and_limits_are_read_where_the_driver_tells,
                        FakeMachine) {
  const Inventory found = read(
      "device major=9 minor_capability=0 ecc=1 ecc_pending=0 "
      "power_limit=650000 power_default=700000 power_min=200000 "
      "power_max=700001 sm_clock_max=1980 memory_clock_max=2619 "
      "pcie_gen_max=5 pcie_width_max=16\ndevice\n");
  BOOST_REQUIRE_EQUAL(found.devices.size(), 2u);
  const Device& told = found.devices[0];
  BOOST_TEST(told.compute_major == 9u);
  BOOST_TEST(told.compute_minor == 0u);
  BOOST_TEST((told.ecc == Ecc::on));
  BOOST_TEST((told.ecc_after_reset == Ecc::off));
  BOOST_TEST(told.power_limit_mw == 650000u);
  BOOST_TEST(told.power_limit_default_mw == 700000u);
  BOOST_TEST(told.power_limit_lowest_mw == 200000u);
  BOOST_TEST(told.power_limit_highest_mw == 700001u);
  BOOST_TEST(told.sm_clock_highest_mhz == 1980u);
  BOOST_TEST(told.memory_clock_highest_mhz == 2619u);
  BOOST_TEST(told.pcie_generation_highest == 5u);
  BOOST_TEST(told.pcie_width_highest == 16u);
  BOOST_TEST((found.devices[1].ecc == Ecc::unknown));
  BOOST_TEST(found.devices[1].power_limit_mw == 0u);
}

// All devices have the same connection to each other.
void check_square(const Inventory& found, int count, const char* connection) {
  BOOST_REQUIRE_EQUAL(found.devices.size(), std::size_t(count));
  BOOST_REQUIRE_EQUAL(found.connections.size(), std::size_t(count));
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < count; ++j)
      BOOST_TEST(short_name(found.connections[i][j]) ==
                 (i == j ? "X" : connection));
}

BOOST_FIXTURE_TEST_CASE(machines_of_1_to_16_gpus_with_nvlink_are_read,
                        FakeMachine) {
  for (int count = 1; count <= 16; ++count) BOOST_TEST_CONTEXT(count) {
      std::string text = devices(count);
      for (int i = 0; count > 1 && i < count; ++i)
        text += "switch " + std::to_string(i) + " " +
                std::to_string(nvml::nvlinks_max + 1) + "\n";
      check_square(read(text), count, "NV18");
    }
}

BOOST_FIXTURE_TEST_CASE(machines_of_1_to_16_gpus_without_nvlink_are_read,
                        FakeMachine) {
  for (int count = 1; count <= 16; ++count) BOOST_TEST_CONTEXT(count) {
      const Inventory found = read(devices(count));
      check_square(found, count, "SYS");
      for (const Device& device : found.devices)
        BOOST_TEST(device.nvlinks == 0u);
      BOOST_TEST(found.problems.empty());
    }
}

// Every second one in MIG mode.
BOOST_FIXTURE_TEST_CASE(machines_of_1_to_16_gpus_with_some_cut_are_read,
                        FakeMachine) {
  for (int count = 1; count <= 16; ++count) BOOST_TEST_CONTEXT(count) {
      std::string text;
      for (int i = 0; i < count; ++i) {
        text += i % 2 == 0 ? "device mig=1\n" : "device\n";
        for (int part = 0; i % 2 == 0 && part < 7; ++part)
          text += "mig " + std::to_string(i) + " uuid=MIG-" +
                  std::to_string(i) + "-" + std::to_string(part) +
                  " profile=1g.10gb gi=" + std::to_string(part + 1) +
                  " ci=0 memory_mib=9856\n";
      }
      const Inventory found = read(text);
      check_square(found, count / 2, "SYS");
      BOOST_REQUIRE_EQUAL(found.cut.size(), std::size_t((count + 1) / 2));
      for (const Device& device : found.cut)
        BOOST_TEST(device.mig.size() == 7u);
      BOOST_TEST(found.cut.back().mig.back().uuid ==
                 "MIG-" + std::to_string((count - 1) / 2 * 2) + "-6");
    }
}

// Each of them lost in turn: the others are as they were.
BOOST_FIXTURE_TEST_CASE(machines_of_1_to_16_gpus_with_a_lost_one_are_read,
                        FakeMachine) {
  for (int count = 1; count <= 16; ++count)
    for (int lost = 0; lost < count; ++lost)
      BOOST_TEST_CONTEXT(lost << " of " << count) {
        const Inventory found =
            read(devices(count) + "lost " + std::to_string(lost) + "\n");
        check_square(found, count - 1, "SYS");
        BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
        BOOST_TEST(contains(found.problems[0],
                            "GPU " + std::to_string(lost) + " is not offered"));
        for (const Device& device : found.devices)
          BOOST_TEST(device.uuid != fmt::format("GPU-{:08}", lost));
      }
}

BOOST_FIXTURE_TEST_CASE(pcie_connections_have_the_names_of_nvidia_smi,
                        FakeMachine) {
  const Inventory found = read(devices(7) +
                               "ancestor 0 1 0\nancestor 0 2 10\n"
                               "ancestor 0 3 20\nancestor 0 4 30\n"
                               "ancestor 0 5 40\nancestor 0 6 50\n");
  BOOST_TEST(row(found, 0) == "X PIX PIX PXB PHB NODE SYS");
  BOOST_TEST(row(found, 2) == "PIX SYS X SYS SYS SYS SYS");
}

BOOST_FIXTURE_TEST_CASE(direct_nvlinks_are_counted_between_each_pair,
                        FakeMachine) {
  const Inventory found =
      read(devices(4) + "nvlink 0 1 4\nnvlink 2 3 2\nancestor 0 2 30\n");
  BOOST_TEST(row(found, 0) == "X NV4 PHB SYS");
  BOOST_TEST(row(found, 3) == "SYS SYS NV2 X");
  BOOST_TEST(found.devices[0].nvlinks == 4u);
  BOOST_TEST(found.devices[3].nvlinks == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_gpu_with_fewer_links_to_the_switches_shows_it,
                        FakeMachine) {
  const Inventory found =
      read(devices(3) + "switch 0 18\nswitch 1 18\nswitch 2 17\n");
  BOOST_TEST(row(found, 0) == "X NV18 NV17");
}

BOOST_FIXTURE_TEST_CASE(connections_a_driver_does_not_tell_are_unknown,
                        FakeMachine) {
  without({"nvmlDeviceGetTopologyCommonAncestor"});
  BOOST_TEST(row(read(devices(2)), 0) == "X ?");
}

BOOST_AUTO_TEST_CASE(a_host_without_a_driver_has_none_and_says_so) {
  const Inventory found = read_inventory({"libreeve-no-such-driver.so.1", "/"});
  BOOST_TEST(found.devices.empty());
  BOOST_TEST(contains(found.why_none, "no GPU driver"));
  BOOST_TEST(found.problems.empty());
}

BOOST_FIXTURE_TEST_CASE(a_library_without_its_driver_is_no_problem,
                        FakeMachine) {
  const Inventory found = read("init 9\n");
  BOOST_TEST(found.devices.empty());
  BOOST_TEST(contains(found.why_none, "Driver Not Loaded"));
  BOOST_TEST(found.problems.empty());
}

BOOST_FIXTURE_TEST_CASE(a_driver_that_fails_is_a_problem, FakeMachine) {
  const Inventory found = read("init 999\n");
  BOOST_TEST(found.devices.empty());
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "Unknown Error"));
}

BOOST_FIXTURE_TEST_CASE(a_driver_that_does_not_count_is_a_problem,
                        FakeMachine) {
  const Inventory found = read("fail nvmlDeviceGetCount_v2 * 999\n");
  BOOST_TEST(contains(found.why_none, "does not count"));
  BOOST_TEST(found.problems.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_lost_device_is_left_out_and_named, FakeMachine) {
  const Inventory found = read(devices(2) + "lost 0\n");
  BOOST_REQUIRE_EQUAL(found.devices.size(), 1u);
  BOOST_TEST(found.devices[0].uuid == "GPU-00000001");
  BOOST_TEST(found.connections.size() == 1u);
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "GPU 0 is not offered"));
  BOOST_TEST(contains(found.problems[0], "GPU is lost"));
}

BOOST_FIXTURE_TEST_CASE(a_device_that_hides_one_needed_thing_is_left_out,
                        FakeMachine) {
  for (const char* entry :
       {"nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetMinorNumber", "nvmlDeviceGetPciInfo_v3"}) {
    const Inventory found = read(devices(3) + "fail " + entry + " 1 999\n");
    BOOST_TEST(found.devices.size() == 2u);
    BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
    BOOST_TEST(contains(found.problems[0], "GPU 1 is not offered"));
  }
}

BOOST_FIXTURE_TEST_CASE(a_device_in_mig_mode_is_read_as_it_is_cut,
                        FakeMachine) {
  capability("gpu5/mig/gi7", 66);
  capability("gpu5/mig/gi7/ci0", 67);
  const Inventory found = read(
      "device mig=1 minor=5 model=NVIDIA_H100\n"
      "mig 0 uuid=MIG-a profile=1g.10gb gi=7 ci=0 sms=16 memory_mib=9856\n"
      "mig 0 uuid=MIG-b profile=3g.40gb gi=2 ci=1 sms=60 memory_mib=40192\n"
      "device\n");
  BOOST_TEST(found.devices.size() == 1u);
  BOOST_REQUIRE_EQUAL(found.cut.size(), 1u);
  BOOST_REQUIRE_EQUAL(found.cut[0].mig.size(), 2u);
  const MigInstance& part = found.cut[0].mig[1];
  BOOST_TEST(part.uuid == "MIG-b");
  BOOST_TEST(part.profile == "3g.40gb");
  BOOST_TEST(part.gpu_instance == 2u);
  BOOST_TEST(part.compute_instance == 1u);
  BOOST_TEST(part.multiprocessors == 60u);
  BOOST_TEST(part.memory_bytes == 40192ull << 20);
  const std::vector<std::string> files = {"/dev/nvidia-caps/nvidia-cap66",
                                          "/dev/nvidia-caps/nvidia-cap67"};
  BOOST_TEST(found.cut[0].mig[0].files == files,
             boost::test_tools::per_element());
  BOOST_TEST(found.cut[0].mig[0].offered());
  BOOST_TEST(!part.offered());
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0],
                      "MIG instance MIG-b of GPU 0 is not offered: the driver "
                      "does not tell its device files"));
}

BOOST_FIXTURE_TEST_CASE(instances_that_share_a_memory_are_not_offered,
                        FakeMachine) {
  capability("gpu5/mig/gi1", 1);
  capability("gpu5/mig/gi1/ci0", 2);
  capability("gpu5/mig/gi1/ci1", 3);
  capability("gpu5/mig/gi2", 4);
  capability("gpu5/mig/gi2/ci0", 5);
  const std::string alone =
      "device mig=1 minor=5\n"
      "mig 0 uuid=MIG-a profile=1c.3g.40gb gi=1 ci=0 memory_mib=40192\n"
      "mig 0 uuid=MIG-c profile=3g.40gb gi=2 ci=0 memory_mib=40192\n";
  const std::string other =
      "mig 0 uuid=MIG-b profile=1c.3g.40gb gi=1 ci=1 memory_mib=40192\n";
  const Inventory joint = read(alone + other);
  const auto& parts = joint.cut.at(0).mig;
  BOOST_TEST(!parts.at(0).offered());
  BOOST_TEST(parts.at(1).offered());
  BOOST_TEST(!parts.at(2).offered());
  BOOST_REQUIRE_EQUAL(joint.problems.size(), 1u);
  BOOST_TEST(contains(joint.problems[0],
                      "GPU instance 1 of GPU 0 is not offered: its 2 compute "
                      "instances share one memory"));
  const Inventory apart = read(alone);
  BOOST_TEST(apart.cut.at(0).mig.at(0).offered());
  BOOST_TEST(apart.problems.empty());
}

BOOST_FIXTURE_TEST_CASE(a_device_in_mig_mode_alone_leaves_none, FakeMachine) {
  const Inventory found = read("device mig=1\n");
  BOOST_TEST(contains(found.why_none, "sees: 1; none can be offered"));
  BOOST_TEST(contains(found.problems.at(0), "not cut"));
}

BOOST_FIXTURE_TEST_CASE(instances_alone_are_enough, FakeMachine) {
  capability("gpu5/mig/gi1", 1);
  capability("gpu5/mig/gi1/ci0", 2);
  const Inventory found = read(
      "device mig=1 minor=5\nmig 0 uuid=MIG-a gi=1 ci=0 memory_mib=9856\n");
  BOOST_TEST(found.why_none.empty());
  BOOST_TEST(found.problems.empty());
}

BOOST_FIXTURE_TEST_CASE(an_old_driver_without_the_rest_still_offers,
                        FakeMachine) {
  without({"nvmlDeviceGetMigMode", "nvmlDeviceGetEccMode",
           "nvmlSystemGetCudaDriverVersion_v2", "nvmlDeviceGetNvLinkState",
           "nvmlDeviceGetCudaComputeCapability"});
  const Inventory found = read("device mig=1 ecc=1 major=9\n");
  BOOST_REQUIRE_EQUAL(found.devices.size(), 1u);
  BOOST_TEST((found.devices[0].ecc == Ecc::unknown));
  BOOST_TEST(found.devices[0].compute_major == 0u);
  BOOST_TEST(found.cuda_version.empty());
}

BOOST_FIXTURE_TEST_CASE(a_driver_without_what_is_needed_is_named, FakeMachine) {
  without({"nvmlDeviceGetPciInfo_v3"});
  const Inventory found = read("device\n");
  BOOST_TEST(found.devices.empty());
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "no nvmlDeviceGetPciInfo_v3"));
}

BOOST_AUTO_TEST_CASE(a_library_that_is_not_the_drivers_is_named) {
  const Inventory found = read_inventory({"libc.so.6", "/"});
  BOOST_TEST(found.devices.empty());
  BOOST_REQUIRE_EQUAL(found.problems.size(), 1u);
  BOOST_TEST(contains(found.problems[0], "nvmlInit_v2"));
}

std::string kinds(const std::vector<Change>& all) {
  std::string text;
  for (const Change& change : all)
    text += std::to_string(static_cast<int>(change.kind)) + change.uuid + " ";
  return text;
}

BOOST_FIXTURE_TEST_CASE(what_changed_between_two_looks_is_told, FakeMachine) {
  const Inventory whole = read("device uuid=a\ndevice uuid=b\n");
  BOOST_TEST(changes(whole, read()).empty());

  const Inventory less = read("device uuid=a\ndevice uuid=b\nlost 1\n");
  BOOST_TEST(kinds(changes(whole, less)) == "1b ");
  BOOST_TEST(kinds(changes(less, whole)) == "0b ");

  const Inventory cut = read(
      "device uuid=a mig=1\nmig 0 uuid=m profile=1g.10gb\n"
      "device uuid=b\n");
  BOOST_TEST(kinds(changes(whole, cut)) == "2a ");
  BOOST_TEST(kinds(changes(cut, whole)) == "3a ");

  const Inventory recut = read(
      "device uuid=a mig=1\nmig 0 uuid=n profile=2g.20gb\n"
      "device uuid=b\n");
  const auto told = changes(cut, recut);
  BOOST_TEST(kinds(told) == "4a ");
  BOOST_TEST(contains(told[0].text,
                      "cut into 1g.10gb and is now cut into "
                      "2g.20gb"));

  const Inventory newer = read("driver 580.1\ndevice uuid=a\ndevice uuid=b\n");
  BOOST_TEST(kinds(changes(whole, newer)) == "5 ");
}

}  // namespace
}  // namespace reeve::gpu::inventory_test
