// Damage to a log on disk. Fault model: any byte of any file flipped, any
// file cut, deleted or replaced by an older copy, one fault at a time, after a
// process was killed. What must hold: opening or reading the log refuses, or
// gives exactly the acknowledged events; never fewer, never others. An abort
// inside RocksDB before anything is served counts as a refusal and is
// reported. Every n-th byte is tried where a file is long; with
// REEVE_TORTURE=all each one.
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "store/set_aside.hpp"
#include "store/test_log.hpp"

namespace torture_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t event_bytes = 32;

LogOptions torture_options(const fs::path& directory) {
  LogOptions options = small_log(directory);
  options.floor_bytes = 0;
  options.mark_lag_commits_max = 1;  // the mark is exact after each commit
  return options;
}

enum class Outcome { whole, refused, silent_gap, aborted };

// Runs `body` in a child; its value is the outcome, a signal is an abort. The
// parent must not open a log before it: RocksDB's threads are not forked.
Outcome in_child(const std::function<Outcome()>& body) {
  const pid_t child = ::fork();
  REEVE_CHECK(child >= 0, "fork");
  if (child == 0) {
    std::fclose(stderr);  // the library's assertion texts
    ::_exit(static_cast<int>(body()));
  }
  int status = 0;
  REEVE_CHECK(::waitpid(child, &status, 0) == child, "waitpid");
  if (!WIFEXITED(status)) return Outcome::aborted;
  return static_cast<Outcome>(WEXITSTATUS(status));
}

Outcome judge(const LogReader& reader, const Head& acknowledged) {
  if (reader.head() != acknowledged) return Outcome::silent_gap;
  const auto count = count_whole(reader, 1, ~0ull, event_bytes);
  if (!count) return Outcome::refused;
  return *count == acknowledged.sequence ? Outcome::whole : Outcome::silent_gap;
}

// What a tool gets, and if it gets anything, what the daemon gets.
Outcome try_log(const fs::path& directory, const Head& acknowledged) {
  {
    const auto reader = LogReader::open(directory);
    if (!reader) return Outcome::refused;
    const Outcome seen = judge(**reader, acknowledged);
    if (seen != Outcome::whole) return seen;
  }
  LogOptions options = torture_options(directory);
  options.create_if_missing = true;  // creating anew would be a silent gap
  const auto log = Log::open(options);
  if (!log) return Outcome::refused;
  return judge(*(*log)->reader(), acknowledged);
}

// A log of a killed process: some records in a table, some only in the WAL.
struct KilledLog {
  TemporaryDirectory root;
  fs::path directory = root.path() / "log";
  fs::path scratch = root.path() / "scratch";
  Head acknowledged;

  explicit KilledLog(std::uint32_t tabled = 60, std::uint32_t logged = 30) {
    if (tabled != 0) append_and_die(tabled, true);
    append_and_die(logged, false);
    BOOST_REQUIRE_EQUAL(acknowledged.sequence, 2 * (tabled + logged));
  }

  void append_and_die(std::uint32_t records, bool close) {
    const fs::path told = root.path() / "acknowledged";
    const Outcome outcome = in_child([&] {
      const auto log = must(Log::open(torture_options(directory)));
      const Head head = fill(*log, records, 2, event_bytes);
      std::ofstream(told, std::ios::binary)
          .write(reinterpret_cast<const char*>(&head), sizeof(head));
      if (close) must(log->close());
      ::_exit(static_cast<int>(Outcome::whole));  // nothing is destroyed
      return Outcome::whole;
    });
    REEVE_CHECK(outcome == Outcome::whole, "the log could not be filled");
    std::ifstream(told, std::ios::binary)
        .read(reinterpret_cast<char*>(&acknowledged), sizeof(acknowledged));
  }

  Outcome after(const std::function<void()>& damage) {
    fs::remove_all(scratch);
    fs::copy(directory, scratch, fs::copy_options::recursive);
    damage();
    return in_child([&] { return try_log(scratch, acknowledged); });
  }

