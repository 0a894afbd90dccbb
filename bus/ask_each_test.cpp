// What servers say to a key, asked of living ones.
#include <boost/test/unit_test.hpp>

#include "bus/removal.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::ask_each_test {
namespace {

using testing::Cell;

BOOST_AUTO_TEST_CASE(each_server_is_asked_whether_it_knows_the_key) {
  Cell knows;
  Cell stale;
  Credentials who = knows.admit("agent-n1", Role::agent, "n1");
  const std::string other = stale.options(Role::user).credentials.urls.front();
  who.urls = {other, "nats://127.0.0.1:1", who.urls.front()};
  const std::vector<KeyAnswer> expected{KeyAnswer::refused, KeyAnswer::none,
                                        KeyAnswer::taken};
  BOOST_CHECK(ask_each(who, std::chrono::seconds(5)) == expected);
  // And a connection to all of them finds the one that takes it.
  ConnectionOptions how;
  how.credentials = who;
  BOOST_TEST(Connection::connect(how).has_value());
}

}  // namespace
}  // namespace reeve::bus::ask_each_test
