#include "tools/cli/cell/daemon.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

namespace reeve::tools::daemon_test {
namespace {

namespace fs = std::filesystem;

struct Log {
  fs::path file = fs::temp_directory_path() /
                  ("reeve-daemon-log-" + std::to_string(::getpid()));

  ~Log() { fs::remove(file); }
  void add(const std::string& text) {
    std::ofstream(file, std::ios::app) << text;
  }
  DaemonStart start(bool detach = true) const {
    DaemonStart out;
    out.detach = detach;
    out.log = file;
    return out;
  }
};

BOOST_AUTO_TEST_SUITE(daemon)

BOOST_FIXTURE_TEST_CASE(the_words_of_earlier_starts_are_not_its_last, Log) {
  const WordsFrom first = words_from(start());
  add("begun\nended\n");
  const WordsFrom second = words_from(start());
  BOOST_TEST(last_words(file, second) ==
             "; it said nothing in " + file.string());
  add("no room\n");
  const std::string head = "; its last words, from " + file.string() + ":\n";
  BOOST_TEST(last_words(file, second) == head + "  no room\n");
  BOOST_TEST(last_words(file, first) == head + "  begun\n  ended\n  no room\n");
}

BOOST_FIXTURE_TEST_CASE(of_many_words_the_last_are_told, Log) {
  const WordsFrom from = words_from(start());
  std::string text;
  for (int line = 0; line < 10'000; ++line) text += std::to_string(line) + "\n";
  add(text);
  const std::string told = last_words(file, from);
  BOOST_TEST(told.ends_with("  9998\n  9999\n"));
  BOOST_TEST(told.size() < 400);
}

BOOST_FIXTURE_TEST_CASE(a_log_that_was_cut_off_is_told_whole, Log) {
  add("a long line of an earlier start\n");
  const WordsFrom from = words_from(start());
  fs::resize_file(file, 0);
  add("no room\n");
  BOOST_TEST(last_words(file, from).ends_with(":\n  no room\n"));
}

BOOST_FIXTURE_TEST_CASE(a_daemon_at_this_terminal_has_said_it_there, Log) {
  add("of an earlier start\n");
  BOOST_TEST(last_words(file, words_from(start(false))) ==
             "; its last words are above");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::daemon_test
