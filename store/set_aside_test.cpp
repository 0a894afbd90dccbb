// The end of a log goes into a file of its own. Fault model of the last cases:
// any sync of the call fails, and all after it, with or without the loss of
// what was not synced (torture_test.cpp has a call that is killed). What must
// hold: every event is in the log or in the file,
// the log opens, and the same call goes on.
#include "store/set_aside.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "store/archive.hpp"
#include "store/bulk_writer.hpp"
#include "store/database.hpp"
#include "store/fault_env.hpp"
#include "store/repair.hpp"
#include "store/test_log.hpp"

namespace set_aside_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t cut_at = 61;  // the first of events 61 to 90

// Events 1 to 60 in epoch 1 and 61 to 90 in epoch 2, in records of three.
struct Closed {
  TemporaryDirectory temporary;
  fs::path directory = temporary.path() / "log";
  Layout layout{directory};
  Head kept;
  Head head;

  Closed() {
    const auto log = must(Log::open(small_log(directory)));
    kept = fill(*log, 20);
    for (std::uint64_t next = cut_at; next < 90; next += 3)
      must(log->append(2, 3, make_events(next, 3)));
    head = log->head();
    must(log->close());
  }

  Expected<SetAside> cut(std::uint64_t from = cut_at) {
    return set_aside(directory, from, "the stream has another event 61");
  }

  void refuses(std::uint64_t from, Errc code, const std::string& part) {
    const auto refused = cut(from);
    BOOST_REQUIRE(!refused);
    BOOST_TEST((refused.error().code == code), refused.error().text);
    BOOST_TEST(refused.error().text.find(part) != std::string::npos,
               refused.error().text);
    BOOST_TEST((must(LogReader::open(directory))->head() == head));
    BOOST_TEST(!fs::exists(layout.set_aside()));
  }