  // The newest file of a kind, as it is named in the scratch copy.
  fs::path newest(const std::string& extension) const {
    fs::path found;
    for (const auto& entry : fs::directory_iterator(directory / "db"))
      if (entry.path().extension() == extension && entry.file_size() > 0)
        found = std::max(found, entry.path());
    REEVE_CHECK(!found.empty(), "no file " + extension);
    return scratch / "db" / found.filename();
  }
  fs::path source_of(const fs::path& file) const {
    return directory / fs::relative(file, scratch.empty() ? file : scratch);
  }
};

struct Tally {
  std::size_t whole = 0, refused = 0, aborted = 0;

  void add(Outcome outcome, const std::string& what) {
    BOOST_TEST((outcome != Outcome::silent_gap),
               what << ": events are missing and nothing said so");
    if (outcome == Outcome::whole) ++whole;
    if (outcome == Outcome::refused) ++refused;
    if (outcome == Outcome::aborted) ++aborted;
  }
  void report(const std::string& name) const {
    BOOST_TEST_MESSAGE(name << ": " << whole << " whole, " << refused
                            << " refused, " << aborted << " aborted");
    std::cout << name << ": " << whole << " whole, " << refused << " refused, "
              << aborted << " aborted\n";
  }
};

std::size_t stride_for(std::size_t bytes, std::size_t trials_max) {
  const char* wanted = std::getenv("REEVE_TORTURE");
  if (wanted != nullptr && std::string(wanted) == "all") return 1;
  // Odd, so that it does not keep to one column of an aligned format.
  return bytes <= trials_max ? 1 : (bytes / trials_max) | 1;
}

void flip(const fs::path& file, std::size_t offset, unsigned bit) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  const int byte = stream.get() ^ (1 << bit);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(byte));
  REEVE_CHECK(stream.good(), file.string());
}

Tally flip_through(KilledLog& log, const fs::path& file, std::size_t from,
                   std::size_t trials_max) {
  Tally tally;
  const std::size_t size = fs::file_size(log.source_of(file));
  const std::size_t stride = stride_for(size - from, trials_max);
  for (std::size_t at = from; at < size; at += stride)
    tally.add(
        log.after([&] { flip(file, at, at % 8); }),
        file.filename().string() + " flipped at byte " + std::to_string(at));
  return tally;
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_undamaged_log_of_a_killed_process_is_whole) {
  KilledLog log;
  BOOST_TEST((log.after([] {}) == Outcome::whole));
}

BOOST_AUTO_TEST_CASE(every_cut_through_the_last_records_is_refused) {
  KilledLog log(0, 30);
  const fs::path wal = log.newest(".log");
  const std::size_t size = fs::file_size(log.source_of(wal));
  const std::size_t from = size - 400;  // about three records
  Tally tally;
  for (std::size_t cut = from; cut < size; ++cut)
    tally.add(log.after([&] { fs::resize_file(wal, cut); }),
              "cut to " + std::to_string(cut) + " bytes");
  tally.report("cut tail");
  BOOST_TEST(tally.whole == 0u);
}

BOOST_AUTO_TEST_CASE(every_cut_anywhere_in_the_wal_is_refused) {
  KilledLog log;
  const fs::path wal = log.newest(".log");
  const std::size_t size = fs::file_size(log.source_of(wal));
  Tally tally;
  for (std::size_t cut = 0; cut < size; cut += stride_for(size, 150))
    tally.add(log.after([&] { fs::resize_file(wal, cut); }),
              "cut to " + std::to_string(cut) + " bytes");
  tally.report("cut wal");
  BOOST_TEST(tally.whole == 0u);
}

