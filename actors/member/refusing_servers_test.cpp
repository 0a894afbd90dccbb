#include "actors/member/refusing_servers.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::member::refusing_servers_test {
namespace {

struct Refused {
  bool fails(Errc code, std::uint64_t at, std::uint64_t jitter = 0) {
    return servers.is_for_good({code, "not enough of them"}, Time{at}, jitter);
  }
  bool refuse(std::uint64_t at, std::uint64_t jitter = 0) {
    return fails(Errc::rejected, at, jitter);
  }
  RefusingServers servers;
};

constexpr std::uint64_t begin = 100 * second_ns;

BOOST_AUTO_TEST_SUITE(refusing_servers)

BOOST_FIXTURE_TEST_CASE(a_server_is_started_anew_after_so_long, Refused) {
  BOOST_TEST(!refuse(begin));
  BOOST_TEST(!refuse(begin + refused_ns_max - 1));
  BOOST_TEST(refuse(begin + refused_ns_max));
}

BOOST_FIXTURE_TEST_CASE(each_start_is_given_its_time, Refused) {
  refuse(begin);
  const std::uint64_t first = begin + refused_ns_max;
  BOOST_REQUIRE(refuse(first));
  BOOST_TEST(!refuse(first + refused_ns_max - 1));
  BOOST_TEST(refuse(first + refused_ns_max));
}

BOOST_FIXTURE_TEST_CASE(managers_wait_up_to_twice_as_long, Refused) {
  refuse(begin, 3 * refused_ns_max - 1);
  BOOST_TEST(!refuse(begin + 2 * refused_ns_max - 2));
  BOOST_TEST(refuse(begin + 2 * refused_ns_max - 1));
}

BOOST_FIXTURE_TEST_CASE(who_does_not_answer_does_not_refuse, Refused) {
  BOOST_TEST(!fails(Errc::unreachable, begin));
  BOOST_TEST(!fails(Errc::unreachable, begin + 10 * refused_ns_max));
}

BOOST_FIXTURE_TEST_CASE(servers_that_were_away_refuse_from_the_begin, Refused) {
  refuse(begin);
  fails(Errc::unreachable, begin + refused_ns_max - 1);
  BOOST_TEST(!refuse(begin + refused_ns_max));
  BOOST_TEST(refuse(begin + 2 * refused_ns_max));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::member::refusing_servers_test