  // What the file holds, and that it says so itself.
  static std::uint64_t events_in(const fs::path& file) {
    const auto segment = must(SegmentFile::open(file));
    std::uint64_t seen = 0;
    must(segment->scan([&](const Record& record) {
      BOOST_TEST(std::ranges::equal(
          record.events, make_events(record.first_sequence, record.count)));
      seen += record.count;
      return true;
    }));
    return seen;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_end_of_a_log_is_in_a_file_and_not_in_the_log,
                        Closed) {
  const SetAside done = must(cut());
  BOOST_TEST(done.from == 61u);
  BOOST_TEST(done.to == 90u);
  BOOST_TEST((done.head == kept));
  BOOST_TEST(done.file.parent_path() == layout.set_aside());
  BOOST_TEST(done.file.filename().string() ==
             "00000000000000000061-2-" + short_hex(head.hash) + ".segment");
  BOOST_TEST(events_in(done.file) == 30u);
  const auto reader = must(LogReader::open(directory));
  BOOST_TEST((reader->head() == kept));
  BOOST_TEST(must(count_whole(*reader, 1, ~0ull)) == 60u);
  BOOST_TEST((must(read_head_mark(layout.head_mark())).head == kept));
}

BOOST_FIXTURE_TEST_CASE(its_reason_stands_beside_the_file, Closed) {
  const SetAside done = must(cut());
  std::ifstream file(fs::path(done.file).replace_extension(".txt"));
  std::string line;
  std::getline(file, line);
  BOOST_TEST(line ==
             "events 61 to 90, up to epoch 2: the stream has another event 61");
}

BOOST_FIXTURE_TEST_CASE(the_log_goes_on_with_another_history, Closed) {
  must(cut());
  {
    const auto log = must(Log::open(small_log(directory)));
    BOOST_TEST((log->head() == kept));
    must(log->append(7, 2, make_events(61, 2)));
    BOOST_TEST(log->head().sequence == 62u);
  }
  const auto reader = must(LogReader::open(directory));
  BOOST_TEST(must(count_whole(*reader, 1, ~0ull)) == 62u);
  BOOST_TEST(reader->head().epoch == 7u);
}

BOOST_FIXTURE_TEST_CASE(what_was_set_aside_can_be_put_behind_a_copy, Closed) {
  const SetAside done = must(cut());
  const fs::path copy = temporary.path() / "copy";
  fs::copy(directory, copy, fs::copy_options::recursive);
  const auto plan = must(plan_repair(copy, {done.file}, nullptr));
  BOOST_TEST(plan.head.sequence == 90u);
  BOOST_TEST((plan.head == head));
}

BOOST_FIXTURE_TEST_CASE(a_whole_log_can_be_set_aside, Closed) {
  const SetAside done = must(cut(1));
  BOOST_TEST((done.head == Head{}));
  BOOST_TEST(events_in(done.file) == 90u);
  const auto log = must(Log::open(small_log(directory)));
  BOOST_TEST((log->head() == Head{}));
  fill(*log, 2);
  BOOST_TEST(must(count_whole(*log->reader(), 1, ~0ull)) == 6u);
}

BOOST_FIXTURE_TEST_CASE(a_second_end_of_the_same_log_is_another_file, Closed) {
  const SetAside first = must(cut());
  {
    const auto log = must(Log::open(small_log(directory)));
    must(log->append(2, 3, make_events(61, 3)));
  }
  const SetAside second = must(cut());
  BOOST_TEST(first.file != second.file);
  BOOST_TEST(events_in(first.file) == 30u);
  BOOST_TEST(events_in(second.file) == 3u);
}

BOOST_FIXTURE_TEST_CASE(snapshots_of_what_was_set_aside_are_gone, Closed) {
  const auto bytes = make_events(1, 1, 64 << 10);
  {
    const auto log = must(Log::open(small_log(directory)));
    for (const std::uint64_t at : {30, 60, 63, 90})
      must(log->put_snapshot(at, Hash{std::byte{1}}, bytes));
  }
  must(cut());
  const auto reader = must(LogReader::open(directory));
  std::vector<std::uint64_t> left;
  for (const auto& one : must(reader->snapshots()))
    left.push_back(one.sequence);
  BOOST_TEST(left == std::vector<std::uint64_t>({60, 30}));
  BOOST_TEST(must(reader->snapshot_at(~0ull))->sequence == 60u);
}

BOOST_FIXTURE_TEST_CASE(the_index_tells_of_nothing_that_was_set_aside, Closed) {
  // The entity of an event is its place in a record.
  const auto find = [](std::span<const std::byte>, std::vector<Entity>& to) {
    to.push_back({'s', 1});
  };
  {
    const auto log = must(Log::open(small_log(directory)));
    must(log->extend_index(30, find));
    BOOST_TEST(must(log->reader()->indexed({'s', 1})).to == 90u);
  }
  must(cut());
  const auto log = must(Log::open(small_log(directory)));
  BOOST_TEST(must(log->reader()->indexed({'s', 1})).events.empty());
  must(log->extend_index(30, find));
  const auto indexed = must(log->reader()->indexed({'s', 1}));
  BOOST_TEST(indexed.to == 60u);
  BOOST_TEST(indexed.events.size() == 60u);
}

BOOST_FIXTURE_TEST_CASE(only_whole_commits_within_the_log_are_set_aside,
                        Closed) {
  refuses(62, Errc::usage, "inside of a commit, which ends at event 63");
  refuses(91, Errc::not_found, "there is no event 91");
  refuses(0, Errc::not_found, "there is no event 0");
}

BOOST_FIXTURE_TEST_CASE(archived_events_are_not_set_aside, Closed) {
  {
    const auto log = must(Log::open(small_log(directory)));
    const auto reader = log->reader();
    for (const auto& info : must(plan_archives(*reader, 70, 69, Rest::leave)))
      must(seal_archive(*reader, layout, info, {}));
  }
  refuses(61, Errc::rejected, "holds events up to 69");
  BOOST_TEST(must(cut(70)).head.sequence == 69u);
}

BOOST_FIXTURE_TEST_CASE(what_left_for_an_archive_stays_below_the_cut, Closed) {
  {
    const auto log = must(Log::open(small_log(directory)));
    const auto reader = log->reader();
    for (const auto& info : must(plan_archives(*reader, 60, 30, Rest::leave)))
      must(seal_archive(*reader, layout, info, {}));
    BOOST_TEST(must(log->drop_archived()) == 60u);
  }
  // Nothing of what stays is in the database then, but for its newest record.
  BOOST_TEST((must(cut()).head == kept));
  {
    const auto reader = must(LogReader::open(directory));
    BOOST_TEST((reader->head() == kept));
    BOOST_TEST(must(count_whole(*reader, 1, ~0ull)) == 60u);
  }
  const auto log = must(Log::open(small_log(directory)));
  fill(*log, 2);
  BOOST_TEST(must(log->drop_archived()) == 60u);
  BOOST_TEST(must(count_whole(*log->reader(), 1, ~0ull)) == 66u);
}

BOOST_FIXTURE_TEST_CASE(a_log_in_use_is_not_cut, Closed) {
  const auto log = must(Log::open(small_log(directory)));
  refuses(61, Errc::busy, "is held by process");
}

BOOST_FIXTURE_TEST_CASE(another_file_under_its_name_is_not_taken_for_it,
                        Closed) {
  const SetAside done = must(cut(64));
  const fs::path name =
      layout.set_aside() /
      ("00000000000000000061-2-" + short_hex(head.hash) + ".segment");
  TemporaryDirectory other;
  const fs::path copy = other.path() / "log";
  // The whole log again, from its own pieces.
  fs::copy(directory, copy, fs::copy_options::recursive);
  const auto plan = must(plan_repair(copy, {done.file}, nullptr));
  must(carry_out(plan, nullptr));
  fs::copy(done.file, copy / "set-aside" / name.filename());
  const auto refused = set_aside(copy, 61, "why");
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == Errc::damaged), refused.error().text);
  BOOST_TEST((must(LogReader::open(copy))->head() == head));
}

