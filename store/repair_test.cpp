// Repair: what is shown is what is done, nothing is taken that does not
// follow, nothing is removed.
#include "store/repair.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "store/archive.hpp"
#include "store/database.hpp"
#include "store/test_log.hpp"

namespace repair_test {

using namespace reeve;
using namespace reeve::store;
using namespace reeve::store::test;
namespace fs = std::filesystem;

namespace {

// Events 1 to 300 in records of three, a whole copy and a whole export.
struct Damaged {
  TemporaryDirectory temporary;
  fs::path directory = temporary.path() / "log";
  fs::path copy = temporary.path() / "copy";
  fs::path file = temporary.path() / "all.segment";
  std::vector<fs::path> quarantines;

  Damaged() {
    const auto log = must(Log::open(small_log(directory)));
    fill(*log, 100);
    const auto reader = log->reader();
    must(write_segment_file(
        *reader, must(segment_of(*reader, 1, 300, Compression::zstd)), file,
        {}));
    must(log->close());
    fs::copy(directory, copy, fs::copy_options::recursive);
  }

  // Takes records out of the database, or alters them, as damage would.
  void remove_records(std::uint64_t from, std::uint64_t to) {
    const auto database =
        must(Database::open(directory / "db", Access::read_write, {}));
    for (std::uint64_t at = from; at <= to; at += 3) {
      const RecordKey key = make_record_key(at);
      BOOST_REQUIRE(database->db()
                        .Delete({}, database->log(), {key.data(), key.size()})
                        .ok());
    }
  }

