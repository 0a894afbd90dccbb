#include "bus/quarantine.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>

#include "bus/test_support.hpp"
#include "bus/verified.hpp"

namespace reeve::bus::quarantine_test {
namespace {

using testing::bytes_of;
namespace fs = std::filesystem;

std::size_t files_in(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(
      fs::directory_iterator(directory), fs::directory_iterator()));
}

BOOST_AUTO_TEST_CASE(an_entry_tells_what_was_expected_and_what_came) {
  Quarantine quarantine;
  quarantine.add("Command", "a.b", bytes_of("xyz"), "too short");
  const auto recent = quarantine.recent();
  BOOST_REQUIRE(recent.size() == 1u);
  BOOST_TEST(recent[0].number == 1u);
  BOOST_TEST(recent[0].kind == "Command");
  BOOST_TEST(recent[0].subject == "a.b");
  BOOST_TEST(recent[0].bytes == 3u);
  BOOST_TEST(recent[0].reason == "too short");
  BOOST_TEST(recent[0].head_hex == "78797a");
}

BOOST_AUTO_TEST_CASE(only_the_newest_stay_in_memory_and_all_are_counted) {
  Quarantine quarantine({.directory = {}, .recent_max = 3});
  for (int i = 0; i < 10; ++i) quarantine.add("Command", "s", {}, "r");
  BOOST_TEST(quarantine.count() == 10u);
  BOOST_REQUIRE(quarantine.recent().size() == 3u);
  BOOST_TEST(quarantine.recent().front().number == 8u);
}

BOOST_AUTO_TEST_CASE(files_are_bounded_in_number_and_in_size) {
  const testing::TemporaryDirectory directory;
  Quarantine quarantine({.directory = directory.path(),
                         .files_max = 4,
                         .file_bytes_max = 100,
                         .files_per_second_max = 1000});
  const std::string large(5000, 'x');
  for (int i = 0; i < 9; ++i)
    quarantine.add("Command", "s", bytes_of(large), "r");
  BOOST_TEST(files_in(directory.path()) == 4u);
  for (const auto& entry : fs::directory_iterator(directory.path()))
    BOOST_TEST(entry.file_size() < 200u);
}

BOOST_AUTO_TEST_CASE(a_flood_is_counted_but_not_written) {
  const testing::TemporaryDirectory directory;
  Quarantine quarantine({.directory = directory.path(),
                         .files_max = 100'000,
                         .files_per_second_max = 2});
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i) quarantine.add("Command", "s", {}, "r");
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::steady_clock::now() - begin);
  BOOST_TEST(quarantine.count() == 1'000u);
  BOOST_TEST(files_in(directory.path()) <=
             2u * (static_cast<std::size_t>(seconds.count()) + 2));
}

BOOST_AUTO_TEST_CASE(files_of_an_earlier_run_are_not_overwritten) {
  const testing::TemporaryDirectory directory;
  for (const char* text : {"first", "second"}) {
    Quarantine quarantine({.directory = directory.path()});
    quarantine.add("Command", "s", bytes_of(text), "r");
  }
  BOOST_TEST(files_in(directory.path()) == 2u);
}

BOOST_AUTO_TEST_CASE(the_reason_says_which_check_failed) {
  const Buffer good = testing::make_command(1);
  BOOST_TEST(refusal_reason(bytes_of("abc"), "RVC1", 100, false) ==
             "3 bytes are too few for a message");
  BOOST_TEST(refusal_reason(good, "RVC1", 8, false) ==
             std::to_string(good.size()) + " bytes are over the bound of 8");
  BOOST_TEST(refusal_reason(good, "RVE1", 1000, false) ==
             "its identifier is not RVE1");
  BOOST_TEST(refusal_reason(good, "RVC1", 1000, false) ==
             "its structure is broken");
}

}  // namespace
}  // namespace reeve::bus::quarantine_test
