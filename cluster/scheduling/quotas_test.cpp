#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/queue.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace quotas_test {

using namespace reeve;
using namespace reeve::cluster;
using schema::AccountKind;
using schema::EventBody;

namespace {

using Started = std::vector<std::uint64_t>;

struct Fixture {
  TestCell cell;

  Fixture() { cell.add({.models = devices(8)}); }

  void quota(const Quota& quota, AccountKind kind = AccountKind::project,
             const char* name = "ml", std::uint64_t used_milli_ms = 0) {
    cell.event(EventBody::QuotaSet, [&](TestCell::Builder& builder) {
      const auto limits = build_quota(builder, quota);
      return schema::CreateQuotaSetDirect(builder, kind, name, limits,
                                          used_milli_ms,
                                          used_milli_ms ? cell.now.value : 0)
          .Union();
    });
  }
  void gpu_quota(std::uint64_t gpus) {
    Quota quota_of_gpus;
    quota_of_gpus.gpu_milli = gpus * 1000;
    quota(quota_of_gpus);
  }
  void remove_quota() {
    cell.event(EventBody::QuotaRemoved, [&](TestCell::Builder& builder) {
      return schema::CreateQuotaRemovedDirect(builder, AccountKind::project,
                                              "ml")
          .Union();
    });
  }
  void below(const char* name, const char* parent) {
    cell.event(EventBody::AccountChanged, [&](TestCell::Builder& builder) {
      const auto spec = schema::CreateAccountSpecDirect(
          builder, AccountKind::project, name, parent);
      return schema::CreateAccountChanged(builder, spec).Union();
    });
  }
  std::uint64_t submit(std::uint32_t gpus, const char* project = "ml",
                       std::int32_t priority = 0) {
    return cell.submit(
        {.gpus = gpus, .priority = priority, .project = project});
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(quotas, Fixture)

BOOST_AUTO_TEST_CASE(a_session_over_its_quota_waits_and_others_pass_it) {
  gpu_quota(3);
  const auto first = submit(2);
  const auto held = submit(2);
  const auto other = submit(2, "other");
  BOOST_TEST((cell.started() == Started{first, other}));
  BOOST_TEST(cell.scheduler.sizes().over_quota == 1U);
  const Why why = cell.scheduler.why(SessionId{held});
  BOOST_TEST((why.reason == WaitReason::quota));
  BOOST_TEST(to_text(*why.quota) ==
             "project ml may have 3 GPUs and has 2; this session wants 2");
  BOOST_TEST(cell.started().empty());
}

BOOST_AUTO_TEST_CASE(what_ends_lets_in_as_many_as_there_is_room_for) {
  gpu_quota(4);
  const auto first = submit(4);
  const Started rest{submit(2), submit(2), submit(2)};
  BOOST_TEST((cell.started() == Started{first}));
  cell.end(first);
  BOOST_TEST((cell.started() == Started{rest[0], rest[1]}));
  cell.end(rest[1]);
  BOOST_TEST((cell.started() == Started{rest[2]}));
}

BOOST_AUTO_TEST_CASE(within_an_account_the_order_is_that_of_the_queue) {
  gpu_quota(4);
  const auto first = submit(4);
  cell.started();
  const auto large = submit(4);
  submit(1);
  const auto urgent = submit(2, "ml", 9);
  cell.started();
  cell.end(first);
  BOOST_TEST((cell.started() == Started{urgent}));
  cell.end(urgent);
  BOOST_TEST((cell.started() == Started{large}));
}

BOOST_AUTO_TEST_CASE(one_that_finds_no_node_does_not_keep_the_account_back) {
  gpu_quota(4);
  const auto first = submit(4);
  cell.started();
  const auto stranger =
      cell.submit({.gpus = 4, .gpu_models = {"B"}, .project = "ml"});
  const auto other = submit(4);
  cell.started();
  cell.end(first);
  BOOST_TEST((cell.started() == Started{other}));
  // The other has taken what the account may hold.
  BOOST_TEST(
      (cell.scheduler.why(SessionId{stranger}).reason == WaitReason::quota));
  cell.end(other);
  BOOST_TEST(cell.started().empty());
  BOOST_TEST(
      (cell.scheduler.why(SessionId{stranger}).reason == WaitReason::no_room));
}

BOOST_AUTO_TEST_CASE(a_raised_or_removed_quota_lets_in_at_once) {
  gpu_quota(1);
  const Started all{submit(1), submit(1), submit(1)};
  BOOST_TEST((cell.started() == Started{all[0]}));
  gpu_quota(2);
  BOOST_TEST((cell.started() == Started{all[1]}));
  remove_quota();
  BOOST_TEST((cell.started() == Started{all[2]}));
}

BOOST_AUTO_TEST_CASE(a_project_counts_with_those_above_it) {
  below("vision", "ml");
  gpu_quota(2);
  const auto first = submit(2, "vision");
  const auto held = submit(1, "ml");
  BOOST_TEST((cell.started() == Started{first}));
  below("vision", "");
  BOOST_TEST((cell.started() == Started{held}));
}

BOOST_AUTO_TEST_CASE(gpu_time_that_is_used_up_waits_for_the_next_period) {
  cell.now = Time{1'795'176'000 * second_ns};  // noon
  Quota hours;
  hours.gpu_milli_hours = 2'000;
  hours.period = QuotaPeriod::day;
  quota(hours);
  const auto first = submit(2);
  BOOST_TEST((cell.started() == Started{first}));
  cell.now.value += hour_ns;
  cell.end(first);
  const auto next = submit(1);
  BOOST_TEST(cell.started().empty());
  BOOST_TEST(to_text(*cell.scheduler.why(SessionId{next}).quota) ==
             "project ml may use 2 GPU hours a day and has used 2");
  const Time midnight{1'795'176'000 * second_ns + 12 * hour_ns};
  BOOST_TEST(cell.scheduler.next_wakeup().value == midnight.value);
  cell.now = midnight;
  BOOST_TEST((cell.started() == Started{next}));
}

// Its turn comes when another has ended, but by then the hours are used up.
BOOST_AUTO_TEST_CASE(
    one_that_came_to_wait_for_gpu_time_starts_with_the_period) {
  cell.now = Time{1'795'176'000 * second_ns};  // noon
  Quota hours;
  hours.sessions = 1;
  hours.gpu_milli_hours = 2'000;
  hours.period = QuotaPeriod::day;
  quota(hours);
  const auto first = submit(2);
  BOOST_TEST((cell.started() == Started{first}));
  const auto next = submit(1);
  BOOST_TEST(cell.started().empty());
  BOOST_TEST(cell.scheduler.next_wakeup().value == 0U);
  cell.now.value += hour_ns;
  cell.end(first);
  BOOST_TEST(cell.started().empty());
  BOOST_TEST((cell.scheduler.why(SessionId{next}).quota->item ==
              QuotaItem::gpu_hours));
  const Time midnight{1'795'176'000 * second_ns + 12 * hour_ns};
  BOOST_TEST(cell.scheduler.next_wakeup().value == midnight.value);
  cell.now = midnight;
  BOOST_TEST((cell.started() == Started{next}));
}

BOOST_AUTO_TEST_CASE(a_shorter_period_begins_anew_earlier) {
  cell.now = Time{1'795'176'000 * second_ns};  // noon, not a Sunday
  Quota hours;
  hours.gpu_milli_hours = 2'000;
  hours.period = QuotaPeriod::week;
  quota(hours);
  const auto first = submit(2);
  cell.started();
  cell.now.value += hour_ns;
  cell.end(first);
  const auto next = submit(1);
  BOOST_TEST(cell.started().empty());
  hours.period = QuotaPeriod::day;
  quota(hours, AccountKind::project, "ml", 7'200'000'000);
  BOOST_TEST(cell.started().empty());
  const Time midnight{1'795'176'000 * second_ns + 12 * hour_ns};
  BOOST_TEST(cell.scheduler.next_wakeup().value == midnight.value);
  cell.now = midnight;
  BOOST_TEST((cell.started() == Started{next}));
}

BOOST_AUTO_TEST_CASE(a_session_that_leaves_the_line_makes_way) {
  gpu_quota(2);
  const auto first = submit(1);
  cell.started();
  const auto large = submit(2);
  const auto small = submit(1);
  BOOST_TEST(cell.started().size() == 1U);  // the small one passes at once
  cell.end(small);
  cell.end(large, schema::SessionState::cancelled);
  const auto last = submit(1);
  BOOST_TEST((cell.started() == Started{last}));
  cell.end(first);
  cell.end(last);
  BOOST_TEST(cell.scheduler.sizes().over_quota == 0U);
}

// Its hours are used up until the month ends; the others need none.
BOOST_AUTO_TEST_CASE(one_that_waits_for_gpu_time_keeps_nobody_back) {
  cell.now = Time{1'795'176'000 * second_ns};
  Quota hours;
  hours.sessions = 2;
  hours.gpu_milli_hours = 8'000;
  hours.period = QuotaPeriod::month;
  quota(hours);
  const auto first = submit(8);
  cell.started();
  cell.now.value += hour_ns;
  cell.end(first);
  const Started running{submit(0), submit(0)};
  BOOST_TEST((cell.started() == running));
  const auto held = submit(1);
  const Started rest{submit(0), submit(0), submit(0)};
  BOOST_TEST(cell.started().empty());
  BOOST_TEST((cell.scheduler.why(SessionId{held}).quota->item ==
              QuotaItem::gpu_hours));
  cell.end(running[0]);
  BOOST_TEST((cell.started() == Started{rest[0]}));
  cell.end(running[1]);
  BOOST_TEST((cell.started() == Started{rest[1]}));
  BOOST_TEST(cell.scheduler.sizes().over_quota == 2U);
  BOOST_TEST(cell.scheduler.queue("default", false, 9).length == 2U);
  BOOST_TEST(cell.scheduler.why(SessionId{rest[2]}).place_in_queue == 2U);
  // December: it is its turn before that of the last.
  cell.now = Time{1'796'083'200 * second_ns};
  BOOST_TEST(cell.scheduler.next_wakeup().value == cell.now.value);
  cell.end(rest[0]);
  BOOST_TEST((cell.started() == Started{held}));
}

// Hours are used up while the first in the line waits for GPUs.
BOOST_AUTO_TEST_CASE(one_that_comes_to_wait_for_gpu_time_is_passed_over) {
  cell.now = Time{1'795'176'000 * second_ns};
  Quota hours;
  hours.sessions = 2;
  hours.gpu_milli = 4'000;
  hours.gpu_milli_hours = 8'000;
  hours.period = QuotaPeriod::day;
  quota(hours);
  const Started running{submit(4), submit(0)};
  BOOST_TEST((cell.started() == running));
  const auto held = submit(4);
  const auto rest = submit(0);
  BOOST_TEST(cell.started().empty());
  cell.now.value += 3 * hour_ns;
  cell.end(running[1]);
  BOOST_TEST((cell.started() == Started{rest}));
  BOOST_TEST((cell.scheduler.why(SessionId{held}).quota->item ==
              QuotaItem::gpu_hours));
}

BOOST_AUTO_TEST_CASE(one_that_no_end_lets_in_keeps_nobody_back) {
  gpu_quota(8);
  const auto first = submit(8);
  BOOST_TEST((cell.started() == Started{first}));
  const auto large = submit(8);
  const auto small = submit(1);
  BOOST_TEST(cell.started().empty());
  gpu_quota(4);
  BOOST_TEST(cell.started().empty());
  cell.end(first);
  BOOST_TEST((cell.started() == Started{small}));
  const auto last = submit(4);
  BOOST_TEST(cell.started().empty());
  BOOST_TEST(to_text(*cell.scheduler.why(SessionId{large}).quota) ==
             "project ml may have 4 GPUs; this session wants 8");
  // With the quota that it had it comes before those after it.
  gpu_quota(8);
  BOOST_TEST(cell.started().empty());
  cell.end(small);
  BOOST_TEST((cell.started() == Started{large}));
  cell.end(large);
  BOOST_TEST((cell.started() == Started{last}));
}

BOOST_AUTO_TEST_CASE(a_project_that_moves_lets_in_who_stood_aside) {
  gpu_quota(8);
  below("vision", "ml");
  const auto first = submit(8, "vision");
  cell.started();
  const auto large = submit(8, "vision");
  cell.started();
  gpu_quota(4);
  cell.end(first);
  BOOST_TEST(cell.started().empty());
  below("vision", "");
  BOOST_TEST((cell.started() == Started{large}));
}

BOOST_AUTO_TEST_CASE(why_names_the_one_before_in_the_line) {
  gpu_quota(4);
  const Started running{submit(3), submit(1)};
  BOOST_TEST((cell.started() == running));
  const auto large = submit(4);
  const auto small = submit(1);
  BOOST_TEST(cell.started().empty());
  cell.end(running[1]);
  BOOST_TEST(cell.started().empty());
  const Why why = cell.scheduler.why(SessionId{small});
  BOOST_TEST((why.reason == WaitReason::quota_line));
  BOOST_TEST(why.blocked_by.value == large);
  const auto queue = cell.scheduler.queue("default", false, 9);
  BOOST_REQUIRE(queue.entries.size() == 2U);
  BOOST_TEST((queue.entries[0].reason == WaitReason::quota));
  BOOST_TEST((queue.entries[1].reason == WaitReason::quota_line));
}

BOOST_AUTO_TEST_CASE(a_proposal_that_is_refused_gives_the_quota_back) {
  gpu_quota(2);
  const auto first = submit(2);
  auto proposals = cell.propose();
  BOOST_REQUIRE(proposals.size() == 1U);
  cell.scheduler.refused(SessionId{first}, 1);
  proposals = cell.propose();
  BOOST_REQUIRE(proposals.size() == 1U);
  BOOST_TEST(proposals[0].session.value == first);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace quotas_test
