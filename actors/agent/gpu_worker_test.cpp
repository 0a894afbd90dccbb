// The worker with a driver and a probe that are the test's own.
#include "actors/agent/gpu_worker.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "actors/agent/gpu_records.hpp"
#include "gpu/fake_machine.hpp"

namespace reeve::agent::gpu_worker_test {
namespace {

using namespace std::chrono_literals;
using schema::DeviceVerdict;

constexpr auto patience = 60s;

const std::string all_is_well =
    "echo '{\"check\":\"device\",\"seconds\":0,"
    "\"figures\":{\"memory_bytes\":8e10},\"wrong\":[]}'\n"
    "echo '{\"check\":\"'$1'\",\"seconds\":1,\"figures\":"
    "{\"memory_read\":3.1e12,\"cleared_bytes\":7.9e10},\"wrong\":[]}'\n"
    "echo '{\"check\":\"end\",\"seconds\":0,\"figures\":{},\"wrong\":[]}'\n";

class Results {
 public:
  GpuWorker::Handler handler() {
    return [this](GpuJobDone done) {
      const std::lock_guard lock(mutex_);
      all_.push_back(std::move(done));
      more_.notify_all();
    };
  }
  GpuJobDone wait() {
    std::unique_lock lock(mutex_);
    BOOST_REQUIRE(
        more_.wait_for(lock, patience, [&] { return !all_.empty(); }));
    GpuJobDone done = std::move(all_.front());
    all_.pop_front();
    return done;
  }
  bool empty() {
    const std::lock_guard lock(mutex_);
    return all_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<GpuJobDone> all_;
};

struct Bench : gpu::FakeMachine {
  Bench() {
    write("device uuid=GPU-a power_set=700000\n");
    probe(all_is_well);
  }

