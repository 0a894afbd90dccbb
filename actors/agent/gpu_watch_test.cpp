#include "actors/agent/gpu_watch.hpp"

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "gpu/fake_machine.hpp"

namespace reeve::agent::gpu_watch_test {
namespace {

using namespace std::chrono_literals;
using gpu::FakeMachine;

constexpr auto patience = 60s;

class Heard {
 public:
  GpuWatch::Handler handler() {
    return [this](GpuReport report) {
      const std::lock_guard lock(mutex_);
      std::vector<gpu::Change> changes = std::move(last_.changes);
      changes.insert(changes.end(), report.changes.begin(),
                     report.changes.end());
      if (!report.inventory) report.inventory = std::move(last_.inventory);
      last_ = std::move(report);
      last_.changes = std::move(changes);
      for (const WatchedGpu& gpu : last_.gpus)
        for (const gpu::Finding& one : gpu.findings)
          findings_ += gpu.now.uuid + ": " + one.reason + '\n';
      ++count_;
      more_.notify_all();
    };
  }
  // The next report that is as wanted, with all changes so far.
  template <class Wanted>
  GpuReport wait(Wanted wanted) {
    std::unique_lock lock(mutex_);
    std::size_t seen = count_;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    do {
      BOOST_REQUIRE(
          more_.wait_until(lock, deadline, [&] { return count_ > seen; }));
      seen = count_;
    } while (!wanted(last_));
    return last_;
  }
  // The newest, as soon as there is one: no other need follow.
  GpuReport any() {
    std::unique_lock lock(mutex_);
    BOOST_REQUIRE(more_.wait_for(lock, patience, [&] { return count_ > 0; }));
    return last_;
  }
  // Those since the last call, a line each.
  std::string take_findings() {
    const std::lock_guard lock(mutex_);
    return std::exchange(findings_, {});
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  GpuReport last_;
  std::string findings_;
  std::size_t count_ = 0;
};

std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                       std::filesystem::directory_iterator());
}

// Sanitizers keep a thread of their own from the first one on; and one that was
// joined may be seen for a moment more.
std::ptrdiff_t threads_before() {
  std::thread([] {}).join();
  std::this_thread::sleep_for(50ms);
  return threads();
}

bool threads_become(std::ptrdiff_t count) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (threads() != count) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

BOOST_FIXTURE_TEST_CASE(the_load_is_sampled_often_and_the_rest_is_kept,
                        FakeMachine) {
  write(
      "device uuid=a model=NVIDIA_H100 minor=3 gpu=97 energy=5 pcie_tx=1\n"
      "process 0 42 1\n");
  Heard heard;
  const GpuWatch watch({sources(), 1ms, 1h, patience}, heard.handler());
  const auto report =
      heard.wait([](const GpuReport& next) { return !next.thorough; });
  BOOST_REQUIRE_EQUAL(report.gpus.size(), 1u);
  const WatchedGpu& gpu = report.gpus[0];
  BOOST_TEST(gpu.model == "NVIDIA H100");
  BOOST_TEST(gpu.minor.value() == 3u);
  BOOST_TEST(gpu.now.gpu_percent.value() == 97u);
  BOOST_TEST(!gpu.now.energy_mj.has_value());
  BOOST_TEST(gpu.thorough.energy_mj.value() == 5u);
  BOOST_TEST(gpu.thorough.pcie_sent_bytes_per_s.value() == 1'024u);
  BOOST_TEST(gpu.thorough.processes.size() == 1u);
  BOOST_TEST(report.changes.empty());
}

BOOST_FIXTURE_TEST_CASE(who_goes_round_a_share_is_told_with_the_processes,
                        FakeMachine) {
  write("device uuid=a\nprocess 0 42 1\nprocess 0 43 1\n");
  Heard heard;
  GpuWatchOptions options{sources(), 1ms, 5ms, patience};
  options.is_unheld = [](std::uint32_t pid) { return pid == 43; };
  const GpuWatch watch(options, heard.handler());
  const std::vector<std::uint32_t> expected = {43};
  for (int i = 0; i < 2; ++i) {
    const auto report =
        heard.wait([](const GpuReport& next) { return next.thorough; });
    BOOST_TEST(report.gpus.at(0).unheld == expected,
               boost::test_tools::per_element());
  }
  const auto report =
      heard.wait([](const GpuReport& next) { return !next.thorough; });
  BOOST_TEST(report.gpus.at(0).unheld.empty());
}

BOOST_FIXTURE_TEST_CASE(servers_of_the_site_are_told_apart, FakeMachine) {
  write("device uuid=a\nprocess 0 42 1\nmps_process 0 43 1\n");
  Heard heard;
  GpuWatchOptions options{sources(), 1ms, 5ms, patience};
  options.is_unheld = [](std::uint32_t) { return true; };
  options.is_server = [](std::uint32_t pid) { return pid == 42; };
  const GpuWatch watch(options, heard.handler());
  const auto report =
      heard.wait([](const GpuReport& next) { return next.thorough; });
  const WatchedGpu& gpu = report.gpus.at(0);
  BOOST_TEST(gpu.now.processes.size() == 2u);
  BOOST_TEST(gpu.servers == std::vector<std::uint32_t>{42},
             boost::test_tools::per_element());
  BOOST_TEST(gpu.unheld == std::vector<std::uint32_t>{43},
             boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(what_is_different_is_told_with_a_thorough_look,
                        FakeMachine) {
  write("device uuid=a\ndevice uuid=b\n");
  Heard heard;
  const GpuWatch watch({sources(), 1ms, 1ms, patience}, heard.handler());
  (void)heard.wait([](const GpuReport& report) { return report.thorough; });
  write("device uuid=a\n");
  const auto report = heard.wait(
      [](const GpuReport& next) { return next.inventory.has_value(); });
  BOOST_REQUIRE_EQUAL(report.inventory->devices.size(), 1u);
  const auto& changes = report.changes;
  BOOST_REQUIRE_EQUAL(changes.size(), 1u);
  BOOST_TEST((changes[0].kind == gpu::ChangeKind::gone));
  BOOST_TEST(changes[0].uuid == "b");
}

BOOST_FIXTURE_TEST_CASE(what_there_is_comes_first_where_nobody_knows_it,
                        FakeMachine) {
  write("device uuid=a\nhang nvmlDeviceGetCount_v2\n");
  Heard heard;
  GpuWatchOptions options{sources(), 1ms, 1ms, patience};
  options.tell_first = true;
  const GpuWatch watch(options, heard.handler());
  write("device uuid=a\n");
  const auto report = heard.wait([](const GpuReport&) { return true; });
  BOOST_TEST(report.changes.empty());
  BOOST_REQUIRE(report.inventory);
  BOOST_TEST(report.inventory->devices.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_driver_that_fails_at_first_is_asked_again,
                        FakeMachine) {
  write("init 999\ndevice uuid=a\n");
  Heard heard;
  GpuWatchOptions options{sources(), 1ms, 1ms, patience};
  options.tell_first = true;
  const GpuWatch watch(options, heard.handler());
  std::this_thread::sleep_for(50ms);
  BOOST_TEST(heard.count() == 0u);
  write("device uuid=a\n");
  const auto report = heard.wait(
      [](const GpuReport& next) { return next.inventory.has_value(); });
  BOOST_TEST(report.inventory->devices.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_driver_that_is_not_loaded_is_not_waited_for,
                        FakeMachine) {
  write("init 9\ndevice uuid=a\n");
  Heard heard;
  GpuWatchOptions options{sources(), 1ms, 1h, patience};
  options.tell_first = true;
  const GpuWatch watch(options, heard.handler());
  const auto report = heard.any();
  BOOST_REQUIRE(report.inventory);
  BOOST_TEST(report.inventory->devices.empty());
}

BOOST_AUTO_TEST_CASE(that_there_is_nothing_is_told_where_nobody_knows_it) {
  Heard heard;
  GpuWatchOptions options;
  options.sources.library = "/nowhere/libnvidia-ml.so.1";
  options.tell_first = true;
  const GpuWatch watch(options, heard.handler());
  const auto report = heard.any();
  BOOST_REQUIRE(report.inventory);
  BOOST_TEST(report.inventory->devices.empty());
}

BOOST_FIXTURE_TEST_CASE(another_cut_is_told_with_what_there_is_then,
                        FakeMachine) {
  const std::string cut = "device uuid=a mig=1\nmig 0 uuid=MIG-1 gi=1 ci=0 ";
  write(cut + "profile=1g.10gb memory_mib=9856\n");
  Heard heard;
  const GpuWatch watch({sources(), 1ms, 1ms, patience}, heard.handler());
  (void)heard.wait([](const GpuReport& report) { return report.thorough; });
  write(cut + "profile=3g.40gb memory_mib=40192\n");
  const auto report = heard.wait(
      [](const GpuReport& next) { return next.inventory.has_value(); });
  BOOST_REQUIRE_EQUAL(report.changes.size(), 1u);
  BOOST_TEST((report.changes[0].kind == gpu::ChangeKind::mig_recut));
  BOOST_REQUIRE_EQUAL(report.inventory->cut.size(), 1u);
  BOOST_TEST(report.inventory->cut[0].mig.at(0).profile == "3g.40gb");
}

BOOST_FIXTURE_TEST_CASE(what_there_is_is_told_at_first_and_when_it_changes,
                        FakeMachine) {
  write("device uuid=a\ndevice uuid=b\n");
  std::mutex mutex;
  std::vector<std::size_t> told;
  Heard heard;
  {
    const GpuWatch watch({sources(), 1ms, 1ms, patience,
                          [&](const gpu::Inventory& found) {
                            const std::lock_guard lock(mutex);
                            told.push_back(found.devices.size());
                          }},
                         heard.handler());
    for (int i = 0; i < 3; ++i)
      (void)heard.wait([](const GpuReport& next) { return next.thorough; });
    write("device uuid=a\n");
    (void)heard.wait(
        [](const GpuReport& next) { return next.inventory.has_value(); });
  }
  const std::vector<std::size_t> expected = {2, 1};
  BOOST_TEST(told == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(that_there_is_no_driver_is_told_as_nothing) {
  std::mutex mutex;
  std::condition_variable more;
  std::optional<std::size_t> told;
  gpu::Sources nowhere;
  nowhere.library = "/nowhere/libnvidia-ml.so.1";
  const GpuWatch watch({nowhere, 1ms, 1ms, patience,
                        [&](const gpu::Inventory& found) {
                          const std::lock_guard lock(mutex);
                          told = found.devices.size();
                          more.notify_all();
                        }},
                       [](const GpuReport&) {});
  std::unique_lock lock(mutex);
  BOOST_REQUIRE(
      more.wait_for(lock, patience, [&] { return told.has_value(); }));
  BOOST_TEST(*told == 0u);
}

BOOST_FIXTURE_TEST_CASE(errors_are_counted_and_the_last_is_kept, FakeMachine) {
  write("device uuid=a\ndevice uuid=b\n");
  Heard heard;
  const GpuWatch watch({sources(), 1ms, 1h, patience}, heard.handler());
  (void)heard.wait([](const GpuReport&) { return true; });
  write("device uuid=a\ndevice uuid=b\nlost 1\nxid 1 48\nxid 1 79\n");
  const auto report = heard.wait(
      [](const GpuReport& next) { return next.gpus.at(1).xids == 2; });
  BOOST_TEST(report.gpus[1].last_xid.value() == 79u);
  BOOST_TEST(report.gpus[1].now.uuid == "b");
  BOOST_TEST(!report.gpus[1].now.lost.empty());
  BOOST_TEST(!report.gpus[0].last_xid.has_value());
  const auto later = heard.wait([](const GpuReport&) { return true; });
  BOOST_TEST(later.gpus.at(1).xids == 2u);
  BOOST_TEST(later.gpus[1].last_xid.value() == 79u);
}

BOOST_FIXTURE_TEST_CASE(what_is_wrong_is_found_once, FakeMachine) {
  Heard heard;
  write("device uuid=a ecc_uncorrected=2\ndevice uuid=b rows_corrected=1\n");
  const GpuWatch watch({sources(), 1ms, 5ms, patience}, heard.handler());
  // For so long that samples of all kinds have followed.
  const auto found = [&] {
    for (int i = 0; i < 20; ++i)
      (void)heard.wait([](const GpuReport&) { return true; });
    return heard.take_findings();
  };
  BOOST_TEST(found() == "");
  write("device uuid=a ecc_uncorrected=3\ndevice uuid=b rows_corrected=1\n");
  BOOST_TEST(found() ==
             "a: ECC errors in memory that could not be corrected\n");
  const std::string pending =
      "device uuid=a ecc_uncorrected=3\n"
      "device uuid=b rows_corrected=1 remap_pending=1\n";
  write(pending);
  BOOST_TEST(found() ==
             "b: a bad row of memory is to be replaced by the next reset\n");
  write(pending + "xid 1 48\n");
  BOOST_TEST(found() ==
             "b: Xid 48: an ECC error in memory that could not be corrected\n");
  write(pending + "lost 0\n");
  BOOST_TEST(found() == "a: the driver cannot reach the GPU any more\n");
}

BOOST_AUTO_TEST_CASE(without_a_driver_nothing_is_told_and_no_thread_stays) {
  const auto before = threads_before();
  Heard heard;
  const GpuWatch watch(
      {{"libreeve-no-such-driver.so.1", "/", "/"}, 1ms, 1ms, patience},
      heard.handler());
  BOOST_TEST(threads_become(before));
  BOOST_TEST(heard.count() == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_driver_that_hangs_does_not_hold_up_the_end,
                        FakeMachine) {
  const auto before = threads_before();
  write("device\nhang nvmlDeviceGetUUID\n");
  Heard heard;
  { const GpuWatch watch({sources(), 1ms, 1ms, 10ms}, heard.handler()); }
  BOOST_TEST(threads() == before + 1);
  write("device\n");
  BOOST_TEST(threads_become(before));
  BOOST_TEST(heard.count() == 0u);
}

}  // namespace
}  // namespace reeve::agent::gpu_watch_test
