// Policies as text.
#include "cluster/scheduling/policy.hpp"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>

namespace policy_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

void check_error(const char* text, const char* expected) {
  const auto policy = parse_policy(text);
  BOOST_REQUIRE(!policy);
  BOOST_TEST((policy.error().code == Errc::usage));
  BOOST_TEST(policy.error().text == expected);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(policy)

BOOST_AUTO_TEST_CASE(the_default_is_printed_whole_and_parses_to_itself) {
  const auto text = to_text(Policy{});
  BOOST_TEST(text ==
             "order=fifo,backfill=greedy,packing=best_fit,estimates=limit,"
             "preemption=off");
  const auto parsed = parse_policy(text);
  BOOST_REQUIRE(parsed);
  BOOST_TEST((*parsed == Policy{}));
}

BOOST_AUTO_TEST_CASE(a_value_alone_stands_for_its_key) {
  for (const char* text : {"greedy", " greedy , fifo ", "packing=best_fit",
                           "order = fifo,best_fit , backfill=greedy"}) {
    const auto parsed = parse_policy(text);
    BOOST_TEST_REQUIRE(parsed.has_value(), text);
    BOOST_TEST((*parsed == Policy{}));
  }
}

BOOST_AUTO_TEST_CASE(every_packing_parses_and_is_printed) {
  const std::pair<const char*, Packing> all[] = {
      {"best_fit", Packing::best_fit},
      {"pack", Packing::pack},
      {"spread", Packing::spread},
      {"fragmentation", Packing::fragmentation},
  };
  for (const auto& [name, packing] : all) {
    const auto parsed = parse_policy(name);
    BOOST_TEST_REQUIRE(parsed.has_value(), name);
    BOOST_TEST((parsed->packing == packing));
    BOOST_TEST(to_text(*parsed) ==
               fmt::format("order=fifo,backfill=greedy,packing={},"
                           "estimates=limit,preemption=off",
                           name));
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_word_is_refused_with_the_nearest) {
  check_error("fito",
              "policy: there is no policy \"fito\"; did you mean \"fifo\"?");
  check_error("order=fifi",
              "policy: there is no order \"fifi\"; did you mean \"fifo\"?");
  check_error("odrer=fifo",
              "policy: there is no key \"odrer\"; did you mean \"order\"?");
}

BOOST_AUTO_TEST_CASE(a_word_near_to_none_is_refused_with_all) {
  check_error(
      "backfill=xyzzy",
      "policy: there is no backfill \"xyzzy\"; choose from none, greedy, "
      "easy, conservative");
  check_error(
      "colour=red",
      "policy: there is no key \"colour\"; choose from order, backfill, "
      "packing, estimates, preemption, depth, half_life, "
      "preempt_after, cpu_weight, memory_weight, gpu_weight, "
      "age_weight, size_weight, fair_weight");
}

BOOST_AUTO_TEST_CASE(nothing_between_commas_is_refused) {
  for (const char* text : {"", ",", "fifo,", "order=", "=fifo"}) {
    BOOST_TEST(!parse_policy(text).has_value(), text);
  }
}

BOOST_AUTO_TEST_CASE(a_plain_order_lets_nobody_pass_unless_it_is_said) {
  for (const char* text : {"fifo", "lifo", "order=sjf"}) {
    BOOST_TEST((parse_policy(text)->backfill == Backfill::none), text);
  }
  for (const char* text : {"drf", "fair_share", "multifactor", "best_fit"}) {
    BOOST_TEST((parse_policy(text)->backfill == Backfill::greedy), text);
  }
  BOOST_TEST((parse_policy("easy")->backfill == Backfill::easy));
  BOOST_TEST((parse_policy("sjf,easy")->backfill == Backfill::easy));
}

BOOST_AUTO_TEST_CASE(numbers_are_kept_within_their_bounds) {
  const auto policy = parse_policy(
      "multifactor,half_life=2d,depth=10,gpu_weight=2.5,age_weight=0,"
      "preempt_after=90s");
  BOOST_REQUIRE(policy);
  BOOST_TEST(policy->half_life_ns == 48 * 3600 * second_ns);
  BOOST_TEST(policy->preempt_after_ns == 90 * second_ns);
  BOOST_TEST(policy->depth == 10);
  BOOST_TEST(policy->weights.gpu == 2.5);
  BOOST_TEST(policy->factors.age == 0);
  const auto text = to_text(*policy);
  BOOST_TEST((*parse_policy(text) == *policy), text);
  check_error("depth=0",
              "\"0\" is no depth of a policy: a whole number from 1 to 1000 is "
              "expected");
  check_error("gpu_weight=-1",
              "policy: gpu_weight is \"-1\"; a number from 0 to 1000000 is "
              "needed");
  check_error("gpu_weight=nan",
              "policy: gpu_weight is \"nan\"; a number from 0 to 1000000 is "
              "needed");
  check_error("half_life=0",
              "policy: half_life is 0s; it is from 1.00s to 366d 00h");
}

BOOST_AUTO_TEST_CASE(at_its_bound_a_number_is_taken_and_past_it_refused) {
  const auto taken = [](const std::string& text) {
    return parse_policy(text).has_value();
  };
  BOOST_TEST(taken(fmt::format("depth={}", backfill_depth_max)));
  BOOST_TEST(!taken(fmt::format("depth={}", backfill_depth_max + 1)));
  const auto longest_s = policy_duration_ns_max / second_ns;
  BOOST_TEST(taken(fmt::format("half_life={}s", longest_s)));
  BOOST_TEST(!taken(fmt::format("half_life={}s", longest_s + 1)));
  BOOST_TEST(taken(fmt::format("fair_weight={}", policy_weight_max)));
  BOOST_TEST(!taken(fmt::format("fair_weight={}", policy_weight_max + 1)));
}

BOOST_AUTO_TEST_CASE(a_key_given_twice_is_refused) {
  check_error("fifo,order=fifo",
              "policy: order is given twice; keep one of the two");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace policy_test
