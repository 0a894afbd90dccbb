// Syncs that fail and disks that are full, while the log runs.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>

#include "store/database.hpp"
#include "store/fault_env.hpp"
#include "store/file.hpp"
#include "store/reserve.hpp"
#include "store/test_log.hpp"

namespace fault_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;
namespace fs = std::filesystem;

namespace {

struct FaultRun {
  bool opened = false;
  Head acknowledged;
  std::optional<Error> error;
};

// Appends until a fault shows or `records` are in; what was acknowledged.
FaultRun run_with_faults(const fs::path& directory, Faults& faults,
                         std::uint32_t records) {
  const auto env = make_fault_env(faults);
  LogOptions options = small_log(directory);
  options.floor_bytes = 0;
  options.write_buffer_bytes = 64u << 10;
  options.env = env.get();
  FaultRun run;
  const auto log = Log::open(options);
  if (!log) {
    run.error = log.error();
    return run;
  }
  run.opened = true;
  for (std::uint32_t i = 0; i < records && !run.error; ++i) {
    const std::uint64_t next = (*log)->head().sequence + 1;
    const auto head = (*log)->append(1, 40, make_events(next, 40));
    if (!head) run.error = head.error();
  }
  run.acknowledged = (*log)->head();
  if (run.error) {
    BOOST_TEST((*log)->failed());
    const auto again =
        (*log)->append(1, 1, make_events(run.acknowledged.sequence + 1, 1));
    BOOST_TEST(!again);
    BOOST_TEST((*log)->head().sequence == run.acknowledged.sequence);
  }
  return run;
}

void check_each_failing_sync(bool lose_unsynced) {
  constexpr std::uint32_t records = 14;
  std::uint64_t failures = 0;
  for (std::uint64_t failing = 1; failing < 80; ++failing) {
    const TemporaryDirectory root;
    const fs::path directory = root.path() / "log";
    Faults faults;
    faults.failing_sync = failing;
    const FaultRun run = run_with_faults(directory, faults, records);
    if (!run.error && faults.syncs < failing) break;
    failures += run.error.has_value();
    if (run.error) BOOST_TEST((run.error->code == Errc::io), run.error->text);
    if (lose_unsynced) faults.lose_unsynced();
    LogOptions options = small_log(directory);
    const auto log = Log::open(options);
    BOOST_REQUIRE_MESSAGE(log,
                          "after sync " << failing << ": " << log.error().text);
    const std::uint64_t head = (*log)->head().sequence;
    BOOST_TEST(head >= run.acknowledged.sequence, "sync " << failing);
    BOOST_TEST(head <= run.acknowledged.sequence + 40, "sync " << failing);
    BOOST_TEST(must(count_whole(*(*log)->reader(), 1, ~0ull)) == head);
    fill(**log, 1);
  }
  BOOST_TEST(failures > records);
}

constexpr char disk_variable[] = "REEVE_TEST_SMALL_DISK";
constexpr int no_mount = 77;

// In a program of its own: a forked child would miss RocksDB's threads, and
// they would miss the mount.
[[noreturn]] void run_case_on_small_disk(const std::string& name,
                                         const fs::path& disk,
                                         const std::string& size) {
  if (::unshare(CLONE_NEWNS) != 0 &&
      ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
    ::_exit(no_mount);
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, ("size=" + size).c_str()) != 0)
    ::_exit(no_mount);
  ::setenv(disk_variable, disk.c_str(), 1);
  const std::string run = "--run_test=" + name;
  ::execl("/proc/self/exe", "store_fault_test", run.c_str(), nullptr);
  ::_exit(1);
}

// Runs `body` in a process that alone sees a small disk.
void on_small_disk(const std::string& size,
                   const std::function<void(const fs::path&)>& body) {
  if (const char* disk = std::getenv(disk_variable)) return body(disk);
  const TemporaryDirectory disk;
  const std::string name =
      boost::unit_test::framework::current_test_case().full_name();
  const pid_t child = ::fork();
  if (child == 0) run_case_on_small_disk(name, disk.path(), size);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == no_mount) {
    // `tests/run` tells of it.
    std::cerr << "skipped: " << name << ": this host lets us mount no tmpfs\n";
    return;
  }
  BOOST_TEST(WIFEXITED(status), "ended by signal " << WTERMSIG(status));
  BOOST_TEST(WEXITSTATUS(status) == 0);
}

void expect(bool condition, const std::string& text) {
  if (condition) return;
  std::cerr << "not so: " << text << '\n';
  ::_exit(1);
}

void take_space(const fs::path& file, std::uint64_t bytes) {
  const FileHandle fd(::open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  expect(::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)) == 0,
         "filler laid");
}

void take_all_but(const fs::path& file, std::uint64_t bytes) {
  const std::uint64_t free_bytes = fs::space(file.parent_path()).available;
  if (free_bytes > bytes) take_space(file, free_bytes - bytes);
}

