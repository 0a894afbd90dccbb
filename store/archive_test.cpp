// A log whose old records are in archives reads like any other; they leave the
// database only when their archive is proved, and damage to it is named.
#include "store/archive.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "store/fault_env.hpp"
#include "store/test_log.hpp"

namespace archive_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;
namespace fs = std::filesystem;

namespace {

struct Archived {
  TemporaryDirectory temporary;
  fs::path directory = temporary.path() / "log";
  Layout layout{directory};
  std::unique_ptr<Log> log = must(Log::open(small_log(directory)));

  // Events 1 to 300 in records of three.
  Archived() { fill(*log, 100); }

  void seal(std::uint64_t to, std::uint64_t each, Rest rest = Rest::take) {
    const auto reader = log->reader();
    for (const auto& info : must(plan_archives(*reader, to, each, rest)))
      must(seal_archive(*reader, layout, info, {}));
  }
  fs::path archive(std::uint64_t from, std::uint64_t to) const {
    return layout.archive() / ArchiveSet::file_name(from, to);
  }
  void flip(const fs::path& file, std::streamoff at) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get() ^ 0x20);
    stream.seekp(at);
    stream.put(byte);
  }
};

// Every range that begins or ends near a border of the archives.
void check_whole(const LogReader& reader, std::uint64_t head) {
  BOOST_TEST(reader.head().sequence == head);
  BOOST_TEST(must(count_whole(reader, 1, head)) == head);
  for (const std::uint64_t from :
       {1, 2, 3, 4, 99, 100, 101, 198, 199, 200, 250})
    for (const std::uint64_t to : {3, 4, 99, 100, 101, 102, 199, 201, 260}) {
      if (to < from) continue;
      const std::uint64_t first = (from - 1) / 3 * 3 + 1;
      const std::uint64_t last = (to + 2) / 3 * 3;
      BOOST_TEST(must(count_whole(reader, from, to)) == last - first + 1);
    }
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(archived_records_read_like_all_others, Archived) {
  seal(200, 99);
  BOOST_TEST(log->archives_pending());
  check_whole(*log->reader(), 300);
  // Records of three: 99, 99, and none of the record that goes beyond 200.
  BOOST_TEST(must(log->drop_archived()) == 198u);
  BOOST_TEST(!log->archives_pending());
  check_whole(*log->reader(), 300);
  check_whole(*must(LogReader::open(directory)), 300);
  log.reset();
  check_whole(*must(LogReader::open(directory)), 300);
  log = must(Log::open(small_log(directory)));
  fill(*log, 10);
  check_whole(*log->reader(), 330);
}

BOOST_FIXTURE_TEST_CASE(the_next_archives_follow_the_ones_there_are, Archived) {
  seal(120, 60);
  BOOST_TEST(must(log->drop_archived()) == 120u);
  seal(240, 60);
  BOOST_TEST(must(log->drop_archived()) == 240u);
  check_whole(*log->reader(), 300);
  BOOST_TEST(log->reader()->archives()->entries().size() == 4u);
}

BOOST_FIXTURE_TEST_CASE(what_is_less_than_an_archive_stays, Archived) {
  seal(200, 99, Rest::leave);
  BOOST_TEST(log->reader()->archives()->unbroken_to() == 0u);
  log = nullptr;
  log = must(Log::open(small_log(directory)));
  BOOST_TEST(log->reader()->archives()->unbroken_to() == 198u);
  const auto reader = log->reader();
  BOOST_TEST(
      must(plan_archives(*reader, 300, archive_events, Rest::leave)).empty());
}

BOOST_FIXTURE_TEST_CASE(the_newest_record_is_never_archived, Archived) {
  seal(10'000, 1'000);
  BOOST_TEST(must(log->drop_archived()) == 297u);
  fill(*log, 1);
  check_whole(*log->reader(), 303);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_archive_keeps_its_records_in_the_database,
                        Archived) {
  seal(200, 99);
  flip(archive(100, 198), 300);
  const auto dropped = log->drop_archived();
  BOOST_REQUIRE(!dropped);
  BOOST_TEST((dropped.error().code == Errc::damaged));
  BOOST_TEST(dropped.error().text.find(archive(100, 198).string()) !=
             std::string::npos);
  // The first was whole and has left; all can still be read.
  check_whole(*must(LogReader::open(directory)), 300);
}

BOOST_FIXTURE_TEST_CASE(an_archive_of_another_log_is_not_taken, Archived) {
  Archived other;
  other.seal(200, 99);
  fs::create_directories(layout.archive());
  fs::copy(other.archive(1, 99), archive(1, 99));
  BOOST_TEST(!log->drop_archived());
  check_whole(*log->reader(), 300);
}

BOOST_FIXTURE_TEST_CASE(every_flipped_byte_of_an_archive_is_named, Archived) {
  seal(9, 9);
  BOOST_TEST(must(log->drop_archived()) == 9u);
  log.reset();
  const fs::path file = archive(1, 9);
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  for (std::streamoff at = 0; at < size; ++at) {
    flip(file, at);
    const auto reader = must(LogReader::open(directory));
    const auto read = count_whole(*reader, 1, 300);
    BOOST_REQUIRE_MESSAGE(!read, "byte " << at << " was not noticed");
    BOOST_TEST((read.error().code == Errc::damaged));
    BOOST_TEST(read.error().text.find(file.string()) != std::string::npos,
               read.error().text);
    // What is in the database needs no archive.
    BOOST_TEST(must(count_whole(*reader, 40, 300)) > 0u);
    flip(file, at);
  }
  for (std::uintmax_t cut = 0; cut < fs::file_size(file); cut += 7) {
    const fs::path kept = temporary.path() / "kept";
    fs::copy_file(file, kept, fs::copy_options::overwrite_existing);
    fs::resize_file(file, cut);
    BOOST_TEST(!count_whole(*must(LogReader::open(directory)), 1, 300));
    fs::rename(kept, file);
  }
}

BOOST_FIXTURE_TEST_CASE(a_missing_archive_is_named_and_the_log_goes_on,
                        Archived) {
  seal(200, 99);
  must(log->drop_archived());
  fs::remove(archive(1, 99));
  log.reset();
  log = must(Log::open(small_log(directory)));
  fill(*log, 1);
  const auto read = count_whole(*log->reader(), 1, 300);
  BOOST_REQUIRE(!read);
  BOOST_TEST((read.error().code == Errc::damaged));
  BOOST_TEST(
      read.error().text.find("event 1 was archived") != std::string::npos,
      read.error().text);
  // The chain of what follows is proved from the first record that is there.
  BOOST_TEST(must(count_whole(*log->reader(), 103, 303)) == 201u);
}

// Faults in every write of sealing and removing: whatever is cut short, no
// record is missing afterwards, and doing it again completes it.
BOOST_AUTO_TEST_CASE(archiving_cut_short_at_any_sync_loses_nothing) {
  for (std::uint64_t failing = 1; failing <= 24; ++failing) {
    TemporaryDirectory temporary;
    const fs::path directory = temporary.path() / "log";
    Faults faults;
    const auto env = make_fault_env(faults);
    {
      LogOptions options = small_log(directory);
      options.env = env.get();
      const auto log = must(Log::open(options));
      fill(*log, 20);
      faults.syncs = 0;
      faults.failing_sync = failing;
      const auto reader = log->reader();
      SegmentFileSteps steps;
      steps.env = env.get();
      for (const auto& info : must(plan_archives(*reader, 40, 18, Rest::take)))
        if (!seal_archive(*reader, Layout{directory}, info, steps)) break;
      (void)log->drop_archived();
    }
    faults.lose_unsynced();
    faults.failing_sync = 0;
    const auto log = must(Log::open(small_log(directory)));
    BOOST_TEST(must(count_whole(*log->reader(), 1, 60)) == 60u,
               "sync " << failing);
    const auto reader = log->reader();
    for (const auto& info : must(plan_archives(*reader, 39, 18, Rest::take)))
      must(seal_archive(*reader, Layout{directory}, info, {}));
    must(log->drop_archived());
    BOOST_TEST(must(count_whole(*log->reader(), 1, 60)) == 60u);
  }
}

}  // namespace archive_test