BOOST_AUTO_TEST_CASE(every_flipped_byte_of_the_last_records_is_refused) {
  KilledLog log(0, 30);
  const fs::path wal = log.newest(".log");
  const std::size_t size = fs::file_size(log.source_of(wal));
  const Tally tally = flip_through(log, wal, size - 400, 400);
  tally.report("flipped tail");
  BOOST_TEST(tally.whole == 0u);
  BOOST_TEST(tally.aborted == 0u);
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_anywhere_in_the_wal_is_refused) {
  KilledLog log;
  const Tally tally = flip_through(log, log.newest(".log"), 0, 200);
  tally.report("flipped wal");
  BOOST_TEST(tally.whole == 0u);
  BOOST_TEST(tally.aborted == 0u);
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_of_a_table_never_makes_a_silent_gap) {
  KilledLog log;
  const Tally tally = flip_through(log, log.newest(".sst"), 0, 250);
  tally.report("flipped table");
  BOOST_TEST(tally.refused > 0u);
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_of_the_manifest_never_makes_a_silent_gap) {
  KilledLog log;
  fs::path manifest;
  for (const auto& entry : fs::directory_iterator(log.directory / "db"))
    if (entry.path().filename().string().starts_with("MANIFEST"))
      manifest = log.scratch / "db" / entry.path().filename();
  const Tally tally = flip_through(log, manifest, 0, 150);
  tally.report("flipped manifest");
  flip_through(log, log.scratch / "db" / "CURRENT", 0, 20).report("CURRENT");
  flip_through(log, log.scratch / "head.mark", 0, 50).report("head.mark");
}

BOOST_AUTO_TEST_CASE(a_deleted_file_never_makes_a_silent_gap) {
  KilledLog log;
  Tally tally;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(log.directory))
    if (entry.is_regular_file())
      files.push_back(fs::relative(entry.path(), log.directory));
  for (const fs::path& file : files)
    tally.add(log.after([&] { fs::remove(log.scratch / file); }),
              file.string() + " deleted");
  tally.report("deleted");
  const fs::path wal = log.newest(".log");
  BOOST_TEST((log.after([&] { fs::remove(wal); }) == Outcome::refused));
  const auto gone = [&] { fs::remove_all(log.scratch / "db"); };
  BOOST_TEST((log.after(gone) == Outcome::refused));
  const auto unmarked = [&] { fs::remove(log.scratch / "head.mark"); };
  BOOST_TEST((log.after(unmarked) == Outcome::refused));
}

BOOST_AUTO_TEST_CASE(an_older_copy_in_place_of_the_newest_is_refused) {
  KilledLog log(60, 30);
  const fs::path older = log.root.path() / "older";
  fs::copy(log.directory, older, fs::copy_options::recursive);
  log.append_and_die(10, false);
  BOOST_REQUIRE_EQUAL(log.acknowledged.sequence, 200u);
  const auto whole_database = [&] {
    fs::remove_all(log.scratch / "db");
    fs::copy(older / "db", log.scratch / "db", fs::copy_options::recursive);
  };
  BOOST_TEST((log.after(whole_database) == Outcome::refused));
  const auto live_wal = [&] {
    for (const auto& entry : fs::directory_iterator(log.scratch / "db")) {
      const fs::path old = older / "db" / entry.path().filename();
      if (entry.path().extension() != ".log") continue;
      fs::remove(entry.path());
      if (fs::exists(old)) fs::copy(old, entry.path());
    }
  };
  BOOST_TEST((log.after(live_wal) == Outcome::refused));
}

BOOST_AUTO_TEST_CASE(the_database_of_another_log_is_refused) {
  KilledLog log(60, 30);
  const KilledLog other(60, 30);
  // Same events, same hashes, another log.
  BOOST_REQUIRE((log.acknowledged == other.acknowledged));
  const auto swapped = [&] {
    fs::remove_all(log.scratch / "db");
    fs::copy(other.directory / "db", log.scratch / "db",
             fs::copy_options::recursive);
  };
  BOOST_TEST((log.after(swapped) == Outcome::refused));
}

