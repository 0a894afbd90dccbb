#include "cluster/accounting/amount.hpp"

#include <boost/test/unit_test.hpp>

namespace amount_test {

using namespace reeve::cluster::accounting;

BOOST_AUTO_TEST_SUITE(amounts)

BOOST_AUTO_TEST_CASE(wide_numbers_show_all_their_digits) {
  BOOST_TEST(to_text(0) == "0");
  BOOST_TEST(to_text(-7) == "-7");
  const Wide large = static_cast<Wide>(1'000'000'000'000'000'000) * 1'000'003;
  BOOST_TEST(to_text(large) == "1000003000000000000000000");
  const Wide most =
      static_cast<Wide>(~(static_cast<unsigned __int128>(0)) >> 1);
  BOOST_TEST(to_text(most) == "170141183460469231731687303715884105727");
  BOOST_TEST(to_text(-most - 1) == "-170141183460469231731687303715884105728");
}

BOOST_AUTO_TEST_CASE(amounts_are_rounded_half_away_from_zero) {
  BOOST_TEST(rounded(0, 10, 2) == "0.00");
  BOOST_TEST(rounded(5, 10, 0) == "1");
  BOOST_TEST(rounded(-5, 10, 0) == "-1");
  BOOST_TEST(rounded(4, 10, 0) == "0");
  BOOST_TEST(rounded(-4, 10, 0) == "0");
  BOOST_TEST(rounded(1, 8, 2) == "0.13");
  BOOST_TEST(rounded(999, 1000, 2) == "1.00");
  BOOST_TEST(rounded(1999, 1000, 2) == "2.00");
  BOOST_TEST(rounded(1005, 1000, 3) == "1.005");
}

BOOST_AUTO_TEST_CASE(a_full_cell_for_centuries_fits) {
  // A million nodes with 1,000 CPUs, 1 TiB and 64 devices, for 500 years.
  const Rate node{1'000'000, std::uint64_t{1} << 40, 64'000};
  const Amount year = over(node, std::uint64_t{365} * 86'400 * 1'000'000'000);
  Wide memory = 0;
  for (int i = 0; i < 500; ++i) memory += year.memory_byte_ns * 1'000'000;
  BOOST_TEST((memory / 500 / 1'000'000 == year.memory_byte_ns));
  BOOST_TEST(rounded(memory, gib_hour, 1) == "4485120000000000.0");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace amount_test
