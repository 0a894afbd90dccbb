// Orders: worked examples, and shares that converge to what a few lines of
// arithmetic say.
#include <boost/test/unit_test.hpp>
#include <deque>
#include <random>

#include "cluster/scheduling/queue.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace order_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;

namespace {

TestCell cell_with(const char* policy, std::uint32_t cpus) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 1000 * cpus});
  const auto parsed = parse_policy(policy);
  BOOST_TEST_REQUIRE(parsed.has_value(), policy);
  cell.scheduler.set_policy("default", *parsed);
  return cell;
}

// The order in which sessions of one CPU each start on a node with one.
Ids order_of(TestCell& cell) {
  Ids order;
  for (auto ids = cell.started(); !ids.empty(); ids = cell.started()) {
    BOOST_REQUIRE(ids.size() == 1);
    order.push_back(ids[0]);
    cell.now.value += minute_ns;
    cell.exit(ids[0], 1, 0);
    cell.end(ids[0]);
  }
  return order;
}

void check_order(TestCell& cell, const Ids& expected) {
  const auto order = order_of(cell);
  BOOST_TEST(order == expected, boost::test_tools::per_element());
}

// Sessions of one user that are there again as soon as one has started.
struct Stream {
  TestSession session;
  std::uint64_t held = 0;  // sessions that run
};

// Keeps a full cell busy: each step the oldest ends and others start.
std::vector<std::uint64_t> shares(TestCell& cell, std::vector<Stream> streams,
                                  int steps, std::uint64_t step_ns) {
  std::map<std::uint64_t, std::size_t> stream_of;
  std::deque<std::uint64_t> running;
  std::vector<std::uint64_t> started(streams.size());
  const auto submit = [&](std::size_t i) {
    stream_of[cell.submit(streams[i].session)] = i;
  };
  for (std::size_t i = 0; i < streams.size(); ++i)
    for (int k = 0; k < 3; ++k) submit(i);
  for (int step = 0; step < steps; ++step) {
    while (true) {
      const auto ids = cell.started();
      if (ids.empty()) break;
      for (const auto id : ids) {
        const auto i = stream_of.at(id);
        running.push_back(id);
        if (step >= steps / 2) ++started[i];
        submit(i);
      }
    }
    cell.now.value += step_ns;
    const auto oldest = running.front();
    running.pop_front();
    cell.exit(oldest, 1, 0);
    cell.end(oldest);
  }
  return started;
}

