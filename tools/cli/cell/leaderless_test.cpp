#include "tools/cli/cell/leaderless.hpp"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "cluster/types.hpp"

namespace reeve::tools::leaderless_test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds longest{60'000};

// A cell whose leader answers the try of this number; 0: none.
struct Asking {
  int answered = 0;
  std::string reason;  // why nobody leads
  bool interrupt = false;
  Errc no_answer = Errc::unreachable;
  std::vector<milliseconds> waits;
  int asked = 0;

  Expected<int> send() {
    return send_to_leader<int>(
        [this](milliseconds wait, bool again) -> Expected<int> {
          BOOST_TEST(again == !waits.empty());
          waits.push_back(wait);
          if (static_cast<int>(waits.size()) == answered) return answered;
          return fail(no_answer, "no answer");
        },
        [this] {
          ++asked;
          return reason;
        },
        [this] { return interrupt; }, longest);
  }
};

BOOST_AUTO_TEST_SUITE(a_command_that_nobody_answers)

BOOST_FIXTURE_TEST_CASE(one_that_is_answered_asks_nothing, Asking) {
  answered = 1;
  BOOST_TEST(send().value() == 1);
  BOOST_TEST(asked == 0);
}

BOOST_FIXTURE_TEST_CASE(it_is_told_why_nobody_leads, Asking) {
  reason = "m1, m2 are not heard";
  const auto told = send();
  BOOST_REQUIRE(!told);
  BOOST_TEST((told.error().code == Errc::unreachable));
  BOOST_TEST(told.error().text == reason);
  BOOST_TEST((waits == std::vector{leaderless_wait}));
}

BOOST_FIXTURE_TEST_CASE(without_a_reason_it_is_sent_for_the_whole_time,
                        Asking) {
  const auto told = send();
  BOOST_REQUIRE(!told);
  BOOST_TEST(told.error().text == "no answer");
  BOOST_TEST(
      (waits == std::vector{leaderless_wait, longest - leaderless_wait}));
  BOOST_TEST(asked == 1);
  Asking later;
  later.answered = 2;
  BOOST_TEST(later.send().value() == 2);
}

BOOST_FIXTURE_TEST_CASE(an_interrupt_ends_it_at_once, Asking) {
  interrupt = true;
  BOOST_TEST(!send());
  BOOST_TEST(waits.size() == 1u);
  BOOST_TEST(asked == 0);
}

BOOST_FIXTURE_TEST_CASE(another_error_is_told_as_it_is, Asking) {
  no_answer = Errc::rejected;
  const auto told = send();
  BOOST_TEST((told.error().code == Errc::rejected));
  BOOST_TEST(asked == 0);
}

// m1 to m3, of which so many are heard by one that plays this role.
std::string why_of(int heard, schema::ManagerRole role) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<schema::ManagerView>> managers;
  for (int i = 1; i <= 3; ++i)
    managers.push_back(schema::CreateManagerViewDirect(
        builder, ("m" + std::to_string(i)).c_str(), "", true,
        i <= heard ? 0 : 60 * second_ns));
  const auto list = builder.CreateVector(managers);
  schema::StatusAnswerBuilder status(builder);
  status.add_role(role);
  status.add_managers(list);
  builder.Finish(status.Finish());
  return why_nobody_leads(
      *flatbuffers::GetRoot<schema::StatusAnswer>(builder.GetBufferPointer()));
}

BOOST_AUTO_TEST_CASE(nobody_leads_where_most_managers_are_missing) {
  using schema::ManagerRole;
  BOOST_TEST(why_of(1, ManagerRole::following) ==
             "nobody leads the cell: m2, m3 are not heard, and 2 of 3 managers "
             "are needed for each commit, so 1 may fail. Start them (\"reeve "
             "up\" on their hosts); where they are gone for good, see "
             "docs/disaster.md, \"Most managers\"");
  BOOST_TEST(why_of(2, ManagerRole::following) == "");
  BOOST_TEST(why_of(1, ManagerRole::leading) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::leaderless_test
