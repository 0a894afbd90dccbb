#include "actors/agent/keeper/journal.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

namespace reeve::keeper::journal_test {
namespace {

struct Place {
  Place() {
    char path[] = "/tmp/keeper-journal-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(path));
    directory = path;
    file = directory + "/tasks.journal";
  }
  ~Place() { std::filesystem::remove_all(directory); }

  JournalState read(std::string* warning = nullptr) const {
    JournalState state;
    auto journal = Journal::open(file, state);
    BOOST_REQUIRE(journal);
    if (warning) *warning = journal->warning();
    return state;
  }
  // Three tasks: one runs, one ended, one is forgotten.
  void fill() const {
    JournalState state;
    auto journal = Journal::open(file, state);
    BOOST_REQUIRE(journal);
    state.boot_id = "this boot";
    BOOST_REQUIRE(journal->rewrite(state));
    journal->epoch(12);
    journal->launched({1, 1, 0}, 100);
    journal->running({1, 1, 0}, 4321, 555);
    journal->launched({2, 1, 0}, 200);
    ExitFacts facts;
    facts.exit_code = 3;
    facts.started_at = 200;
    facts.detail = "so it was";
    journal->exited({2, 1, 0}, facts);
    journal->launched({3, 1, 0}, 300);
    journal->start_failed({3, 1, 0}, "no such command");
    journal->forgotten({3, 1, 0});
    BOOST_REQUIRE(journal->flush());
  }

  std::string directory;
  std::string file;
};

void check_filled(const JournalState& state) {
  BOOST_CHECK_EQUAL(state.boot_id, "this boot");
  BOOST_CHECK_EQUAL(state.newest_epoch, 12);
  BOOST_REQUIRE_EQUAL(state.tasks.size(), 2);
  const auto& running = state.tasks.at({1, 1, 0});
  BOOST_CHECK(running.status.state == TaskState::running);
  BOOST_CHECK_EQUAL(running.status.pid, 4321);
  BOOST_CHECK_EQUAL(running.boot_ns, 555);
  const auto& ended = state.tasks.at({2, 1, 0});
  BOOST_CHECK(ended.status.state == TaskState::exited);
  BOOST_CHECK_EQUAL(ended.status.exit.exit_code, 3);
  BOOST_CHECK_EQUAL(ended.status.exit.detail, "so it was");
  BOOST_CHECK(state.forgotten.has({3, 1, 0}));
}

BOOST_AUTO_TEST_CASE(what_was_flushed_is_read_back) {
  Place place;
  place.fill();
  check_filled(place.read());
}

BOOST_AUTO_TEST_CASE(a_rewritten_journal_says_the_same_in_less) {
  Place place;
  place.fill();
  JournalState state;
  auto journal = Journal::open(place.file, state);
  BOOST_REQUIRE(journal->rewrite(state));
  check_filled(place.read());
}

BOOST_AUTO_TEST_CASE(a_journal_cut_at_any_byte_opens_with_what_is_whole) {
  Place place;
  place.fill();
  auto size = std::filesystem::file_size(place.file);
  std::size_t tasks_before = 2;
  for (auto cut = size - 1; cut > 60; --cut) {
    std::filesystem::resize_file(place.file, cut);
    std::string warning;
    auto state = place.read(&warning);
    // Nothing that was never written appears; the cut stays cut.
    BOOST_CHECK_LE(state.tasks.size(), 3);
    BOOST_CHECK_LE(std::filesystem::file_size(place.file), cut);
    tasks_before = std::min(tasks_before, state.tasks.size());
    cut = std::filesystem::file_size(place.file);
  }
  BOOST_CHECK_EQUAL(tasks_before, 0);
}

BOOST_AUTO_TEST_CASE(a_torn_tail_is_cut_and_reported) {
  Place place;
  place.fill();
  std::ofstream(place.file, std::ios::app) << "torn";
  std::string warning;
  check_filled(place.read(&warning));
  BOOST_CHECK_NE(warning.find("4 bytes at the end"), std::string::npos);
  place.read(&warning);
  BOOST_CHECK_EQUAL(warning, "");
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_ends_the_journal_before_it) {
  Place place;
  place.fill();
  auto size = std::filesystem::file_size(place.file);
  std::fstream file(place.file, std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(size) - 3);
  file.put('\x55');
  file.close();
  std::string warning;
  auto state = place.read(&warning);
  BOOST_CHECK(!state.forgotten.has({3, 1, 0}));
  BOOST_CHECK_NE(warning, "");
}

BOOST_AUTO_TEST_CASE(a_journal_over_its_bound_wants_to_be_written_anew) {
  Place place;
  place.fill();
  JournalState state;
  auto journal = Journal::open(place.file, state);
  BOOST_REQUIRE(journal);
  BOOST_REQUIRE(journal->rewrite(state));
  const std::string novel(64 << 10, 'x');
  std::uint64_t session = 10;
  while (std::filesystem::file_size(place.file) + 2 * novel.size() <
         journal_bytes_compact) {
    journal->start_failed({++session, 1, 0}, novel);
    BOOST_REQUIRE(journal->flush());
  }
  BOOST_CHECK(!journal->wants_compaction());
  for (int at = 0; at < 3; ++at) {
    journal->start_failed({++session, 1, 0}, novel);
    BOOST_REQUIRE(journal->flush());
  }
  BOOST_CHECK_GT(std::filesystem::file_size(place.file), journal_bytes_compact);
  BOOST_CHECK(journal->wants_compaction());
  BOOST_REQUIRE(journal->rewrite(state));
  BOOST_CHECK(!journal->wants_compaction());
}

BOOST_AUTO_TEST_CASE(a_foreign_file_is_refused_and_left_alone) {
  Place place;
  std::ofstream(place.file) << "this is somebody's letter, not a journal";
  JournalState state;
  auto journal = Journal::open(place.file, state);
  BOOST_REQUIRE(!journal);
  BOOST_CHECK(journal.error().code == Errc::damaged);
  BOOST_CHECK_EQUAL(std::filesystem::file_size(place.file), 40);
}

BOOST_AUTO_TEST_CASE(only_so_many_forgotten_keys_are_remembered) {
  Forgotten forgotten;
  for (std::uint64_t at = 0; at <= forgotten_max; ++at) {
    forgotten.add({at, 1, 0});
  }
  BOOST_CHECK(!forgotten.has({0, 1, 0}));
  BOOST_CHECK(forgotten.has({1, 1, 0}));
  BOOST_CHECK_EQUAL(forgotten.order().size(), forgotten_max);
}

}  // namespace
}  // namespace reeve::keeper::journal_test