BOOST_AUTO_TEST_CASE(a_torn_tail_that_was_never_acknowledged_is_cut) {
  KilledLog log(0, 30);
  const fs::path wal = log.newest(".log");
  const std::size_t before = fs::file_size(log.source_of(wal));
  // The mark of now, the write-ahead log of one commit later, torn.
  const fs::path mark = log.root.path() / "mark";
  fs::copy(log.directory / "head.mark", mark);
  KilledLog next(0, 31);
  const std::size_t after = fs::file_size(next.source_of(next.newest(".log")));
  BOOST_REQUIRE(after > before);
  const fs::path next_wal = next.newest(".log");
  Tally tally;
  for (std::size_t cut = before; cut < after; ++cut) {
    const Outcome outcome = log.after([&] {
      fs::remove(wal);
      fs::copy(next.source_of(next_wal), wal);
      fs::resize_file(wal, cut);
    });
    tally.add(outcome, "torn at " + std::to_string(cut));
  }
  tally.report("torn tail");
  BOOST_TEST(tally.whole == after - before);
}

BOOST_AUTO_TEST_CASE(a_process_killed_at_any_moment_loses_nothing_it_promised) {
  TemporaryDirectory root;
  const fs::path directory = root.path() / "log";
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    REEVE_CHECK(::pipe(pipe_ends) == 0, "pipe");
    const pid_t child = ::fork();
    if (child == 0) {
      LogOptions options = torture_options(directory);
      options.mark_lag_commits_max = 64;
      options.write_buffer_bytes = 64u << 10;
      const auto log = must(Log::open(options));
      while (true) {
        const std::uint64_t head = fill(*log, 1, 5, event_bytes).sequence;
        if (::write(pipe_ends[1], &head, sizeof(head)) < 0) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    // Killed after some number of answers, in the middle of the next.
    std::uint64_t head = 0;
    for (int answer = 0; answer < 20 + 37 * round; ++answer) {
      if (::read(pipe_ends[0], &head, sizeof(head)) != sizeof(head)) break;
      acknowledged = head;
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(pipe_ends[0], &head, sizeof(head)) == sizeof(head))
      acknowledged = head;
    ::close(pipe_ends[0]);
    BOOST_TEST((in_child([&] {
                  const auto reader = must(LogReader::open(directory));
                  const std::uint64_t found = reader->head().sequence;
                  const bool whole = found >= acknowledged &&
                                     must(count_whole(*reader, 1, ~0ull,
                                                      event_bytes)) == found;
                  return whole ? Outcome::whole : Outcome::silent_gap;
                }) == Outcome::whole));
  }
  BOOST_TEST(acknowledged > 0u);
}

BOOST_AUTO_TEST_CASE(a_damaged_snapshot_gives_way_to_an_older_one) {
  KilledLog log(60, 30);
  const auto bytes = make_events(1, 1, 64 << 10);
  in_child([&] {
    const auto open = must(Log::open(torture_options(log.directory)));
    must(open->put_snapshot(100, Hash{std::byte{1}}, bytes));
    must(open->put_snapshot(150, Hash{std::byte{2}}, bytes));
    return Outcome::whole;
  });
  std::vector<fs::path> tables;
  for (const auto& entry : fs::directory_iterator(log.directory / "db"))
    if (entry.path().extension() == ".sst" && entry.file_size() > 60'000)
      tables.push_back(entry.path());
  std::sort(tables.begin(), tables.end());
  BOOST_REQUIRE_EQUAL(tables.size(), 2u);
  const auto newest_is = [&](std::uint64_t expected, std::size_t warnings) {
    const Outcome outcome = in_child([&] {
      const auto reader = must(LogReader::open(log.directory));
      const auto snapshot = must(reader->snapshot_at(~0ull));
      const bool right = (snapshot ? snapshot->sequence : 0) == expected &&
                         reader->warnings().size() == warnings;
      return right ? Outcome::whole : Outcome::silent_gap;
    });
    BOOST_TEST((outcome == Outcome::whole), "not event " << expected);
  };
  newest_is(150, 0);
  flip(tables[1], 30'000, 3);
  newest_is(100, 1);
  flip(tables[0], 30'000, 3);
  newest_is(0, 2);
}

// What is in the log and in the files beside it, of a call that was killed.
Outcome judge_cut(const fs::path& directory, const Head& acknowledged,
                  std::uint64_t from) {
  const auto reader = must(LogReader::open(directory));
  const std::uint64_t head = reader->head().sequence;
  if (must(count_whole(*reader, 1, ~0ull, event_bytes)) != head)
    return Outcome::silent_gap;
  if (head == acknowledged.sequence) return Outcome::whole;
  if (head != from - 1) return Outcome::silent_gap;
  for (const auto& entry : fs::directory_iterator(directory / "set-aside")) {
    if (entry.path().extension() != ".segment") continue;
    const auto segment = must(SegmentFile::open(entry.path()));
    must(segment->scan([](const Record&) { return true; }));
    if (segment->info().last == acknowledged) return Outcome::whole;
  }
  return Outcome::silent_gap;
}

BOOST_AUTO_TEST_CASE(an_end_that_is_set_aside_is_whole_whenever_it_is_killed) {
  constexpr std::uint64_t from = 101;
  constexpr int kills = 40;
  KilledLog log;
  const auto begin = [&] {
    fs::remove_all(log.scratch);
    fs::copy(log.directory, log.scratch, fs::copy_options::recursive);
    const pid_t child = ::fork();
    REEVE_CHECK(child >= 0, "fork");
    if (child == 0) ::_exit(set_aside(log.scratch, from, "why") ? 0 : 1);
    return child;
  };
  const auto started = std::chrono::steady_clock::now();
  int status = 0;
  BOOST_REQUIRE(::waitpid(begin(), &status, 0) > 0 && status == 0);
  const auto whole_call = std::chrono::steady_clock::now() - started;
  for (int kill = 0; kill < kills; ++kill) {
    const pid_t child = begin();
    std::this_thread::sleep_for(whole_call * kill / kills);
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    BOOST_TEST((in_child([&] {
                  return judge_cut(log.scratch, log.acknowledged, from);
                }) == Outcome::whole),
               "killed at " << kill << " of " << kills);
    // The same call goes on, unless all is done.
    BOOST_TEST((in_child([&] {
                  const auto again = set_aside(log.scratch, from, "why");
                  if (!again && again.error().code != Errc::not_found)
                    return Outcome::refused;
                  return must(LogReader::open(log.scratch))->head().sequence ==
                                 from - 1
                             ? judge_cut(log.scratch, log.acknowledged, from)
                             : Outcome::silent_gap;
                }) == Outcome::whole),
               "after a kill at " << kill << " of " << kills);
  }
}

// Opens a log in this process after its last child, so it comes last.
BOOST_AUTO_TEST_CASE(a_refusal_names_what_is_missing_and_changes_nothing) {
  KilledLog log;
  const fs::path wal = log.newest(".log");
  const Outcome outcome =
      log.after([&] { fs::resize_file(wal, fs::file_size(wal) / 2); });
  BOOST_TEST((outcome == Outcome::refused));
  const auto bytes_before = fs::file_size(wal);
  const auto refused = Log::open(torture_options(log.scratch));
  BOOST_REQUIRE(!refused);
  const std::string& text = refused.error().text;
  BOOST_TEST_MESSAGE(text);
  BOOST_TEST((refused.error().code == Errc::damaged));
  BOOST_TEST(text.find("event 180 was acknowledged") != std::string::npos,
             text);
  BOOST_TEST(text.find("restore") != std::string::npos, text);
  BOOST_TEST(fs::file_size(wal) == bytes_before);
}

}  // namespace torture_test
