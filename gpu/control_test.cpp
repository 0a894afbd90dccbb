#include "gpu/control.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>

#include "gpu/fake_machine.hpp"
#include "gpu/telemetry.hpp"

namespace reeve::gpu::control_test {
namespace {

using Pids = std::vector<std::uint32_t>;
using Sentences = std::vector<std::string>;

struct Machine : FakeMachine {
  // What was set, since the machine was made.
  std::string calls() const {
    std::ifstream file(std::getenv("REEVE_FAKE_NVML_SCRIPT") +
                       std::string(".calls"));
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

const std::string plain =
    "device uuid=GPU-a power_set=700000 app_clock=1980 app_memory_clock=2619\n"
    "device uuid=GPU-b\n";

BOOST_FIXTURE_TEST_CASE(programs_are_told_of_each_device, Machine) {
  write(plain + "process 0 17 1048576\nprocess 0 18 1048576\n");
  const Control control(sources());
  BOOST_TEST(control.why_none() == "");
  BOOST_TEST((control.processes("GPU-a") == Pids{17, 18}));
  BOOST_TEST(control.processes("GPU-b").empty());
  BOOST_TEST(control.processes("GPU-c").empty());
}

BOOST_FIXTURE_TEST_CASE(programs_that_go_through_mps_are_told_once, Machine) {
  write(plain +
        "process 0 17 1048576\nmps_process 0 18 1048576\n"
        "mps_process 0 17 1048576\nmps_process 1 19 1048576\n");
  const Control control(sources());
  BOOST_TEST((control.processes("GPU-a") == Pids{17, 18}));
  BOOST_TEST((control.processes("GPU-b") == Pids{19}));
}

BOOST_FIXTURE_TEST_CASE(programs_that_draw_are_told_once, Machine) {
  write(plain +
        "process 0 17 1048576\ngraphics_process 0 18 1048576\n"
        "graphics_process 0 17 1048576\n");
  const Control control(sources());
  BOOST_TEST((control.processes("GPU-a") == Pids{17, 18}));
  without({"nvmlDeviceGetGraphicsRunningProcesses_v3"});
  BOOST_TEST((Control(sources()).processes("GPU-a") == Pids{17}));
}

BOOST_FIXTURE_TEST_CASE(who_may_draw_is_left_out_unless_he_computes, Machine) {
  write(plain +
        "process 0 17 1048576\ngraphics_process 0 17 1048576\n"
        "graphics_process 0 18 1048576\ngraphics_process 0 19 1048576\n");
  const Control control(sources());
  const auto may = [](std::uint32_t pid) { return pid <= 18; };
  BOOST_TEST((control.processes("GPU-a", may) == Pids{17, 19}));
}

// What cannot be listed is there all the same.
BOOST_FIXTURE_TEST_CASE(more_programs_than_can_be_told_are_not_none, Machine) {
  std::string text = "device uuid=GPU-a\n";
  for (unsigned i = 0; i <= processes_per_device_max; ++i)
    text += "process 0 " + std::to_string(i + 1) + " 1\n";
  write(text);
  const Control control(sources());
  BOOST_TEST(control.processes("GPU-a").size() == processes_per_device_max);
}

BOOST_FIXTURE_TEST_CASE(instances_are_found_by_their_uuid, Machine) {
  write(
      "device uuid=GPU-a mig=1 power_set=700000\nmig 0 uuid=MIG-1 gi=1\n"
      "mig 0 uuid=MIG-2 gi=2\nprocess 0 17 1048576\n");
  const Control control(sources());
  BOOST_TEST((control.uuids() == Sentences{"GPU-a", "MIG-1", "MIG-2"}));
  BOOST_TEST((control.processes("MIG-2") == Pids{17}));
  BOOST_TEST((control.settings("MIG-2") == DeviceSettings{}));
}

BOOST_FIXTURE_TEST_CASE(rows_to_be_replaced_are_told_of_one_device, Machine) {
  write(
      "device uuid=GPU-a rows_corrected=0 remap_pending=1\n"
      "device uuid=GPU-b rows_corrected=0 remap_failed=1 mig=1\n"
      "device uuid=GPU-c\nmig 1 uuid=MIG-1 rows_corrected=0\n");
  const Control control(sources());
  BOOST_TEST((control.row_remaps("GPU-a") == RowRemaps{true, false}));
  BOOST_TEST((control.row_remaps("GPU-b") == RowRemaps{false, true}));
  for (const char* untold : {"GPU-c", "GPU-d", "MIG-1"})
    BOOST_TEST((control.row_remaps(untold) == RowRemaps{}));
  without({"nvmlDeviceGetRemappedRows"});
  BOOST_TEST((Control(sources()).row_remaps("GPU-a") == RowRemaps{}));
}

BOOST_FIXTURE_TEST_CASE(what_was_changed_is_put_back, Machine) {
  write(plain);
  const Control control(sources());
  const DeviceSettings before = control.settings("GPU-a");
  BOOST_TEST((before == DeviceSettings{700'000u, 1980u, 2619u}));
  BOOST_TEST(control.restore("GPU-a", before).empty());
  BOOST_TEST(calls() == "");
  write(
      "device uuid=GPU-a power_set=300000 app_clock=600 "
      "app_memory_clock=2619\n");
  BOOST_TEST((control.restore("GPU-a", before) ==
              Sentences{"the power limit, 700 W, of GPU-a is put back",
                        "the pair of clocks of GPU-a is put back"}));
  BOOST_TEST(calls() ==
             "nvmlDeviceSetPowerManagementLimit 0 700000\n"
             "nvmlDeviceSetApplicationsClocks 0 2619 1980\n");
  BOOST_TEST((control.settings("GPU-a") == before));
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_put_back_is_told, Machine) {
  write(
      "device uuid=GPU-a power_set=300000\n"
      "fail nvmlDeviceSetPowerManagementLimit * 4\n");
  const Control control(sources());
  BOOST_TEST((control.restore("GPU-a", {700'000u, {}, {}}) ==
              Sentences{"the power limit, 700 W, of GPU-a was changed and "
                        "cannot be put back: Unknown Error"}));
}

BOOST_FIXTURE_TEST_CASE(a_driver_without_these_entries_has_no_settings,
                        Machine) {
  write(plain);
  without({"nvmlDeviceGetPowerManagementLimit",
           "nvmlDeviceGetApplicationsClock",
           "nvmlDeviceGetComputeRunningProcesses_v3",
           "nvmlDeviceGetMPSComputeRunningProcesses_v3"});
  const Control control(sources());
  BOOST_TEST(control.why_none() == "");
  BOOST_TEST((control.settings("GPU-a") == DeviceSettings{}));
  BOOST_TEST(control.restore("GPU-a", {700'000u, 1u, 1u}).empty());
  BOOST_TEST(control.processes("GPU-a").empty());
}

BOOST_AUTO_TEST_CASE(without_a_driver_nothing_is_asked) {
  const Control control({"/nowhere/libnvidia-ml.so", "", ""});
  BOOST_TEST(control.why_none() != "");
  BOOST_TEST(control.uuids().empty());
  BOOST_TEST(control.processes("GPU-a").empty());
  BOOST_TEST(control.restore("GPU-a", {}).empty());
}

}  // namespace
}  // namespace reeve::gpu::control_test
