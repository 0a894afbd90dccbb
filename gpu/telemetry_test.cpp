#include "gpu/telemetry.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "gpu/fake_machine.hpp"

namespace reeve::gpu::telemetry_test {
namespace {

using Depth = Telemetry::Depth;

BOOST_FIXTURE_TEST_CASE(everything_a_driver_tells_is_sampled, FakeMachine) {
  write(
      "device gpu=97 mem=40 used=5000 power=650000 energy=123 "
      "temperature=61 memory_temperature=70 sm_clock=1755 "
      "memory_clock=2619 pcie_gen=5 pcie_width=16 pcie_tx=10 pcie_rx=20 "
      "nvlink_tx=4 nvlink_rx=8 ecc_corrected=1 ecc_uncorrected=2 "
      "ecc_corrected_ever=3 ecc_uncorrected_ever=4 rows_corrected=5 "
      "rows_uncorrected=6 remap_pending=1 remap_failed=0 throttle=36\n"
      "process 0 4242 1048576\nprocess 0 77 18446744073709551615\n");
  Telemetry telemetry(sources());
  BOOST_REQUIRE_EQUAL(telemetry.why_none(), "");
  const auto samples = telemetry.sample(Depth::traffic);
  BOOST_REQUIRE_EQUAL(samples.size(), 1u);
  const Sample& it = samples[0];
  BOOST_TEST(it.gpu_percent.value() == 97u);
  BOOST_TEST(it.memory_percent.value() == 40u);
  BOOST_TEST(it.memory_used_bytes.value() == 5000u);
  BOOST_TEST(it.memory_total_bytes.value() == 80ull << 30);
  BOOST_TEST(it.power_mw.value() == 650000u);
  BOOST_TEST(it.energy_mj.value() == 123u);
  BOOST_TEST(it.temperature_c.value() == 61u);
  BOOST_TEST(it.memory_temperature_c.value() == 70u);
  BOOST_TEST(it.sm_clock_mhz.value() == 1755u);
  BOOST_TEST(it.memory_clock_mhz.value() == 2619u);
  BOOST_TEST(it.pcie_generation.value() == 5u);
  BOOST_TEST(it.pcie_width.value() == 16u);
  BOOST_TEST(it.pcie_sent_bytes_per_s.value() == 10240u);
  BOOST_TEST(it.pcie_received_bytes_per_s.value() == 20480u);
  BOOST_TEST(it.nvlink_sent_bytes.value() == 4096u);
  BOOST_TEST(it.nvlink_received_bytes.value() == 8192u);
  BOOST_TEST(it.ecc_corrected.value() == 1u);
  BOOST_TEST(it.ecc_uncorrected.value() == 2u);
  BOOST_TEST(it.ecc_corrected_ever.value() == 3u);
  BOOST_TEST(it.ecc_uncorrected_ever.value() == 4u);
  BOOST_TEST(it.rows_remapped_corrected.value() == 5u);
  BOOST_TEST(it.rows_remapped_uncorrected.value() == 6u);
  BOOST_TEST(it.row_remap_pending.value());
  BOOST_TEST(!it.row_remap_failed.value());
  BOOST_REQUIRE_EQUAL(it.throttles.size(), 2u);
  BOOST_TEST(name(it.throttles[0]) == "power limit");
  BOOST_TEST(name(it.throttles[1]) == "thermal slowdown");
  BOOST_REQUIRE_EQUAL(it.processes.size(), 2u);
  BOOST_TEST(it.processes[0].pid == 4242u);
  BOOST_TEST(it.processes[0].memory_bytes.value() == 1048576u);
  BOOST_TEST(!it.processes[1].memory_bytes.has_value());
}

BOOST_FIXTURE_TEST_CASE(programs_that_draw_or_go_through_mps_are_told_too,
                        FakeMachine) {
  write(
      "device uuid=GPU-a\nprocess 0 17 1024\nmps_process 0 18 2048\n"
      "mps_process 0 17 1024\ngraphics_process 0 19 4096\n"
      "graphics_process 0 17 1024\n");
  Telemetry telemetry(sources());
  const auto processes = telemetry.sample(Depth::health).at(0).processes;
  BOOST_REQUIRE_EQUAL(processes.size(), 3u);
  BOOST_TEST(processes[0].pid == 17u);
  BOOST_TEST(processes[1].pid == 18u);
  BOOST_TEST(processes[1].memory_bytes.value() == 2048u);
  BOOST_TEST(processes[2].pid == 19u);
  BOOST_TEST(processes[2].memory_bytes.value() == 4096u);
}

BOOST_FIXTURE_TEST_CASE(the_load_alone_leaves_out_what_is_dear, FakeMachine) {
  write(
      "device gpu=97 power=650000 throttle=4 energy=1 ecc_corrected=1 "
      "pcie_gen=5\nprocess 0 42 1\nxid 0 79\n");
  Telemetry telemetry(sources());
  const auto samples = telemetry.sample(Depth::load);
  BOOST_TEST(samples.at(0).gpu_percent.value() == 97u);
  BOOST_TEST(samples[0].power_mw.value() == 650000u);
  BOOST_TEST(samples[0].throttles.size() == 1u);
  BOOST_TEST(samples[0].xids.size() == 1u);
  BOOST_TEST(!samples[0].energy_mj.has_value());
  BOOST_TEST(!samples[0].ecc_corrected.has_value());
  BOOST_TEST(!samples[0].pcie_generation.has_value());
  BOOST_TEST(samples[0].processes.empty());
}

BOOST_FIXTURE_TEST_CASE(what_a_driver_does_not_tell_is_empty, FakeMachine) {
  without({"nvmlDeviceGetFieldValues", "nvmlEventSetCreate",
           "nvmlDeviceGetComputeRunningProcesses_v3"});
  write("device gpu=1\nfail nvmlDeviceGetUtilizationRates 0 3\n");
  Telemetry telemetry(sources());
  const auto samples = telemetry.sample(Depth::health);
  BOOST_REQUIRE_EQUAL(samples.size(), 1u);
  BOOST_TEST(!samples[0].gpu_percent.has_value());
  BOOST_TEST(!samples[0].power_mw.has_value());
  BOOST_TEST(!samples[0].pcie_sent_bytes_per_s.has_value());
  BOOST_TEST(!samples[0].nvlink_sent_bytes.has_value());
  BOOST_TEST(!samples[0].row_remap_pending.has_value());
  BOOST_TEST(samples[0].throttles.empty());
  BOOST_TEST(samples[0].processes.empty());
}

BOOST_FIXTURE_TEST_CASE(an_older_name_of_the_throttle_reasons_will_do,
                        FakeMachine) {
  without({"nvmlDeviceGetCurrentClocksEventReasons"});
  write("device throttle=64\n");
  Telemetry telemetry(sources());
  const auto samples = telemetry.sample(Depth::health);
  BOOST_REQUIRE_EQUAL(samples.at(0).throttles.size(), 1u);
  BOOST_TEST(name(samples[0].throttles[0]) == "hardware thermal slowdown");
}

BOOST_FIXTURE_TEST_CASE(a_device_lost_while_sampling_is_told_alone,
                        FakeMachine) {
  write("device uuid=a\ndevice uuid=b\n");
  Telemetry telemetry(sources());
  BOOST_TEST(telemetry.sample(Depth::health).at(0).lost.empty());
  write("device uuid=a\ndevice uuid=b\nlost 0\n");
  const auto samples = telemetry.sample(Depth::health);
  BOOST_REQUIRE_EQUAL(samples.size(), 2u);
  BOOST_TEST(contains(samples[0].lost, "GPU is lost"));
  BOOST_TEST(samples[1].lost.empty());
  BOOST_TEST(samples[1].uuid == "b");
}

BOOST_FIXTURE_TEST_CASE(a_lost_device_keeps_its_name_and_tells_its_xid,
                        FakeMachine) {
  write("device uuid=a\ndevice uuid=b\n");
  Telemetry telemetry(sources());
  (void)telemetry.sample(Depth::load);
  write("device uuid=a\ndevice uuid=b\nlost 1\nxid 1 79\n");
  const auto samples = telemetry.sample(Depth::load);
  BOOST_TEST(samples.at(1).uuid == "b");
  BOOST_TEST(!samples[1].lost.empty());
  BOOST_REQUIRE_EQUAL(samples[1].xids.size(), 1u);
  BOOST_TEST(samples[1].xids[0] == 79u);
}

BOOST_FIXTURE_TEST_CASE(an_xid_is_told_once_and_of_its_device, FakeMachine) {
  write("device uuid=a\ndevice uuid=b\nxid 1 79\nxid 1 48\n");
  Telemetry telemetry(sources());
  const auto samples = telemetry.sample(Depth::health);
  BOOST_TEST(samples.at(0).xids.empty());
  BOOST_REQUIRE_EQUAL(samples.at(1).xids.size(), 2u);
  BOOST_TEST(samples[1].xids[0] == 79u);
  BOOST_TEST(telemetry.sample(Depth::health).at(1).xids.empty());
}

BOOST_FIXTURE_TEST_CASE(a_storm_of_xids_is_told_in_parts, FakeMachine) {
  std::string text = "device\n";
  for (unsigned i = 0; i < xids_per_sample_max + 1; ++i) text += "xid 0 13\n";
  write(text);
  Telemetry telemetry(sources());
  BOOST_TEST(telemetry.sample(Depth::health).at(0).xids.size() ==
             xids_per_sample_max);
  BOOST_TEST(telemetry.sample(Depth::health).at(0).xids.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(many_processes_are_told_up_to_the_bound, FakeMachine) {
  std::string text = "device\n";
  for (unsigned i = 0; i < processes_per_device_max; ++i)
    text += "process 0 " + std::to_string(i + 1) + " 1\n";
  write(text);
  Telemetry telemetry(sources());
  BOOST_TEST(telemetry.sample(Depth::health).at(0).processes.size() ==
             processes_per_device_max);
  for (const char* one_more : {"process 0 9999 1\n", "mps_process 0 9999 1\n",
                               "graphics_process 0 9999 1\n"}) {
    write(text + one_more);
    BOOST_TEST(telemetry.sample(Depth::health).at(0).processes.empty());
  }
}

BOOST_FIXTURE_TEST_CASE(no_driver_is_said_and_sampled_as_nothing, FakeMachine) {
  Telemetry absent({"libreeve-no-such-driver.so.1", "/"});
  BOOST_TEST(!absent.why_none().empty());
  BOOST_TEST(absent.sample(Depth::traffic).empty());
  write("init 9\n");
  Telemetry idle(sources());
  BOOST_TEST(contains(idle.why_none(), "Driver Not Loaded"));
  BOOST_TEST(idle.sample(Depth::traffic).empty());
}

}  // namespace
}  // namespace reeve::gpu::telemetry_test