LogOptions disk_log(const fs::path& directory, std::uint64_t floor_bytes) {
  LogOptions options = small_log(directory);
  options.floor_bytes = floor_bytes;
  options.write_buffer_bytes = 1u << 20;
  return options;
}

// Waits out the interval at which the disk is looked at.
bool admission_becomes(const Log& log, bool open) {
  for (int i = 0; i < 1000; ++i) {
    if (log.admission_open() == open) return true;
    ::usleep(10'000);
  }
  return false;
}

void fill_above_the_floor(const fs::path& disk) {
  constexpr std::uint64_t mib = 1u << 20;
  constexpr std::uint64_t floor_bytes = 4 * mib;
  const auto log = must(Log::open(disk_log(disk / "log", floor_bytes)));
  expect(log->admission_open(), "admission is open on an empty disk");
  expect(fs::exists(disk / "log" / "ballast"), "the ballast is laid");
  take_space(disk / "filler", 8 * mib);
  while (log->admission_open()) fill(*log, 1, 100);
  const std::string room = log->room();
  expect(room.find((disk / "log").string() + " has ") != std::string::npos &&
             room.find(" MiB free") != std::string::npos &&
             room.find("(log.floor is 4 MiB)") != std::string::npos,
         room);
  const std::uint64_t closed_at = log->head().sequence;
  std::optional<Error> refused;
  while (!refused) {
    const std::uint64_t next = log->head().sequence + 1;
    const auto head = log->append(1, 10, make_events(next, 10));
    if (!head) refused = head.error();
  }
  expect(refused->code == Errc::no_space, refused->text);
  expect(!log->failed(), "a refusal for space is no failure");
  expect(log->head().sequence > closed_at + 100, "the reserve held facts");
  expect(!fs::exists(disk / "log" / "ballast"), "the ballast was given up");
  expect(must(count_whole(*log->reader(), 1, ~0ull)) == log->head().sequence,
         "all that was acknowledged is there");
  expect(!log->put_snapshot(1, Hash{}, {}), "no snapshot without space");
  fs::remove(disk / "filler");
  expect(admission_becomes(*log, true), "admission opens when space is back");
  fill(*log, 5, 100);
  expect(fs::exists(disk / "log" / "ballast"), "the ballast is laid again");
}

// Another program takes all there is, and what the ballast gave up, too.
void lose_the_last_byte(const fs::path& disk) {
  constexpr std::uint64_t mib = 1u << 20;
  constexpr std::uint64_t floor_bytes = 4 * mib;
  const auto log = must(Log::open(disk_log(disk / "log", floor_bytes)));
  expect(fs::exists(disk / "log" / "reserve"), "the reserve is laid");
  take_all_but(disk / "filler", mib);
  expect(admission_becomes(*log, false), "admission closes");
  expect(!fs::exists(disk / "log" / "ballast"), "the ballast was given up");
  expect(log->room().find("new sessions need 8 MiB") != std::string::npos,
         log->room());
  take_all_but(disk / "more", 0);
  expect(fs::space(disk).available == 0, "not a byte is left");
  fill(*log, 1, 10);
  expect(!fs::exists(disk / "log" / "reserve"), "the reserve was given up");
  fill(*log, 20, 10);
  take_all_but(disk / "rest", 0);
  const std::uint64_t next = log->head().sequence + 1;
  const auto head = log->append(1, 10, make_events(next, 10));
  expect(!head && head.error().code == Errc::no_space, "nothing is left");
  const auto indexed =
      log->extend_index(10, [](const auto&, std::vector<Entity>&) {});
  expect(!indexed && indexed.error().code == Errc::no_space,
         "no index without space");
  expect(!log->failed(), "a refusal for space is no failure");
  for (const char* name : {"filler", "more", "rest"}) fs::remove(disk / name);
  expect(admission_becomes(*log, true), "admission opens when space is back");
  expect(fs::exists(disk / "log" / "reserve"), "the reserve is laid again");
}

// A process was killed on a disk that others then filled, with what its
// database had laid out ahead.
void open_without_a_byte(const fs::path& disk) {
  constexpr std::uint64_t mib = 1u << 20;
  const LogOptions options = disk_log(disk / "log", 4 * mib);
  const pid_t killed = ::fork();
  if (killed == 0) {
    const auto log = must(Log::open(options));
    fill(*log, 10);
    take_all_but(disk / "filler", mib);
    expect(admission_becomes(*log, false), "admission closes");
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(killed, &status, 0);
  expect(status == 0, "the log was filled");
  for (const auto& entry : fs::directory_iterator(disk / "log" / "db"))
    fs::resize_file(entry.path(), entry.file_size());
  take_all_but(disk / "more", 0);
  expect(fs::space(disk).available == 0, "not a byte is left");
  expect(fs::exists(disk / "log" / "reserve"), "the reserve is laid");
  const auto log = must(Log::open(options));
  expect(!fs::exists(disk / "log" / "reserve"), "the reserve was given up");
  expect(log->head().sequence == 30, "nothing is lost");
  fill(*log, 1);
}

// What the memory tables need stays free, to the byte.
void ask_at_the_bound(const fs::path& disk) {
  constexpr std::uint64_t mib = 1u << 20;
  constexpr auto buffers = static_cast<std::uint64_t>(write_buffers_max);
  constexpr std::uint64_t kept_bytes = buffers * mib;
  constexpr std::uint64_t page_bytes = 4096;
  constexpr std::uint64_t floor_bytes = 4 * mib;
  fs::create_directory(disk / "log");
  Reserve reserve(disk / "log" / "ballast", disk / "log" / "reserve",
                  floor_bytes, kept_bytes);
  expect(reserve.admission_open(), "there is room");
  take_all_but(disk / "filler", page_bytes);
  // The ballast, and then the reserve, are given up for what asks.
  expect(reserve.allow(1).has_value(), "the ballast made room");
  take_all_but(disk / "more", 0);
  constexpr std::uint64_t room = 2 * kept_bytes + Reserve::reserve_facts_bytes;
  expect(reserve.allow(room).has_value(), "the reserve made room");
  expect(!fs::exists(disk / "log" / "reserve"), "it is given up");
  expect(reserve.allow(room).has_value(), "the same room is still there");
  expect(!reserve.allow(room + 1).has_value(), "a byte more is refused");
}

void fill_to_the_last_byte(const fs::path& disk) {
  constexpr std::uint64_t mib = 1u << 20;
  std::uint64_t acknowledged = 0;
  {
    const auto log = must(Log::open(disk_log(disk / "log", 0)));
    take_space(disk / "filler", 8 * mib);
    std::optional<Error> error;
    while (!error) {
      const std::uint64_t next = log->head().sequence + 1;
      const auto head = log->append(1, 100, make_events(next, 100));
      if (!head) error = head.error();
    }
    acknowledged = log->head().sequence;
    expect(error->code == Errc::no_space, error->text);
    const auto count = count_whole(*log->reader(), 1, ~0ull);
    expect(count && *count == acknowledged, "reads go on");
  }
  // Full as it is, the log can be read and opened.
  const auto reader = must(LogReader::open(disk / "log"));
  expect(reader->head().sequence >= acknowledged, "nothing is lost");
  fs::remove(disk / "filler");
  const auto log = must(Log::open(disk_log(disk / "log", 0)));
  expect(log->head().sequence >= acknowledged, "nothing is lost");
  expect(must(count_whole(*log->reader(), 1, ~0ull)) == log->head().sequence,
         "every event is whole");
  fill(*log, 5, 100);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_failed_sync_stops_the_log_and_loses_nothing) {
  check_each_failing_sync(false);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_and_a_power_loss_lose_nothing_acknowledged) {
  check_each_failing_sync(true);
}

BOOST_AUTO_TEST_CASE(of_commits_that_are_written_as_one_all_are_there_or_none) {
  for (const bool fails : {false, true}) {
    const TemporaryDirectory root;
    LogOptions options = small_log(root.path() / "log");
    Faults faults;
    const auto env = make_fault_env(faults);
    std::uint64_t before = 0;
    {
      options.floor_bytes = 0;
      options.env = env.get();
      const auto log = must(Log::open(options));
      before = fill(*log, 1).sequence;
      std::vector<Log::Prepared> ready;
      for (std::uint64_t i = 0; i < 5; ++i)
        ready.push_back(
            must(log->prepare(1, 2, make_events(before + 1 + 2 * i, 2))));
      const std::uint64_t syncs = faults.syncs;
      if (fails) faults.failing_sync = syncs + 1;
      BOOST_TEST(log->commit(ready).has_value() == !fails);
      BOOST_TEST(log->failed() == fails);
      if (!fails) BOOST_TEST(faults.syncs == syncs + 1);
      BOOST_TEST(log->head().sequence == (fails ? before : before + 10));
    }
    faults.lose_unsynced();
    options.env = nullptr;
    const auto log = must(Log::open(options));
    const std::uint64_t head = log->head().sequence;
    BOOST_TEST((head == before + 10 || (fails && head == before)), head);
    BOOST_TEST(must(count_whole(*log->reader(), 1, ~0ull)) == head);
  }
}

BOOST_AUTO_TEST_CASE(below_the_floor_admission_closes_and_facts_still_fit) {
  on_small_disk("32m", fill_above_the_floor);
}

BOOST_AUTO_TEST_CASE(the_reserve_has_room_for_facts_when_others_took_the_rest) {
  on_small_disk("48m", lose_the_last_byte);
}

BOOST_AUTO_TEST_CASE(a_log_on_a_full_disk_opens_with_its_reserve) {
  on_small_disk("48m", open_without_a_byte);
}

BOOST_AUTO_TEST_CASE(what_the_memory_tables_need_is_never_given_away) {
  on_small_disk("48m", ask_at_the_bound);
}

BOOST_AUTO_TEST_CASE(a_disk_full_to_the_last_byte_is_a_clean_error) {
  on_small_disk("24m", fill_to_the_last_byte);
}

}  // namespace fault_test
