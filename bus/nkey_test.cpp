#include "bus/nkey.hpp"

#include <sodium.h>

#include <boost/test/unit_test.hpp>

#include "bus/test_support.hpp"
#include "cluster/nkey.hpp"

namespace reeve::bus::nkey_test {
namespace {

BOOST_AUTO_TEST_SUITE(nkeys)

BOOST_AUTO_TEST_CASE(each_key_is_new_and_its_halves_belong_together) {
  const UserKey one = make_user_key();
  const UserKey two = make_user_key();
  BOOST_TEST(one.seed != two.seed);
  BOOST_TEST(one.public_key != two.public_key);
  BOOST_TEST(cluster::parse_user_key(one.public_key).has_value());
  BOOST_TEST(public_key_of(one.seed).value() == one.public_key);
}

BOOST_AUTO_TEST_CASE(what_is_signed_is_verified_by_the_public_half_alone) {
  const UserKey key = make_user_key();
  const auto message = testing::bytes_of("a nonce");
  const auto verifies = [&](std::string_view text, const UserKey& by) {
    const auto signature = sign(key.seed, testing::bytes_of("a nonce"));
    const auto public_key = cluster::parse_user_key(by.public_key);
    return ::crypto_sign_verify_detached(
               reinterpret_cast<const unsigned char*>(signature->data()),
               reinterpret_cast<const unsigned char*>(text.data()), text.size(),
               reinterpret_cast<const unsigned char*>(public_key->data())) == 0;
  };
  BOOST_REQUIRE(sign(key.seed, message).has_value());
  BOOST_TEST(verifies("a nonce", key));
  BOOST_TEST(!verifies("A nonce", key));
  BOOST_TEST(!verifies("a nonce", make_user_key()));
}

BOOST_AUTO_TEST_CASE(no_error_tells_a_seed) {
  std::string seed = make_user_key().seed;
  seed.back() = seed.back() == 'A' ? 'B' : 'A';
  const auto refused = public_key_of(seed);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::usage));
  BOOST_TEST(refused.error().text.find(seed.substr(2, 8)) == std::string::npos);
  BOOST_TEST(!sign("", {}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::bus::nkey_test
