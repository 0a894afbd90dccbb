#include "actors/system/traced.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace reeve::actors::traced_test {
namespace {

std::shared_ptr<ActorRecord> add(const std::string& name, bool ended) {
  auto record = std::make_shared<ActorRecord>();
  record->name = name;
  record->ended = ended;
  ActorRegistry::instance().add(record);
  return record;
}

bool knows(const std::string& name) {
  const auto all = ActorRegistry::instance().list();
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& one) { return one->name == name; });
}

BOOST_AUTO_TEST_CASE(the_oldest_ended_actors_are_forgotten_over_the_bound) {
  constexpr std::size_t bound = ActorRegistry::ended_records_max;
  add("lives", false);
  add("oldest", true);
  add("second", true);
  for (std::size_t i = 2; i < bound; ++i) add("another", true);
  add("new", false);
  BOOST_TEST(ActorRegistry::instance().list().size() == bound + 2);
  BOOST_TEST(knows("oldest"));
  add("one more", true);
  add("newer", false);
  BOOST_TEST(!knows("oldest"));
  BOOST_TEST(knows("second"));
  BOOST_TEST(knows("lives"));
  BOOST_TEST(ActorRegistry::instance().list().size() == bound + 3);
}

BOOST_AUTO_TEST_CASE(what_forgotten_actors_have_handled_still_counts) {
  const auto figures = [] { return ActorRegistry::instance().figures(); };
  for (const bool ended : {true, false}) {
    const auto record = add("counted", ended);
    record->enqueued = 5;
    record->handled = 3;
    record->busy_ns = 70;
  }
  for (int round = 0; round < 2; ++round) {
    const ActorFigures of = figures().at("counted");
    BOOST_TEST(of.waiting == 2u);  // those of the one that lives
    BOOST_TEST(of.handled == 6u);
    BOOST_TEST(of.busy_ns == 140u);
    for (std::size_t i = 0; i <= ActorRegistry::ended_records_max; ++i)
      add("another", true);
  }
  const auto all = ActorRegistry::instance().list();
  BOOST_TEST(std::count_if(all.begin(), all.end(), [](const auto& one) {
               return one->name == "counted";
             }) == 1);
}

BOOST_AUTO_TEST_CASE(a_message_that_is_not_counted_yet_does_not_wait) {
  const auto record = add("ahead", false);
  record->handled = 1;
  BOOST_TEST(ActorRegistry::instance().figures().at("ahead").waiting == 0u);
}

}  // namespace
}  // namespace reeve::actors::traced_test