void check_ratio(std::uint64_t a, std::uint64_t b, double expected) {
  BOOST_REQUIRE(b > 0);
  BOOST_TEST(static_cast<double>(a) / static_cast<double>(b) == expected,
             boost::test_tools::tolerance(0.05));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(order)

BOOST_AUTO_TEST_CASE(fifo_by_submission_within_a_priority) {
  auto cell = cell_with("fifo", 1);
  cell.submit({});
  cell.submit({.priority = 5});
  cell.submit({});
  cell.submit({.priority = 5});
  check_order(cell, {2, 4, 1, 3});
}

BOOST_AUTO_TEST_CASE(lifo_the_latest_first) {
  auto cell = cell_with("lifo", 1);
  cell.submit({});
  cell.submit({.priority = 5});
  cell.submit({});
  check_order(cell, {2, 3, 1});
}

BOOST_AUTO_TEST_CASE(sjf_the_shortest_first_and_those_without_a_limit_last) {
  auto cell = cell_with("sjf", 1);
  cell.submit({});
  cell.submit({.time_limit_ns = 20 * minute_ns});
  cell.submit({.time_limit_ns = 10 * minute_ns});
  cell.submit({.time_limit_ns = 20 * minute_ns});
  check_order(cell, {3, 2, 4, 1});
}

BOOST_AUTO_TEST_CASE(sjf_from_history_what_took_long_before_waits) {
  auto cell = cell_with("sjf,estimates=history", 1);
  const TestSession longer{.user = "ann", .time_limit_ns = 60 * minute_ns};
  const TestSession shorter{.user = "bob", .time_limit_ns = 120 * minute_ns};
  cell.submit(longer);
  cell.started();
  cell.now.value += 50 * minute_ns;
  cell.end(1);
  cell.submit(shorter);
  cell.started();
  cell.now.value += 5 * minute_ns;
  cell.end(2);
  cell.submit(longer);
  cell.submit(shorter);
  check_order(cell, {4, 3});
}

// A name of one user takes ten minutes, as is known when the first of it has
// ended; those that come to the queue from then on are expected to.
BOOST_AUTO_TEST_CASE(a_length_is_estimated_anew_when_it_is_queued_again) {
  auto cell = cell_with("sjf,estimates=history", 2);
  const TestSession named{.user = "ann", .time_limit_ns = 100 * minute_ns};
  cell.submit(named);
  cell.submit(named);
  BOOST_TEST(cell.started() == Ids({1, 2}), boost::test_tools::per_element());
  cell.now.value += 10 * minute_ns;
  cell.end(2);
  cell.submit(
      {.cpu_milli = 2000, .user = "bob", .time_limit_ns = 30 * minute_ns});
  BOOST_TEST(cell.started().empty());
  cell.requeue(1, 2);
  BOOST_TEST(cell.started() == Ids({1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_length_is_estimated_anew_after_a_dependency) {
  auto cell = cell_with("sjf,estimates=history", 1);
  const TestSession named{.user = "ann", .time_limit_ns = 100 * minute_ns};
  auto after = named;
  after.after = {schema::Dependency(1, schema::DependencyKind::ok)};
  cell.submit(named);
  cell.submit(after);
  BOOST_TEST(cell.started() == Ids({1}), boost::test_tools::per_element());
  cell.submit({.user = "bob", .time_limit_ns = 30 * minute_ns});
  cell.now.value += 10 * minute_ns;
  cell.end(1);
  check_order(cell, {2, 3});
}

BOOST_AUTO_TEST_CASE(plain_orders_let_nobody_pass) {
  auto cell = cell_with("fifo", 2);
  cell.submit({});
  cell.submit({.cpu_milli = 2000});
  cell.submit({});
  BOOST_TEST(cell.started() == Ids({1}), boost::test_tools::per_element());
  cell.end(1);
  BOOST_TEST(cell.started() == Ids({2}), boost::test_tools::per_element());
  cell.submit({.priority = 1});
  cell.end(2);
  // Both fit: the one of the higher priority, and the one behind it.
  BOOST_TEST(cell.started() == Ids({4, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(when_the_head_is_cancelled_the_next_is_looked_at) {
  auto cell = cell_with("fifo", 2);
  cell.submit({});
  cell.submit({.cpu_milli = 2000});
  cell.submit({});
  cell.started();
  cell.end(2, schema::SessionState::cancelled);
  BOOST_TEST(cell.started() == Ids({3}), boost::test_tools::per_element());
}

// The example of the paper: 9 CPUs and 18 GB; A's tasks need 1 CPU and 4 GB,
// B's 3 CPUs and 1 GB. A gets three, B two.
BOOST_AUTO_TEST_CASE(drf_equalizes_dominant_shares_as_in_the_paper) {
  TestCell cell;
  cell.add({.number = 0, .cpu_milli = 9000, .memory_bytes = 18 * gib});
  cell.scheduler.set_policy("default", *parse_policy("drf"));
  std::map<std::uint64_t, char> owner;
  for (int i = 0; i < 10; ++i) {
    owner[cell.submit({.memory_bytes = 4 * gib, .user = "a"})] = 'A';
    owner[cell.submit({.cpu_milli = 3000, .user = "b"})] = 'B';
  }
  std::string started;
  for (const auto id : cell.started()) started += owner.at(id);
  BOOST_TEST(std::count(started.begin(), started.end(), 'A') == 3);
  BOOST_TEST(std::count(started.begin(), started.end(), 'B') == 2);
  // A starts at 4/18 each, B at 3/9: A B A B A is how the least goes first.
  BOOST_TEST(started == "ABABA");
}

BOOST_AUTO_TEST_CASE(drf_shares_follow_the_weights) {
  auto cell = cell_with("drf", 40);
  cell.event(schema::EventBody::AccountChanged, [](auto& builder) {
    const auto name = builder.CreateString("ann");
    schema::AccountSpecBuilder spec(builder);
    spec.add_name(name);
    spec.add_weight_milli(3000);
    return schema::CreateAccountChanged(builder, spec.Finish()).Union();
  });
  const auto got =
      shares(cell, {{{.user = "ann"}}, {{.user = "bob"}}}, 4000, second_ns);
  check_ratio(got[0], got[1], 3);
}

// Projects a and b have the same weight; a's users share a's half.
BOOST_AUTO_TEST_CASE(fair_share_goes_down_the_tree) {
  auto cell = cell_with("fair_share,half_life=1d", 40);
  const auto got = shares(cell,
                          {{{.project = "a", .user = "ann"}},
                           {{.project = "a", .user = "abe"}},
                           {{.project = "b", .user = "bob"}}},
                          8000, 10 * second_ns);
  check_ratio(got[2], got[0], 2);
  check_ratio(got[0], got[1], 1);
}

// Who used more before comes later, the less the longer ago.
BOOST_AUTO_TEST_CASE(fair_share_remembers_and_forgets) {
  auto cell = cell_with("fair_share,half_life=6h", 1);
  const auto use = [&](const char* user, std::uint64_t duration_ns) {
    const auto id = cell.submit({.project = user, .user = user});
    BOOST_TEST(cell.started() == Ids({id}), boost::test_tools::per_element());
    cell.now.value += duration_ns;
    cell.end(id);
  };
  use("ann", 120 * minute_ns);
  cell.now.value += 24 * 60 * minute_ns;
  use("bob", 60 * minute_ns);
  // Two hours are worth less than a quarter of an hour after a day.
  cell.submit({.project = "bob", .user = "bob"});
  cell.submit({.project = "ann", .user = "ann"});
  check_order(cell, {4, 3});
}

BOOST_AUTO_TEST_CASE(multifactor_age_and_size_add_up) {
  auto cell = cell_with(
      "multifactor,age_weight=1,size_weight=3,fair_weight=0,"
      "none",
      64);
  const auto blocker = cell.submit({.cpu_milli = 64000});
  cell.started();
  cell.submit({});
  cell.now.value += 120 * minute_ns;
  cell.submit({.cpu_milli = 16000});  // worth 3, an hour more than the other
  cell.submit({});
  cell.end(blocker);
  BOOST_TEST(cell.started() == Ids({3, 2, 4}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(multifactor_who_used_nothing_goes_first) {
  auto cell = cell_with("multifactor", 1);
  const auto first = cell.submit({.user = "ann"});
  cell.started();
  cell.now.value += 120 * minute_ns;
  cell.submit({.user = "ann"});
  cell.now.value += 2 * minute_ns;
  cell.submit({.user = "bob"});
  cell.end(first);
  check_order(cell, {3, 2});
}

BOOST_AUTO_TEST_CASE(a_group_goes_back_to_the_default_policy) {
  TestCell cell;
  cell.add({.cpu_milli = 1000});
  const auto say = [&](const char* policy) {
    cell.event(schema::EventBody::AccountChanged, [&](auto& builder) {
      const auto group = schema::CreateAccountSpecDirect(
          builder, schema::AccountKind::group, "default", nullptr, 1000,
          INT32_MAX, nullptr, policy);
      return schema::CreateAccountChanged(builder, group).Union();
    });
    return cell.scheduler.queue("default", false, 1).policy;
  };
  BOOST_CHECK(say("lifo").order == Order::lifo);
  BOOST_CHECK(say("") == Policy{});
}

BOOST_AUTO_TEST_CASE(another_policy_takes_over_what_waits) {
  auto cell = cell_with("fifo", 1);
  for (int i = 0; i < 4; ++i) cell.submit({.user = i % 2 ? "ann" : "bob"});
  BOOST_TEST(cell.started() == Ids({1}), boost::test_tools::per_element());
  for (const char* policy : {"drf", "easy", "fair_share,conservative", "lifo"})
    cell.scheduler.set_policy("default", *parse_policy(policy));
  cell.end(1);
  check_order(cell, {4, 3, 2});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace order_test
