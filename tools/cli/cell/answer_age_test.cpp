#include "tools/cli/cell/answer_age.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/types.hpp"
#include "schema/wire.hpp"

namespace reeve::tools::answer_age_test {
namespace {

BOOST_AUTO_TEST_CASE(an_answer_says_how_old_it_may_be) {
  BOOST_TEST(answer_age(7 * second_ns + 1, false) == "as of 7.00s ago");
  BOOST_TEST(answer_age(12'000'000, false) == "as of 12ms ago");
  BOOST_TEST(
      answer_age(7'500 * second_ns, true) ==
      "as of its last event, 2h 05m ago: it has heard no leader since it "
      "started");
  BOOST_TEST(answer_age(schema::unknown_ns, true) ==
             "of unknown age: it has heard no leader since it started");
}

std::string told(bool leads_alone) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::CreateAnswerDirect(
      builder, 7, schema::AnswerBody::NONE, 0, nullptr, false, "m2",
      7 * second_ns, false, leads_alone));
  return unsure_answer(
      *flatbuffers::GetRoot<schema::Answer>(builder.GetBufferPointer()));
}

BOOST_AUTO_TEST_CASE(an_answer_of_one_that_stands_by_says_who_it_is) {
  BOOST_TEST(told(false) ==
             "no leader answers; m2 does, which stands by: as of 7.00s ago");
}

BOOST_AUTO_TEST_CASE(an_answer_of_a_leader_alone_says_that_another_may_lead) {
  BOOST_TEST(told(true) ==
             "m2 answers, which led and is not answered by the other "
             "managers: as of 7.00s ago; another may lead by now");
}

}  // namespace
}  // namespace reeve::tools::answer_age_test
