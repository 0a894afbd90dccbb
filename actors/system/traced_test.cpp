#include "actors/system/traced.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace reeve::actors {
namespace {

void add(const std::string& name, bool ended) {
  auto record = std::make_shared<ActorRecord>();
  record->name = name;
  record->ended = ended;
  ActorRegistry::instance().add(std::move(record));
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

}  // namespace
}  // namespace reeve::actors
