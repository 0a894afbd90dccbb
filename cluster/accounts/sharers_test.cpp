// Three sums against a list of all who share.
#include "cluster/accounts/sharers.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>
#include <vector>

namespace sharers_test {

using namespace reeve::cluster;

BOOST_AUTO_TEST_SUITE(sharers)

BOOST_AUTO_TEST_CASE(where_nobody_shares_anybody_may) {
  const Sharers nobody;
  BOOST_TEST(nobody.none());
  BOOST_TEST(nobody.all_are(0));
  BOOST_TEST(nobody.all_are(7));
  BOOST_TEST(nobody.only() == any_sharer);
}

BOOST_AUTO_TEST_CASE(the_same_mean_of_others_is_not_the_same) {
  Sharers two;
  two.add(4);
  two.add(6);
  BOOST_TEST(!two.all_are(5));
  BOOST_TEST(!two.all_are(4));
  BOOST_TEST(two.only() == several_sharers);
  two.remove(6);
  BOOST_TEST(two.all_are(4));
  BOOST_TEST(two.only() == 4U);
}

// Small numbers, so that sums of different ones are often equal; and those of
// the largest accounts, and of no account.
BOOST_AUTO_TEST_CASE(sums_say_the_same_as_a_list) {
  std::mt19937_64 random(11);
  const std::vector<AccountIndex> accounts = {
      0, 1, 2, 3, 4, 99'998, 99'999, any_sharer, no_sharer};
  for (int run = 0; run < 50; ++run) {
    Sharers sums;
    std::vector<AccountIndex> list;
    for (int step = 0; step < 200; ++step) {
      if (!list.empty() && random() % 2 == 0) {
        std::swap(list[random() % list.size()], list.back());
        sums.remove(list.back());
        list.pop_back();
      } else if (list.size() < 1'000) {
        list.push_back(accounts[random() % (2 + run % 8)]);
        sums.add(list.back());
      }
      BOOST_REQUIRE(sums.count() == list.size());
      const bool same =
          std::equal(list.begin() + !list.empty(), list.end(), list.begin());
      const auto only = list.empty() ? any_sharer
                        : same       ? list.front()
                                     : several_sharers;
      BOOST_REQUIRE(sums.only() == only);
      for (const auto account : accounts)
        BOOST_REQUIRE(sums.all_are(account) ==
                      (list.empty() || (same && list.front() == account)));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_setting_says_of_whom_all_shares_are) {
  const Owners owners{3, 5, 8};
  BOOST_TEST(sharer_of(GpuSharing::project, owners) == 5U);
  BOOST_TEST(sharer_of(GpuSharing::user, owners) == 3U);
  BOOST_TEST(sharer_of(GpuSharing::anyone, owners) == any_sharer);
  BOOST_TEST(sharer_of(GpuSharing::none, owners) == no_sharer);
  // One that a later program wrote.
  BOOST_TEST(sharer_of(static_cast<GpuSharing>(200), owners) == no_sharer);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace sharers_test
