#include "bus/address.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::bus::address_test {
namespace {

BOOST_AUTO_TEST_SUITE(addresses)

BOOST_AUTO_TEST_CASE(an_address_comes_back_from_its_text) {
  for (const Address& address :
       {Address{"127.0.0.1", 4222}, Address{"n1.example.org", 1},
        Address{"::", 65'535}, Address{"fd00::1", 0}}) {
    const auto parsed = parse_address(address_text(address));
    BOOST_REQUIRE(parsed.has_value());
    BOOST_TEST((*parsed == address));
  }
  BOOST_TEST(address_text({"::1", 4222}) == "[::1]:4222");
}

BOOST_AUTO_TEST_CASE(what_is_no_host_and_port_is_refused) {
  for (const char* text :
       {"", ":", "n1", "n1:", ":4222", "n1:x", "n1:65536", "n1:-1", "n1:000001",
        "::1:4222", "[n1]:4222", "[::1]", "a\"b:1", "a b:1", "n1:1 "})
    BOOST_TEST(!parse_address(text).has_value(), text);
}

BOOST_AUTO_TEST_CASE(a_host_may_be_as_long_as_a_name_can) {
  BOOST_TEST(valid_host(std::string(host_bytes_max, 'a')));
  BOOST_TEST(!valid_host(std::string(host_bytes_max + 1, 'a')));
}

BOOST_AUTO_TEST_CASE(only_this_host_itself_is_loopback) {
  for (const char* host : {"127.0.0.1", "127.9.9.9", "localhost", "::1"})
    BOOST_TEST(is_loopback(host), host);
  for (const char* host :
       {"0.0.0.0", "::", "10.0.0.1", "127.n1.org", "localhost.org", ""})
    BOOST_TEST(!is_loopback(host), host);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::bus::address_test
