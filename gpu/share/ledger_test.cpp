#include "gpu/share/ledger.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace reeve::gpu::share::ledger_test {
namespace {

namespace fs = std::filesystem;

struct Place {
  Place() {
    std::string name = fs::temp_directory_path() / "reeve-share-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory = name;
    file = (directory / "ledger").string();
  }
  ~Place() { fs::remove_all(directory); }
  fs::path directory;
  std::string file;
};

DeviceShare share(std::uint64_t bytes) {
  DeviceShare it;
  it.uuid = "GPU-a";
  it.memory_bytes = bytes;
  return it;
}

using Answer = Ledger::Answer;

BOOST_FIXTURE_TEST_CASE(what_is_taken_is_seen_by_all_who_opened_it, Place) {
  Ledger one = Ledger::create(file, {share(100)}).value();
  Ledger other = Ledger::open(file).value();
  BOOST_TEST(other.find("GPU-a") == 0u);
  BOOST_TEST(other.find("GPU-b") == other.device_count());
  BOOST_TEST((one.take(0, 60) == Answer::granted));
  BOOST_TEST(other.used(0) == 60u);
  BOOST_TEST(other.free(0) == 40u);
  BOOST_TEST((other.take(0, 41) == Answer::over_limit));
  BOOST_TEST((other.take(0, 40) == Answer::granted));
  BOOST_TEST((other.take(0, 1) == Answer::over_limit));
  one.give_back(0, 100);
  BOOST_TEST(one.free(0) == 100u);
  one.give_back(0, 5);
  BOOST_TEST(one.free(0) == 100u);
  BOOST_TEST((one.take(0, ~0ull) == Answer::over_limit));
}

BOOST_FIXTURE_TEST_CASE(a_share_that_cannot_be_is_refused, Place) {
  const auto refused = [&](DeviceShare it, const char* why) {
    const auto made = Ledger::create(file, {it});
    BOOST_REQUIRE(!made);
    BOOST_TEST(made.error().find(why) != std::string::npos);
    BOOST_TEST(!fs::exists(file));
  };
  refused(share(0), "no memory");
  DeviceShare it = share(1);
  it.uuid.clear();
  refused(it, "no device");
  it = share(1);
  it.compute_milli = 0;
  refused(it, "from 1 to 1000");
  it.compute_milli = 1001;
  refused(it, "from 1 to 1000");
  it.compute_milli = 500;
  it.begin_milli = 501;
  refused(it, "ends after its period");
  it.begin_milli = ~0u;
  refused(it, "ends after its period");
  it.begin_milli = 500;
  it.period_ns = 10;
  refused(it, "from 1 ms to 1 s");
  it.period_ns = period_ns_default;
  BOOST_TEST(Ledger::create(file, {it}).has_value());
  BOOST_TEST(!Ledger::create(file, {it}));
}

BOOST_FIXTURE_TEST_CASE(a_session_has_up_to_so_many_devices, Place) {
  BOOST_TEST(!Ledger::create(file, {}));
  const std::vector<DeviceShare> most(share_devices_max, share(1));
  auto more = most;
  more.push_back(share(1));
  BOOST_TEST(!Ledger::create(file, more));
  BOOST_TEST(Ledger::create(file, most).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_file_that_is_no_ledger_is_refused, Place) {
  BOOST_TEST(!Ledger::open(file));
  std::ofstream(file) << "short";
  BOOST_TEST(!Ledger::open(file));
  std::ofstream(file) << std::string(sizeof(LedgerFile), '\0');
  const auto opened = Ledger::open(file);
  BOOST_REQUIRE(!opened);
  BOOST_TEST(opened.error().find("not the file") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(what_the_dead_held_comes_back_when_it_is_needed,
                        Place) {
  Ledger ledger = Ledger::create(file, {share(100)}).value();
  const pid_t child = ::fork();
  if (child == 0) {
    Ledger own = Ledger::open(file).value();
    ::_exit(own.take(0, 80) == Answer::granted ? 0 : 1);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  BOOST_REQUIRE_EQUAL(status, 0);
  BOOST_TEST(ledger.used(0) == 80u);
  BOOST_TEST((ledger.take(0, 30) == Answer::granted));
  BOOST_TEST(ledger.used(0) == 30u);
  BOOST_TEST(ledger.sweep() == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_process_that_leaves_holds_nothing, Place) {
  Ledger ledger = Ledger::create(file, {share(100)}).value();
  BOOST_TEST((ledger.take(0, 100) == Answer::granted));
  ledger.leave();
  BOOST_TEST(ledger.free(0) == 100u);
}

// A pid that was of another process before.
BOOST_FIXTURE_TEST_CASE(what_a_namesake_held_is_not_of_this_process, Place) {
  Ledger ledger = Ledger::create(file, {share(100)}).value();
  const int fd = ::open(file.c_str(), O_RDWR);
  auto* raw = static_cast<LedgerFile*>(::mmap(
      nullptr, sizeof(LedgerFile), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ::close(fd);
  BOOST_REQUIRE(raw != MAP_FAILED);
  raw->processes[0].pid = ::getpid();
  raw->processes[0].born = 1;
  raw->processes[0].used_bytes[0] = 40;
  BOOST_TEST((ledger.take(0, 50) == Answer::granted));
  BOOST_TEST(raw->processes[0].used_bytes[0].load() == 40u);
  ledger.give_back(0, 50);
  BOOST_TEST(ledger.used(0) == 40u);
  BOOST_TEST((ledger.take(0, 100) == Answer::granted));
  BOOST_TEST(raw->processes[0].used_bytes[0].load() == 0u);
  ::munmap(raw, sizeof *raw);
}

BOOST_FIXTURE_TEST_CASE(more_processes_than_the_bound_get_nothing, Place) {
  Ledger ledger = Ledger::create(file, {share(100)}).value();
  const int fd = ::open(file.c_str(), O_RDWR);
  auto* raw = static_cast<LedgerFile*>(::mmap(
      nullptr, sizeof(LedgerFile), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ::close(fd);
  BOOST_REQUIRE(raw != MAP_FAILED);
  for (std::size_t i = 0; i < share_processes_max - 1; ++i)
    raw->processes[i].pid = 1;  // is always there
  BOOST_TEST((ledger.take(0, 1) == Answer::granted));
  ledger.leave();
  raw->processes[share_processes_max - 1].pid = 1;
  BOOST_TEST((ledger.take(0, 1) == Answer::too_many_processes));
  ::munmap(raw, sizeof *raw);
}

BOOST_FIXTURE_TEST_CASE(many_processes_together_reach_the_limit_and_no_more,
                        Place) {
  Ledger ledger = Ledger::create(file, {share(1000)}).value();
  constexpr int children = 8;
  pid_t pids[children];
  for (pid_t& pid : pids) {
    pid = ::fork();
    if (pid != 0) continue;
    Ledger own = Ledger::open(file).value();
    for (int i = 0; i < 200; ++i) (void)own.take(0, 100);
    // They hold what they have until all have tried.
    ::pause();
    ::_exit(0);
  }
  int steady = 0;
  for (int i = 0; i < 20'000 && steady < 100; ++i) {
    steady = ledger.used(0) == 1000 ? steady + 1 : 0;
    ::usleep(1000);
  }
  BOOST_TEST(steady == 100);
  for (const pid_t pid : pids) ::kill(pid, SIGKILL);
  for (const pid_t pid : pids) ::waitpid(pid, nullptr, 0);
  BOOST_TEST(ledger.used(0) == 1000u);
  ledger.sweep();
  BOOST_TEST(ledger.used(0) == 0u);
}

}  // namespace
}  // namespace reeve::gpu::share::ledger_test
