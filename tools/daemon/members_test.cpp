// What a manager's daemon leaves for the one that it becomes.
#include "tools/daemon/members.hpp"

#include <boost/test/unit_test.hpp>

#include "store/layout.hpp"
#include "store/set_aside.hpp"
#include "store/test_log.hpp"

namespace reeve::tools::members_test {
namespace {

using store::test::fill;
using store::test::must;
using store::test::small_log;

struct Data : store::test::TemporaryDirectory {
  std::filesystem::path log() const { return path() / "log"; }
  static store::LogId id(std::uint8_t byte) {
    store::LogId id;
    id.fill(std::byte{byte});
    return id;
  }
  // As a daemon opens it.
  std::unique_ptr<store::Log> open() {
    auto options = small_log(log());
    options.new_log_id = must(make_way_for_noted_id(path()));
    auto opened = must(store::Log::open(options));
    forget_log_id(path());
    return opened;
  }
};

BOOST_FIXTURE_TEST_SUITE(daemon_members, Data)

BOOST_AUTO_TEST_CASE(an_empty_log_is_made_anew_with_the_id_that_was_noted) {
  const auto before = open()->reader()->log_id();
  BOOST_TEST((before != id(7)));
  must(note_log_id(path(), id(7)));
  BOOST_TEST((open()->reader()->log_id() == id(7)));
  // Once.
  BOOST_TEST(!must(make_way_for_noted_id(path())));
  BOOST_TEST((open()->reader()->log_id() == id(7)));
}

BOOST_AUTO_TEST_CASE(a_start_that_was_cut_short_makes_it_anew_again) {
  open();
  must(note_log_id(path(), id(7)));
  BOOST_TEST((must(make_way_for_noted_id(path())) == id(7)));
  BOOST_TEST(!std::filesystem::exists(log()));
  BOOST_TEST((open()->reader()->log_id() == id(7)));
}

BOOST_AUTO_TEST_CASE(a_log_that_was_half_made_is_made_anew_again) {
  open();
  must(note_log_id(path(), id(7)));
  std::filesystem::remove(store::Layout{log()}.database() / "CURRENT");
  BOOST_TEST((open()->reader()->log_id() == id(7)));
}

BOOST_AUTO_TEST_CASE(a_log_with_events_is_not_taken_for_one_half_made) {
  fill(*open(), 1);
  must(note_log_id(path(), id(7)));
  std::filesystem::remove(store::Layout{log()}.database() / "CURRENT");
  BOOST_TEST(!make_way_for_noted_id(path()));
  BOOST_TEST(std::filesystem::exists(log()));
}

BOOST_AUTO_TEST_CASE(a_log_with_events_keeps_its_id) {
  const auto before = [&] {
    const auto log = open();
    fill(*log, 1);
    return log->reader()->log_id();
  }();
  must(note_log_id(path(), id(7)));
  const auto after = open();
  BOOST_TEST((after->reader()->log_id() == before));
  BOOST_TEST(after->head().sequence == 3u);
}

BOOST_AUTO_TEST_CASE(what_was_set_aside_last_is_told) {
  BOOST_TEST(!last_set_aside(path(), "m1"));
  fill(*open(), 4);
  BOOST_TEST(!last_set_aside(path(), "m1"));
  must(note_set_aside(path(), 7, "why"));
  must(set_aside_as_noted(path()));
  const auto told = last_set_aside(path(), "m1");
  BOOST_REQUIRE(told);
  BOOST_TEST(told->manager == "m1");
  BOOST_TEST((told->kind == cluster::HealingKind::suffix_set_aside));
  BOOST_TEST(told->first == 7u);
  BOOST_TEST(told->last == 12u);
  BOOST_TEST(told->epoch == 1u);
  BOOST_TEST(std::filesystem::exists(told->file));
  BOOST_TEST(open()->head().sequence == 6u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::members_test