  std::string place(const char* name) const {
    return sources().pci_devices + "/" + name;
  }
  // The script says "$1" for what it is asked to do.
  void probe(const std::string& script) const {
    std::ofstream(place("probe")) << "#!/bin/sh\n" << script;
    ::chmod(place("probe").c_str(), 0755);
  }
  std::string read(const char* name) const {
    std::ifstream file(place(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  GpuWorkerOptions options() const {
    return {.sources = sources(),
            .directory = place("gpus"),
            .processes_wait = 200ms,
            .leave_after = patience,
            .is_display = [](std::uint32_t) { return false; }};
  }
  GpuRecords records() const { return GpuRecords(place("gpus")); }
  GpuJob job(GpuWork work, const char* owner = "1000 ann") const {
    GpuJob made;
    made.id = 4;
    made.work = work;
    made.uuid = "GPU-a";
    made.model = "NVIDIA H100 80GB HBM3";
    made.probe = place("probe");
    made.owner = owner;
    return made;
  }
  GpuJobDone perform(const GpuJob& job) {
    Results results;
    GpuWorker worker(options(), results.handler());
    worker.begin(job);
    return results.wait();
  }
};

BOOST_FIXTURE_TEST_CASE(a_test_is_made_and_remembered, Bench) {
  for (int i = 0; i < 3; ++i) {
    const auto done = perform(job(GpuWork::full_test));
    BOOST_TEST(done.id == 4u);
    BOOST_TEST(done.uuid == "GPU-a");
    BOOST_CHECK(done.verdict == DeviceVerdict::healthy);
    BOOST_TEST(done.text == "");
    BOOST_TEST(done.figures.at(0).name == "memory_read");
  }
  BOOST_TEST(records().history("GPU-a").median("memory_read").value() ==
             3.1e12);
}

BOOST_FIXTURE_TEST_CASE(the_probe_is_told_what_to_do_and_with_which_device,
                        Bench) {
  probe("echo $1 $CUDA_VISIBLE_DEVICES >> \"$(dirname $0)/seen\"\n" +
        all_is_well);
  perform(job(GpuWork::quick_test));
  perform(job(GpuWork::full_test));
  perform(job(GpuWork::hand_over));
  BOOST_TEST(read("seen") == "quick GPU-a\nfull GPU-a\nclear GPU-a\n");
}

BOOST_FIXTURE_TEST_CASE(a_faulty_device_is_told_and_sets_no_standard, Bench) {
  probe(
      "echo '{\"check\":\"fp32\",\"seconds\":1,\"figures\":{\"fp32\":6e13},"
      "\"wrong\":[\"a bit\"]}'\nexit 1\n");
  const auto done = perform(job(GpuWork::quick_test));
  BOOST_CHECK(done.verdict == DeviceVerdict::faulty);
  BOOST_TEST(done.text == "the probe found it faulty: fp32: a bit");
  BOOST_TEST(records().history("GPU-a").to_text() == "");
}

BOOST_FIXTURE_TEST_CASE(a_table_of_the_sites_own_counts, Bench) {
  GpuWorkerOptions own = options();
  own.models =
      *gpu::probe::Models::parse("model NVIDIA\nmemory_read 9e12 0.9\n");
  Results results;
  GpuWorker worker(own, results.handler());
  GpuJob unknown = job(GpuWork::quick_test);
  unknown.model = "NVIDIA Unknown";
  worker.begin(unknown);
  BOOST_CHECK(results.wait().verdict == DeviceVerdict::slow);
}

BOOST_FIXTURE_TEST_CASE(a_device_with_a_bad_row_passes_no_test, Bench) {
  for (const char* flag : {"remap_pending", "remap_failed"}) {
    write(std::string("device uuid=GPU-other\ndevice uuid=GPU-a "
                      "rows_corrected=0 ") +
          flag + "=1\n");
    const auto done = perform(job(GpuWork::full_test));
    BOOST_CHECK(done.verdict == DeviceVerdict::faulty);
    BOOST_TEST(gpu::contains(done.text, "a bad row of memory"), done.text);
    BOOST_TEST(records().history("GPU-a").to_text() == "");
  }
  write(
      "device uuid=GPU-other rows_corrected=0 remap_failed=1\n"
      "device uuid=GPU-a rows_corrected=0\n");
  BOOST_CHECK(perform(job(GpuWork::full_test)).verdict ==
              DeviceVerdict::healthy);
}

BOOST_FIXTURE_TEST_CASE(without_the_probe_there_is_no_test, Bench) {
  GpuJob bare = job(GpuWork::quick_test);
  bare.probe.clear();
  const auto done = perform(bare);
  BOOST_CHECK(done.verdict == DeviceVerdict::not_tested);
  BOOST_TEST(gpu::contains(done.text, "cannot test GPUs"));
  GpuJob gone = job(GpuWork::quick_test);
  gone.probe = "/nowhere/probe";
  BOOST_CHECK(perform(gone).verdict == DeviceVerdict::not_tested);
}

BOOST_FIXTURE_TEST_CASE(a_device_that_others_use_is_not_tested, Bench) {
  write("device uuid=GPU-a\nprocess 0 17 1048576\nprocess 0 18 1\n");
  const auto done = perform(job(GpuWork::full_test));
  BOOST_CHECK(done.verdict == DeviceVerdict::not_tested);
  BOOST_TEST(done.text == "programs that no session started use it: 17, 18");
}

BOOST_FIXTURE_TEST_CASE(a_device_is_cleaned_and_its_owner_written_down, Bench) {
  BOOST_TEST(perform(job(GpuWork::hand_over)).unclean == "");
  BOOST_TEST(records().owners().at("GPU-a") == "1000 ann");
  probe(
      "echo '{\"check\":\"clear\",\"seconds\":1,\"figures\":{},"
      "\"wrong\":[\"16 samples were not zero\"]}'\nexit 1\n");
  BOOST_TEST(perform(job(GpuWork::hand_over, "1001 bob")).unclean ==
             "clear: 16 samples were not zero");
  BOOST_TEST(records().owners().empty());
}

BOOST_FIXTURE_TEST_CASE(a_device_is_not_clean_while_programs_use_it, Bench) {
  write("device uuid=GPU-a\nprocess 0 17 1048576\n");
  BOOST_TEST(perform(job(GpuWork::hand_over)).unclean ==
             "programs still use it: 17");
  Results results;
  GpuWorkerOptions patient = options();
  patient.processes_wait = patience;
  GpuWorker worker(patient, results.handler());
  worker.begin(job(GpuWork::hand_over));
  write("device uuid=GPU-a\n");
  BOOST_TEST(results.wait().unclean == "");
}

BOOST_FIXTURE_TEST_CASE(a_program_that_draws_uses_it_too, Bench) {
  write("device uuid=GPU-a\ngraphics_process 0 17 1048576\n");
  BOOST_TEST(perform(job(GpuWork::hand_over)).unclean ==
             "programs still use it: 17");
}

BOOST_FIXTURE_TEST_CASE(a_display_stays_from_one_owner_to_the_next, Bench) {
  write(
      "device uuid=GPU-a\ngraphics_process 0 17 1048576\n"
      "graphics_process 0 18 1048576\n");
  GpuWorkerOptions with_display = options();
  with_display.is_display = [](std::uint32_t pid) { return pid == 17; };
  Results results;
  GpuWorker worker(with_display, results.handler());
  worker.begin(job(GpuWork::hand_over));
  BOOST_TEST(results.wait().unclean == "programs still use it: 18");
  write("device uuid=GPU-a\ngraphics_process 0 17 1048576\n");
  worker.begin(job(GpuWork::hand_over));
  BOOST_TEST(results.wait().unclean == "");
  worker.begin(job(GpuWork::full_test));
  BOOST_CHECK(results.wait().verdict == DeviceVerdict::healthy);
}

BOOST_FIXTURE_TEST_CASE(the_server_of_the_sites_mps_is_not_left_over, Bench) {
  write("device uuid=GPU-a\nprocess 0 17 1048576\n");
  Results results;
  GpuWorkerOptions with_mps = options();
  with_mps.is_server = [](std::uint32_t pid) { return pid == 17; };
  GpuWorker worker(with_mps, results.handler());
  worker.begin(job(GpuWork::hand_over));
  BOOST_TEST(results.wait().unclean == "");
  worker.begin(job(GpuWork::full_test));
  BOOST_CHECK(results.wait().verdict == DeviceVerdict::healthy);
  // Its clients are.
  write("device uuid=GPU-a\nprocess 0 17 1048576\nmps_process 0 18 1\n");
  worker.begin(job(GpuWork::hand_over));
  BOOST_TEST(results.wait().unclean == "programs still use it: 18");
}

BOOST_FIXTURE_TEST_CASE(what_its_owner_set_is_put_back, Bench) {
  Results results;
  GpuWorker worker(options(), results.handler());
  worker.begin(job(GpuWork::hand_over));
  BOOST_TEST(results.wait().unclean == "");
  BOOST_TEST(read("machine.txt.calls") == "");
  write("device uuid=GPU-a power_set=300000\n");
  worker.begin(job(GpuWork::hand_over, "1001 bob"));
  BOOST_TEST(results.wait().unclean == "");
  BOOST_TEST(read("machine.txt.calls") ==
             "nvmlDeviceSetPowerManagementLimit 0 700000\n");
}

BOOST_FIXTURE_TEST_CASE(a_device_that_hangs_holds_up_no_other, Bench) {
  const std::string other = "device uuid=GPU-b power_set=700000\n";
  write("device uuid=GPU-a power_set=700000\n" + other);
  Results results;
  GpuWorker worker(options(), results.handler());
  worker.begin(job(GpuWork::hand_over));
  BOOST_TEST(results.wait().unclean == "");
  write("device uuid=GPU-a power_set=300000\n" + other +
        "hang nvmlDeviceSetPowerManagementLimit\n");
  worker.begin(job(GpuWork::hand_over));
  ::usleep(300'000);  // by then it stands in the driver
  GpuJob free = job(GpuWork::hand_over);
  free.uuid = "GPU-b";
  worker.begin(free);
  BOOST_TEST(results.wait().uuid == "GPU-b");
  write("device uuid=GPU-a power_set=300000\n" + other);
  BOOST_TEST(results.wait().uuid == "GPU-a");
}

BOOST_FIXTURE_TEST_CASE(a_test_waits_for_no_other_device, Bench) {
  std::string text =
      "device uuid=GPU-other rows_corrected=0\n"
      "device uuid=GPU-a rows_corrected=0\n";
  for (const char* entry :
       {"nvmlDeviceRegisterEvents", "nvmlDeviceGetTotalEccErrors",
        "nvmlDeviceGetRemappedRows", "nvmlDeviceGetComputeRunningProcesses_v3"})
    text += std::string("hang ") + entry + " 0\n";
  write(text);
  BOOST_CHECK(perform(job(GpuWork::full_test)).verdict ==
              DeviceVerdict::healthy);
}

BOOST_FIXTURE_TEST_CASE(a_note_touches_no_device, Bench) {
  write("device uuid=GPU-a\nprocess 0 17 1048576\n");
  probe("echo $1 >> \"$(dirname $0)/seen\"\n");
  BOOST_TEST(perform(job(GpuWork::note, "")).unclean == "");
  BOOST_TEST(read("seen") == "");
  BOOST_TEST(records().owners().empty());
}

BOOST_FIXTURE_TEST_CASE(without_a_driver_a_device_goes_to_its_next_owner,
                        Bench) {
  GpuWorkerOptions bare = options();
  bare.sources.library = "/nowhere/libnvidia-ml.so";
  Results results;
  GpuWorker worker(bare, results.handler());
  GpuJob given = job(GpuWork::hand_over);
  given.probe.clear();
  worker.begin(given);
  BOOST_TEST(results.wait().unclean == "");
}

BOOST_FIXTURE_TEST_CASE(its_end_kills_the_probe_and_tells_nothing, Bench) {
  probe("echo $$ > \"$(dirname $0)/pid\"\nexec sleep 1000\n");
  Results results;
  {
    GpuWorker worker(options(), results.handler());
    worker.begin(job(GpuWork::full_test));
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (read("pid").empty() && std::chrono::steady_clock::now() < deadline)
      ::usleep(1000);
    BOOST_REQUIRE(!read("pid").empty());
  }
  BOOST_TEST(results.empty());
  BOOST_TEST(::kill(std::stoi(read("pid")), 0) != 0);
}

}  // namespace
}  // namespace reeve::agent::gpu_worker_test
