#include "store/log.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "store/advice.hpp"
#include "store/database.hpp"
#include "store/owner.hpp"
#include "store/scan_pipeline.hpp"
#include "store/test_log.hpp"

namespace log_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;

namespace {

// What was synced since a test asked for it.
std::mutex synced_mutex;
std::set<std::filesystem::path> synced;

}  // namespace

// In front of the C library's: the log calls this one.
extern "C" int fsync(int fd) {
  std::error_code ignored;
  const auto name = std::filesystem::read_symlink(
      "/proc/self/fd/" + std::to_string(fd), ignored);
  {
    const std::lock_guard guard(synced_mutex);
    synced.insert(name);
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace {

struct EmptyDirectory {
  TemporaryDirectory root;
  std::filesystem::path directory = root.path() / "log";
  LogOptions options = small_log(directory);

  std::unique_ptr<Log> open() { return must(Log::open(options)); }
};

void check_error(const Error& error, Errc code, const std::string& part) {
  BOOST_TEST((error.code == code), error.text);
  BOOST_TEST(error.text.find(part) != std::string::npos,
             "no \"" << part << "\" in: " << error.text);
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_new_log_is_empty_and_stays_so_when_reopened,
                        EmptyDirectory) {
  BOOST_TEST((open()->head() == Head{}));
  options.create_if_missing = false;
  BOOST_TEST((open()->head() == Head{}));
}

BOOST_FIXTURE_TEST_CASE(appended_events_are_there_after_a_reopen,
                        EmptyDirectory) {
  Head head;
  {
    const auto log = open();
    head = fill(*log, 20, 3);
    BOOST_TEST(head.sequence == 60u);
  }
  const auto log = open();
  BOOST_TEST((log->head() == head));
  BOOST_TEST(must(count_whole(*log->reader(), 1, head.sequence)) == 60u);
  fill(*log, 1, 2);
  BOOST_TEST(log->head().sequence == 62u);
  BOOST_TEST(must(count_whole(*log->reader(), 1, 62)) == 62u);
}

BOOST_FIXTURE_TEST_CASE(a_range_gives_every_record_that_touches_it,
                        EmptyDirectory) {
  const auto log = open();
  fill(*log, 10, 4);
  const auto firsts = [&](std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> seen;
    must(log->reader()->scan(from, to, [&](const Record& record) {
      seen.push_back(record.first_sequence);
      return true;
    }));
    return seen;
  };
  using Firsts = std::vector<std::uint64_t>;
  BOOST_TEST(firsts(1, 1) == Firsts({1}));
  BOOST_TEST(firsts(4, 5) == Firsts({1, 5}));
  BOOST_TEST(firsts(8, 9) == Firsts({5, 9}));
  BOOST_TEST(firsts(38, 1000) == Firsts({37}));
  BOOST_TEST(firsts(0, 4) == Firsts({1}));
  BOOST_TEST(firsts(41, 1000) == Firsts());
  BOOST_TEST(firsts(9, 8) == Firsts());
}

BOOST_FIXTURE_TEST_CASE(a_visitor_that_has_enough_ends_the_scan,
                        EmptyDirectory) {
  const auto log = open();
  fill(*log, 10, 1000, 64);
  int visits = 0;
  must(log->reader()->scan(1, 10'000,
                           [&](const Record&) { return ++visits < 3; }));
  BOOST_TEST(visits == 3);
}

BOOST_FIXTURE_TEST_CASE(a_long_threaded_scan_gives_the_same_as_appended,
                        EmptyDirectory) {
  options.write_buffer_bytes = 1u << 20;
  const auto log = open();
  fill(*log, 300, 100, 64);
  fill(*log, 1, 20'000, 64);  // one record larger than a block
  fill(*log, 50, 10, 64);
  BOOST_TEST(must(count_whole(*log->reader(), 1, ~0ull, 64)) == 50'500u);
  BOOST_TEST(must(count_whole(*log->reader(), 20'001, ~0ull, 64)) == 30'500u);
}

BOOST_FIXTURE_TEST_CASE(events_that_are_not_whole_are_refused_without_effect,
                        EmptyDirectory) {
  const auto log = open();
  const Head before = fill(*log, 2);
  const auto events = make_events(7, 2);
  const std::span<const std::byte> span(events);
  BOOST_TEST(!log->append(1, 3, span));
  BOOST_TEST(!log->append(1, 1, span));
  BOOST_TEST(!log->append(1, 0, {}));
  BOOST_TEST(!log->append(1, 2, span.first(span.size() - 8)));
  BOOST_TEST(!log->failed());
  BOOST_TEST((log->head() == before));
  BOOST_TEST(must(log->append(1, 2, span)).sequence == 8u);
}

BOOST_FIXTURE_TEST_CASE(a_commit_above_its_bound_is_refused_without_effect,
                        EmptyDirectory) {
  const auto log = open();
  const auto events =
      make_events(1, 1, record_events_bytes_max + event_alignment_bytes);
  const auto refused = log->append(1, 1, events);
  BOOST_REQUIRE(!refused);
  check_error(refused.error(), Errc::internal, "bound");
  BOOST_TEST(!log->failed());
  fill(*log, 1);
}

BOOST_FIXTURE_TEST_CASE(an_older_epoch_is_refused_with_both_epochs,
                        EmptyDirectory) {
  const auto log = open();
  must(log->append(5, 1, make_events(1, 1)));
  const auto refused = log->append(4, 1, make_events(2, 1));
  BOOST_REQUIRE(!refused);
  check_error(refused.error(), Errc::rejected, "epoch 4 is older than epoch 5");
  must(log->append(6, 1, make_events(2, 1)));
  BOOST_TEST(log->head().epoch == 6u);
}

BOOST_FIXTURE_TEST_CASE(commits_prepared_by_another_thread_keep_their_order,
                        EmptyDirectory) {
  const auto log = open();
  auto current = must(log->prepare(1, 2, make_events(1, 2)));
  for (std::uint64_t next = 3; next < 100; next += 2) {
    std::optional<Log::Prepared> ahead;
    std::thread preparer(
        [&] { ahead.emplace(must(log->prepare(1, 2, make_events(next, 2)))); });
    must(log->commit(current));
    preparer.join();
    current = std::move(*ahead);
  }
  must(log->commit(current));
  BOOST_TEST(must(count_whole(*log->reader(), 1, ~0ull)) == 100u);
}

BOOST_FIXTURE_TEST_CASE(a_prepared_commit_shows_the_bytes_that_go_to_disk,
                        EmptyDirectory) {
  const auto log = open();
  fill(*log, 2, 3);
  const auto prepared = must(log->prepare(4, 2, make_events(7, 2)));
  BOOST_TEST(prepared.first_sequence() == 7u);
  BOOST_TEST(prepared.head().sequence == 8u);
  const std::vector<std::byte> before(prepared.value().begin(),
                                      prepared.value().end());
  must(log->commit(prepared));
  // The stream may want them again.
  BOOST_TEST(std::ranges::equal(prepared.value(), before));
  const auto record = must(parse_record(7, before));
  BOOST_TEST((head_of(record) == log->head()));
  const auto database = must(
      Database::open(directory / "db", Access::read_only, DatabaseOptions{}));
  RecordIterator iterator(*database);
  iterator.seek_last();
  BOOST_TEST(std::ranges::equal(iterator.value(), before));
}

BOOST_FIXTURE_TEST_CASE(a_prepared_commit_may_outlive_its_log, EmptyDirectory) {
  auto log = open();
  const auto prepared = must(log->prepare(1, 1, make_events(1, 1)));
  const std::size_t bytes = prepared.value().size();
  log.reset();
  BOOST_TEST(bytes == record_header_bytes + 256);
  BOOST_TEST(must(parse_record(1, prepared.value())).count == 1u);
}

namespace {

// Two copies of one log: the second takes the records of the first.
struct TwoCopies : EmptyDirectory {
  std::unique_ptr<Log> first = open();
  std::unique_ptr<Log> second;

  TwoCopies() {
    LogOptions other = small_log(root.path() / "second");
    other.new_log_id = first->reader()->log_id();
    second = must(Log::open(other));
    fill(*first, 5, 3);
  }
  Status copy(std::uint64_t from, std::uint64_t to) {
    Status done;
    must(first->reader()->scan(from, to, [&](const Record& record) {
      const auto prepared = second->prepare_record(record);
      if (!prepared) done = tl::unexpected(prepared.error());
      if (done) must(second->commit(*prepared));
      return done.has_value();
    }));
    return done;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_record_of_another_copy_is_kept_byte_for_byte,
                        TwoCopies) {
  must(copy(1, ~0ull));
  BOOST_TEST((second->head() == first->head()));
  BOOST_TEST(must(count_whole(*second->reader(), 1, ~0ull)) == 15u);
  // And goes on like any log.
  fill(*second, 1);
  BOOST_TEST(second->head().sequence == 18u);
}

BOOST_FIXTURE_TEST_CASE(a_record_that_does_not_follow_is_refused, TwoCopies) {
  must(copy(1, 6));
  const auto refused = [&](std::uint64_t at, const auto& change, Errc code,
                           const std::string& part) {
    must(first->reader()->scan(at, at, [&](const Record& record) {
      Record other = record;
      change(other);
      const auto prepared = second->prepare_record(other);
      BOOST_REQUIRE(!prepared);
      check_error(prepared.error(), code, part);
      return false;
    }));
    BOOST_TEST(second->head().sequence == 6u);
  };
  const auto as_it_is = [](Record&) {};
  refused(10, as_it_is, Errc::damaged, "the log ends at event 6");
  refused(4, as_it_is, Errc::damaged, "the log ends at event 6");
  refused(
      7, [](Record& record) { record.hash[3] ^= std::byte{1}; }, Errc::damaged,
      "event 7");
  refused(
      7, [](Record& record) { record.epoch = 0; }, Errc::rejected,
      "epoch 0 is older than epoch 1");
  refused(
      7, [](Record& record) { record.epoch = 2; }, Errc::damaged, "event 7");
  refused(
      7, [](Record& record) { record.count = 2; }, Errc::internal,
      "that many whole events");
  must(copy(7, 9));
  BOOST_TEST(second->head().sequence == 9u);
}

BOOST_FIXTURE_TEST_CASE(records_of_another_copy_may_be_prepared_ahead,
                        TwoCopies) {
  std::vector<Log::Prepared> ready;
  must(first->reader()->scan(1, ~0ull, [&](const Record& record) {
    ready.push_back(must(second->prepare_record(record)));
    return true;
  }));
  for (const Log::Prepared& one : ready) must(second->commit(one));
  BOOST_TEST((second->head() == first->head()));
}

BOOST_FIXTURE_TEST_CASE(records_of_another_copy_may_be_committed_as_one,
                        TwoCopies) {
  std::vector<Log::Prepared> ready;
  const auto prepare = [&] {
    ready.clear();
    must(first->reader()->scan(1, ~0ull, [&](const Record& record) {
      ready.push_back(must(second->prepare_record(record)));
      return true;
    }));
  };
  prepare();
  BOOST_REQUIRE_GT(ready.size(), 2u);
  // One is left out: none is there, and all may be prepared again.
  std::swap(ready[1], ready.back());
  BOOST_TEST(!second->commit(ready));
  BOOST_TEST(!second->failed());
  BOOST_TEST((second->head() == Head{}));
  prepare();
  BOOST_TEST((must(second->commit(ready)) == first->head()));
  BOOST_TEST((second->head() == first->head()));
  const std::uint64_t last = first->head().sequence;
  BOOST_TEST(must(count_whole(*second->reader(), 1, ~0ull)) == last);
  // The log goes on behind the last of them.
  BOOST_TEST(must(second->append(1, 1, make_events(last + 1, 1))).sequence ==
             last + 1);
}

BOOST_FIXTURE_TEST_CASE(the_end_of_each_record_is_told, EmptyDirectory) {
  const auto log = open();
  fill(*log, 4, 3);
  const auto reader = log->reader();
  BOOST_TEST((must(reader->record_end(0)) == Head{}));
  BOOST_TEST(must(reader->record_end(4)).sequence == 6u);
  BOOST_TEST(must(reader->record_end(6)).sequence == 6u);
  BOOST_TEST((must(reader->record_end(6)) == must(reader->record_end(4))));
  BOOST_TEST((must(reader->record_end(12)) == log->head()));
  const auto beyond = reader->record_end(13);
  BOOST_REQUIRE(!beyond);
  check_error(beyond.error(), Errc::not_found, "the log ends at event 12");
}

BOOST_FIXTURE_TEST_CASE(a_commit_out_of_order_is_refused_without_effect,
                        EmptyDirectory) {
  const auto log = open();
  const auto first = must(log->prepare(1, 1, make_events(1, 1)));
  const auto second = must(log->prepare(1, 1, make_events(2, 1)));
  BOOST_TEST(!log->commit(second));
  BOOST_TEST(!log->failed());
  BOOST_TEST(must(log->append(1, 1, make_events(1, 1))).sequence == 1u);
  BOOST_TEST(!log->commit(first));
}

BOOST_FIXTURE_TEST_CASE(a_second_opening_names_the_process_that_holds_the_log,
                        EmptyDirectory) {
  const auto log = open();
  const auto here = Log::open(options);
  BOOST_REQUIRE(!here);
  check_error(here.error(), Errc::busy, std::to_string(::getpid()));
  const pid_t child = ::fork();
  if (child == 0) {
    const auto there = Log::open(options);
    const std::string pid = std::to_string(::getppid());
    const bool named = !there && there.error().code == Errc::busy &&
                       there.error().text.find(pid) != std::string::npos;
    ::_exit(named ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  BOOST_TEST(status == 0);
}

// Killed, its first thread has ended, and another one not yet.
// It is waited for, and no longer than for ending_wait.
BOOST_FIXTURE_TEST_CASE(an_owner_that_is_ending_is_waited_for, EmptyDirectory) {
  for (const auto lasts : {ending_wait / 4, ending_wait + ending_wait / 2}) {
    std::filesystem::create_directories(directory);
    const auto file = directory / "owner";
    int ready[2];
    BOOST_REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
      static const auto owner = Owner::take(file);
      std::thread([lasts] {
        std::this_thread::sleep_for(lasts);
        ::_exit(0);
      }).detach();
      (void)!::write(ready[1], "", 1);
      ::syscall(SYS_exit, 0);  // of this thread alone
    }
    char byte = 0;
    BOOST_REQUIRE(::read(ready[0], &byte, 1) == 1);
    const auto ended = [&] {
      std::ifstream in("/proc/" + std::to_string(child) + "/stat");
      std::string text;
      std::getline(in, text);
      return text.find(") Z ") != std::string::npos;
    };
    while (!ended()) std::this_thread::yield();
    BOOST_TEST((Owner::holder(file) == child));
    const auto taken = Owner::take(file);
    BOOST_TEST(taken.has_value() == (lasts < ending_wait),
               (taken ? "" : taken.error().text));
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
  }
}

BOOST_FIXTURE_TEST_CASE(who_holds_a_log_can_be_asked_without_taking_it,
                        EmptyDirectory) {
  BOOST_TEST(!Owner::holder(directory / "owner"));
  auto log = open();
  BOOST_TEST((Owner::holder(directory / "owner") == ::getpid()));
  const pid_t child = ::fork();
  if (child == 0)
    ::_exit(Owner::holder(directory / "owner") == ::getppid() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  BOOST_TEST(status == 0);
  log.reset();
  BOOST_TEST(!Owner::holder(directory / "owner"));
}

BOOST_FIXTURE_TEST_CASE(the_name_of_a_new_log_is_synced, EmptyDirectory) {
  {
    const std::lock_guard guard(synced_mutex);
    synced.clear();
  }
  open().reset();
  const std::lock_guard guard(synced_mutex);
  BOOST_TEST(synced.count(std::filesystem::canonical(root.path())) == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_held_log_can_be_opened_once_its_holder_is_gone,
                        EmptyDirectory) {
  auto log = open();
  auto reader = log->reader();
  log.reset();
  check_error(Log::open(options).error(), Errc::busy, "held");
  reader.reset();
  BOOST_TEST((open()->head() == Head{}));
}

BOOST_FIXTURE_TEST_CASE(a_missing_log_is_not_found_and_not_made,
                        EmptyDirectory) {
  options.create_if_missing = false;
  check_error(Log::open(options).error(), Errc::not_found, directory.string());
  BOOST_TEST(!std::filesystem::exists(directory));
  check_error(LogReader::open(directory).error(), Errc::not_found,
              directory.string());
}

BOOST_FIXTURE_TEST_CASE(a_foreign_directory_is_refused_and_left_alone,
                        EmptyDirectory) {
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "thesis.txt") << "precious";
  check_error(Log::open(options).error(), Errc::damaged, "no log of Reeve");
  check_error(LogReader::open(directory).error(), Errc::damaged,
              "no log of Reeve");
  BOOST_TEST(
      std::distance(std::filesystem::directory_iterator(directory), {}) == 1);
}

BOOST_FIXTURE_TEST_CASE(a_creation_that_was_cut_short_is_finished,
                        EmptyDirectory) {
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "owner") << "12\n";
  open().reset();
  // The mark was made, the database was not.
  std::filesystem::remove_all(directory / "db");
  fill(*open(), 1);
}

BOOST_FIXTURE_TEST_CASE(a_reader_of_a_closed_log_takes_either_directory,
                        EmptyDirectory) {
  const Head head = fill(*open(), 10);
  for (const auto& path : {root.path(), directory}) {
    const auto reader = must(LogReader::open(path));
    BOOST_TEST((reader->head() == head));
    BOOST_TEST(must(count_whole(*reader, 1, ~0ull)) == 30u);
  }
}

BOOST_FIXTURE_TEST_CASE(a_reader_follows_a_live_log_and_changes_nothing,
                        EmptyDirectory) {
  const auto log = open();
  fill(*log, 10);
  const auto reader = must(LogReader::open(directory));
  BOOST_TEST(reader->head().sequence == 30u);
  fill(*log, 5);
  BOOST_TEST(reader->head().sequence == 30u);
  must(reader->refresh());
  BOOST_TEST(reader->head().sequence == 45u);
  BOOST_TEST(must(count_whole(*reader, 1, ~0ull)) == 45u);
  fill(*log, 1);
}

BOOST_FIXTURE_TEST_CASE(a_reader_opens_while_commits_and_flushes_go_on,
                        EmptyDirectory) {
  options.write_buffer_bytes = 256u << 10;  // a flush every hundred commits
  const auto log = open();
  fill(*log, 1, 10);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    while (!stop) fill(*log, 1, 10);
  });
  for (int i = 0; i < 15; ++i) {
    const std::uint64_t acknowledged = log->head().sequence;
    const auto reader = must(LogReader::open(directory));
    const std::uint64_t head = reader->head().sequence;
    BOOST_TEST(head >= acknowledged);
    // As far back as several flushes.
    const std::uint64_t from = head > 4000 ? head / 10 * 10 - 3999 : 1;
    BOOST_TEST(must(count_whole(*reader, from, head)) == head - from + 1);
  }
  stop = true;
  writer.join();
}

BOOST_FIXTURE_TEST_CASE(a_reader_of_the_open_log_sees_each_commit,
                        EmptyDirectory) {
  const auto log = open();
  const auto reader = log->reader();
  for (int i = 1; i < 20; ++i) {
    fill(*log, 1, 2);
    BOOST_TEST((reader->head() == log->head()));
    BOOST_TEST(must(count_whole(*reader, 1, ~0ull)) == 2u * i);
  }
}

BOOST_FIXTURE_TEST_CASE(the_newest_snapshot_at_or_before_an_event_is_read,
                        EmptyDirectory) {
  auto log = open();
  fill(*log, 10, 10);
  // None, one and several chunks.
  const std::vector<std::vector<std::byte>> bytes{
      {}, make_events(3, 1, 1024), make_events(4, 1, 3 * (1 << 20) + 8)};
  for (std::uint64_t i = 0; i < bytes.size(); ++i)
    must(log->put_snapshot(10 * (i + 1), Hash{std::byte(i)}, bytes[i]));
  const auto check = [&](LogReader& reader) {
    BOOST_TEST(!must(reader.snapshot_at(9)));
    for (std::uint64_t i = 0; i < bytes.size(); ++i) {
      const auto snapshot = must(reader.snapshot_at(10 * (i + 1) + 5));
      BOOST_REQUIRE(snapshot.has_value());
      BOOST_TEST(snapshot->sequence == 10 * (i + 1));
      BOOST_TEST((snapshot->digest == Hash{std::byte(i)}));
      BOOST_TEST(std::ranges::equal(std::span<const std::byte>(snapshot->bytes),
                                    bytes[i]));
    }
    BOOST_TEST(reader.warnings().empty());
  };
  check(*log->reader());
  check(*must(LogReader::open(directory)));
  log.reset();
  check(*must(LogReader::open(directory)));
}

BOOST_FIXTURE_TEST_CASE(snapshots_beyond_their_bound_are_thinned,
                        EmptyDirectory) {
  options.snapshots_bytes_max = 1;
  const auto log = open();
  fill(*log, 10, 10);
  for (std::uint64_t at = 10; at <= 70; at += 10)
    must(log->put_snapshot(at, Hash{}, make_events(at, 1)));
  const auto kept = must(log->reader()->snapshots());
  BOOST_REQUIRE_EQUAL(kept.size(), 3u);
  BOOST_TEST(kept[0].sequence == 70u);
  BOOST_TEST(kept[2].sequence == 50u);
  BOOST_TEST(must(log->reader()->snapshot_at(55))->sequence == 50u);
}

BOOST_FIXTURE_TEST_CASE(a_snapshot_that_claims_too_much_does_not_count,
                        EmptyDirectory) {
  open()->append(1, 3, make_events(1, 3));
  const auto database =
      must(Database::open(directory / "db", Access::read_write, {}));
  must(write_snapshot(*database, 3, Hash{}, make_events(1, 1),
                      snapshots_bytes_max));
  std::vector<std::string> warnings;
  BOOST_TEST(must(read_snapshot(*database, 3, warnings)).has_value());
  // The header, with the number of chunks that its size asks for.
  std::string key(13, '\0');
  key[0] = 'h';
  key[8] = 3;
  std::string header;
  BOOST_REQUIRE(
      database->db().Get({}, database->snapshot(), key, &header).ok());
  const std::uint64_t size = snapshot_bytes_max + 1;
  const auto chunks = static_cast<std::uint32_t>(
      (size + snapshot_chunk_bytes - 1) / snapshot_chunk_bytes);
  std::memcpy(header.data() + 4, &chunks, sizeof(chunks));
  std::memcpy(header.data() + 8, &size, sizeof(size));
  BOOST_REQUIRE(database->db().Put({}, database->snapshot(), key, header).ok());
  BOOST_TEST(!must(read_snapshot(*database, 3, warnings)));
  BOOST_REQUIRE_EQUAL(warnings.size(), 1u);
  BOOST_TEST(warnings[0].find("damaged header") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_snapshot_ahead_of_the_log_is_refused,
                        EmptyDirectory) {
  const auto log = open();
  fill(*log, 1, 3);
  BOOST_TEST(!log->put_snapshot(4, Hash{}, {}));
  must(log->put_snapshot(3, Hash{}, {}));
}

BOOST_FIXTURE_TEST_CASE(a_closed_log_takes_no_commit, EmptyDirectory) {
  const auto log = open();
  fill(*log, 1);
  must(log->close());
  must(log->close());
  BOOST_TEST(!log->append(1, 1, make_events(4, 1)));
}

BOOST_AUTO_TEST_CASE(a_scan_reads_no_further_ahead_than_its_bound) {
  BOOST_TEST(ScanPipeline::may_read_on(ScanPipeline::blocks_max - 1));
  BOOST_TEST(!ScanPipeline::may_read_on(ScanPipeline::blocks_max));
}

BOOST_AUTO_TEST_CASE(every_damage_comes_with_what_to_do_next) {
  const auto advised = [](Errc code, const std::string& text) {
    return with_advice({code, text}, "/data/cell").text;
  };
  BOOST_TEST(advised(Errc::damaged, "event 7 is missing").find("restore") !=
             std::string::npos);
  BOOST_TEST(advised(Errc::damaged, "event 7 is missing").find("/data/cell") !=
             std::string::npos);
  BOOST_TEST(advised(Errc::damaged, "this log is newer than this program") ==
             "this log is newer than this program: use the version that wrote "
             "it");
  for (const std::string known :
       {"gone: restore the directory from a copy", "no log; name a directory"})
    BOOST_TEST(advised(Errc::damaged, known) == known);
  BOOST_TEST(advised(Errc::io, "no such file") == "no such file");
}

}  // namespace log_test