namespace {

// All of the log and the file together, whichever of them has what.
void check_nothing_lost(const Closed& log, const std::string& when) {
  const auto reader = LogReader::open(log.directory);
  BOOST_REQUIRE_MESSAGE(reader, when << ": " << reader.error().text);
  const Head head = (*reader)->head();
  const bool all = head == log.head;
  BOOST_TEST((all || head == log.kept),
             when << ": it ends at " << head.sequence);
  BOOST_TEST(must(count_whole(**reader, 1, ~0ull)) == head.sequence, when);
  if (all) return;
  std::uint64_t kept = 0;
  for (const auto& entry : fs::directory_iterator(log.layout.set_aside()))
    if (entry.path().extension() == ".segment")
      kept += Closed::events_in(entry.path());
  BOOST_TEST(kept == 30u, when);
  // None of a state that the log does not lead to.
  for (const auto& one : must((*reader)->snapshots()))
    BOOST_TEST(one.sequence <= head.sequence, when);
}

void fill_caches(Closed& log) {
  const auto open = must(Log::open(small_log(log.directory)));
  must(open->put_snapshot(60, {}, make_events(1, 1, 4096)));
  must(open->put_snapshot(75, {}, make_events(1, 1, 4096)));
  must(open->extend_index(10, [](auto, std::vector<Entity>& to) {
    to.push_back({'s', 1});
  }));
}

void check_each_failing_sync(bool lose_unsynced) {
  std::uint64_t failures = 0;
  for (std::uint64_t failing = 1;; ++failing) {
    BOOST_REQUIRE(failing < 100);
    Closed log;
    fill_caches(log);
    Faults faults;
    faults.failing_sync = failing;
    const auto env = make_fault_env(faults);
    const std::string when = "sync " + std::to_string(failing);
    const auto done = set_aside(log.directory, cut_at, "why", env.get());
    if (lose_unsynced) faults.lose_unsynced();
    check_nothing_lost(log, when);
    if (done) {
      BOOST_TEST(faults.syncs < failing);
      break;
    }
    ++failures;
    // The same call goes on, unless the last step is done.
    const auto again = log.cut();
    if (!again) BOOST_TEST((again.error().code == Errc::not_found), when);
    BOOST_TEST((must(LogReader::open(log.directory))->head() == log.kept),
               when);
    check_nothing_lost(log, when);
    fill(*must(Log::open(small_log(log.directory))), 1);
  }
  // The file, its caches and the records at least.
  BOOST_TEST(failures >= 4u);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_sync_that_fails_loses_nothing) {
  check_each_failing_sync(false);
}

BOOST_AUTO_TEST_CASE(a_sync_that_fails_and_a_loss_of_power_lose_nothing) {
  check_each_failing_sync(true);
}

BOOST_AUTO_TEST_CASE(more_commits_than_one_write_removes_are_set_aside) {
  constexpr std::uint64_t commits = 10'100;
  const TemporaryDirectory root;
  const fs::path directory = root.path() / "log";
  fill(*must(Log::open(small_log(directory))), 1, 1, 16);
  {
    const auto database = must(Database::open(
        Layout{directory}.database(), Access::read_write, DatabaseOptions{}));
    BulkWriter writer(*database, must(last_head(*database)), nullptr);
    Hash previous = must(last_head(*database)).hash;
    for (std::uint64_t next = 2; next <= commits; ++next) {
      const auto events = make_events(next, 1, 16);
      Record record{next, 1, 1, {}, events};
      record.hash = previous = chain_hash(previous, record);
      must(writer.add(record));
    }
    must(writer.sync());
  }
  const SetAside done = must(set_aside(directory, 2, "why"));
  BOOST_TEST(done.to == commits);
  BOOST_TEST(must(SegmentFile::open(done.file))->info().events() ==
             commits - 1);
  BOOST_TEST(
      must(count_whole(*must(LogReader::open(directory)), 1, ~0ull, 16)) == 1u);
}

}  // namespace set_aside_test
