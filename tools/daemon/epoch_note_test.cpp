#include "tools/daemon/epoch_note.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "store/test_log.hpp"

namespace reeve::tools::epoch_note_test {
namespace {

using store::test::must;

struct Noted : store::test::TemporaryDirectory {
  void write(const std::string& text) {
    std::ofstream(path() / "epoch.note") << text;
  }
};

BOOST_AUTO_TEST_SUITE(epoch_note)

BOOST_FIXTURE_TEST_CASE(the_newest_epoch_is_noted, Noted) {
  BOOST_TEST(must(noted_epoch(path())).value == 0u);
  for (const std::uint64_t epoch : {std::uint64_t{4}, std::uint64_t{1} << 62}) {
    must(note_epoch(path(), Epoch{epoch}));
    BOOST_TEST(must(noted_epoch(path())).value == epoch);
  }
}

BOOST_FIXTURE_TEST_CASE(a_note_that_is_none_is_refused, Noted) {
  must(note_epoch(path(), Epoch{1}));
  for (const std::string text :
       {"", "x", "-1", "4 5", "4611686018427387905", "18446744073709551616"}) {
    write(text);
    const auto noted = noted_epoch(path());
    BOOST_REQUIRE(!noted);
    BOOST_TEST((noted.error().code == Errc::damaged), text);
    BOOST_TEST(noted.error().text.ends_with("remove it"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::epoch_note_test
