#include "cluster/nkey.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::cluster::nkey_test {
namespace {

KeyBytes counting() {
  KeyBytes key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = std::byte(i);
  return key;
}

BOOST_AUTO_TEST_SUITE(nkeys)

BOOST_AUTO_TEST_CASE(a_key_has_one_text_and_comes_back_from_it) {
  const std::string key = user_key_text(counting());
  const std::string seed = user_seed_text(counting());
  BOOST_TEST(key.size() == user_key_chars);
  BOOST_TEST(seed.size() == user_seed_chars);
  BOOST_TEST(key.substr(0, 1) == "U");
  BOOST_TEST(seed.substr(0, 2) == "SU");
  BOOST_TEST((parse_user_key(key) == counting()));
  BOOST_TEST((parse_user_seed(seed) == counting()));
}

// The seed that the documents of NATS show.
BOOST_AUTO_TEST_CASE(a_key_of_another_program_is_read) {
  BOOST_TEST(parse_user_seed("SUAAVWRZG6M5FA5VRRGWSCIHKTOJC7EWNIT4JV3FTOIPO4OBF"
                             "R5WA7X5TE")
                 .has_value());
}

BOOST_AUTO_TEST_CASE(what_differs_in_any_letter_is_no_key) {
  for (const std::string& text :
       {user_key_text(counting()), user_seed_text(counting())}) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string other = text;
      other[i] = other[i] == 'B' ? 'C' : 'B';
      BOOST_TEST(!parse_user_key(other));
      BOOST_TEST(!parse_user_seed(other));
    }
    BOOST_TEST(!parse_user_key(text + "A"));
    BOOST_TEST(!parse_user_seed(text + "A"));
    BOOST_TEST(!parse_user_key(text.substr(1)));
  }
  BOOST_TEST(!parse_user_key(""));
  BOOST_TEST(!parse_user_key(user_seed_text(counting())));
  BOOST_TEST(!parse_user_seed(user_key_text(counting())));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::cluster::nkey_test