  RepairPlan plan(const std::vector<fs::path>& sources = {}) {
    return must(plan_repair(directory, sources, nullptr));
  }
  void check_whole(std::uint64_t head = 300) {
    const auto reader = must(LogReader::open(directory));
    BOOST_TEST(reader->head().sequence == head);
    BOOST_TEST(must(count_whole(*reader, 1, head)) == head);
    const auto log = must(Log::open(small_log(directory)));
    fill(*log, 1);
    BOOST_TEST(must(count_whole(*log->reader(), 1, head + 3)) == head + 3);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_whole_log_needs_no_repair, Damaged) {
  const auto nothing = plan({file});
  BOOST_TEST(!nothing.needed());
  BOOST_TEST(nothing.head.sequence == 300u);
  must(carry_out(nothing, nullptr));
  BOOST_TEST(!fs::exists(nothing.quarantine));
  check_whole();
}

BOOST_FIXTURE_TEST_CASE(missing_records_come_from_an_export_or_a_copy,
                        Damaged) {
  for (const fs::path& source : {file, copy}) {
    remove_records(100, 160);
    remove_records(298, 298);
    const auto found = plan({source});
    BOOST_TEST(found.needed());
    BOOST_TEST(found.lost_from == 0u);
    BOOST_TEST(found.cut_from == 0u);
    BOOST_REQUIRE_EQUAL(found.pieces.size(), 4u);
    BOOST_TEST(found.pieces[1].from == 100u);
    BOOST_TEST(found.pieces[1].to == 162u);
    BOOST_TEST(found.pieces[1].source == source.string());
    must(carry_out(found, nullptr));
    BOOST_TEST(fs::exists(found.quarantine / "db" / "CURRENT"));
    BOOST_TEST(fs::exists(found.quarantine / "plan"));
    const auto reader = must(LogReader::open(directory));
    BOOST_TEST(must(count_whole(*reader, 1, 300)) == 300u);
  }
  check_whole();
}

BOOST_FIXTURE_TEST_CASE(what_nobody_has_is_said_to_be_lost, Damaged) {
  remove_records(100, 160);
  const auto found = plan();
  BOOST_TEST(found.head.sequence == 99u);
  BOOST_TEST(found.lost_from == 100u);
  BOOST_TEST(found.lost_to == 300u);
  BOOST_TEST(found.cut_from == 100u);
  BOOST_TEST(found.cut_to == 300u);
  // Nothing was changed by looking.
  BOOST_TEST(!fs::exists(found.quarantine));
  BOOST_TEST(plan().id == found.id);
  // A person who agrees to that very plan gets it.
  must(carry_out(found, nullptr));
  check_whole(99);
}

BOOST_FIXTURE_TEST_CASE(a_plan_that_came_out_different_is_not_carried_out,
                        Damaged) {
  remove_records(100, 160);
  const auto found = plan();
  remove_records(40, 40);
  const Status done = carry_out(found, nullptr);
  BOOST_REQUIRE(!done);
  BOOST_TEST((done.error().code == Errc::rejected));
  BOOST_TEST(!fs::exists(found.quarantine));
}

BOOST_FIXTURE_TEST_CASE(a_source_of_another_log_is_refused, Damaged) {
  remove_records(100, 160);
  const Damaged other;
  for (const fs::path& source : {other.file, other.copy}) {
    const auto refused = plan_repair(directory, {source}, nullptr);
    BOOST_REQUIRE(!refused);
    BOOST_TEST((refused.error().code == Errc::damaged));
  }
}

BOOST_FIXTURE_TEST_CASE(records_that_do_not_follow_are_not_taken, Damaged) {
  // A copy that went its own way after event 99.
  const fs::path fork = temporary.path() / "fork";
  fs::copy(copy, fork, fs::copy_options::recursive);
  {
    const auto database =
        must(Database::open(fork / "db", Access::read_write, {}));
    const auto events = make_events(1'000, 3);
    const auto header = make_record_header({}, 100, 1, 3, events);
    std::string text(reinterpret_cast<const char*>(header.data()),
                     header.size());
    text.append(reinterpret_cast<const char*>(events.data()), events.size());
    const RecordKey key = make_record_key(100);
    BOOST_REQUIRE(database->db()
                      .Put({}, database->log(), {key.data(), key.size()}, text)
                      .ok());
  }
  remove_records(100, 100);
  const auto found = plan({fork});
  BOOST_TEST(found.head.sequence == 99u);
  BOOST_TEST(found.lost_from == 100u);
}

BOOST_FIXTURE_TEST_CASE(a_database_that_cannot_be_opened_is_built_anew,
                        Damaged) {
  for (const auto& entry : fs::directory_iterator(directory / "db"))
    if (entry.path().extension() == ".sst") fs::resize_file(entry.path(), 10);
  const auto without = plan();
  BOOST_TEST(without.lost_from == 1u);
  const auto found = plan({file});
  BOOST_TEST(found.lost_from == 0u);
  must(carry_out(found, nullptr));
  check_whole();
}

BOOST_FIXTURE_TEST_CASE(a_damaged_archive_is_replaced, Damaged) {
  const Layout layout{directory};
  const auto archive = layout.archive() / ArchiveSet::file_name(91, 180);
  {
    const auto log = must(Log::open(small_log(directory)));
    const auto reader = log->reader();
    for (const auto& info : must(plan_archives(*reader, 200, 90, Rest::leave)))
      must(seal_archive(*reader, layout, info, {}));
    BOOST_TEST(must(log->drop_archived()) == 180u);
  }
  fs::resize_file(archive, fs::file_size(archive) / 2);
  BOOST_TEST(plan().lost_from == 91u);
  const auto found = plan({file});
  BOOST_TEST(found.lost_from == 0u);
  BOOST_REQUIRE_EQUAL(found.archives.size(), 1u);
  BOOST_TEST(found.archives[0].from == 91u);
  BOOST_TEST(found.archives[0].to == 180u);
  must(carry_out(found, nullptr));
  BOOST_TEST(fs::exists(found.quarantine / archive.filename()));
  check_whole();
}

BOOST_FIXTURE_TEST_CASE(a_swap_that_was_cut_short_is_taken_back, Damaged) {
  const auto quarantine = directory / "quarantine-12345678";
  fs::create_directories(quarantine);
  fs::rename(directory / "db", quarantine / "db");
  fs::create_directories(directory / "db.mended");
  BOOST_TEST(!plan().needed());
  check_whole();
}

BOOST_FIXTURE_TEST_CASE(a_log_in_use_is_not_repaired, Damaged) {
  const auto log = must(Log::open(small_log(directory)));
  const auto found = plan_repair(directory, {}, nullptr);
  BOOST_REQUIRE(!found);
  BOOST_TEST((found.error().code == Errc::busy));
}

}  // namespace repair_test
