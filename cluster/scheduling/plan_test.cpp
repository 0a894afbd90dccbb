// Places kept for those that wait: worked examples, and random workloads in
// which nobody may make the head later than it was promised.
#include <boost/test/unit_test.hpp>
#include <random>

#include "cluster/scheduling/naive_cell.hpp"

namespace plan_test {

using namespace reeve;
using namespace reeve::cluster;
using Ids = std::vector<std::uint64_t>;

namespace {

TestCell cell_with(const char* policy, std::uint32_t nodes,
                   std::uint32_t cpus) {
  TestCell cell;
  for (std::uint32_t i = 0; i < nodes; ++i)
    cell.add({.number = i, .cpu_milli = 1000 * cpus});
  cell.scheduler.set_policy("default", *parse_policy(policy));
  return cell;
}

void check_started(TestCell& cell, const Ids& expected) {
  const auto ids = cell.started();
  BOOST_TEST(ids == expected, boost::test_tools::per_element());
}

TestSession of(std::uint32_t cpus, std::uint64_t minutes) {
  return {.cpu_milli = 1000 * cpus, .time_limit_ns = minutes * minute_ns};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plan)

// Four CPUs; two are taken for an hour. The head needs all four, so it starts
// in an hour: what ends before may pass it, what does not may not.
BOOST_AUTO_TEST_CASE(easy_lets_pass_what_ends_before_the_head_starts) {
  auto cell = cell_with("easy", 1, 4);
  cell.submit(of(2, 60));
  check_started(cell, {1});
  cell.submit(of(4, 10));
  cell.submit(of(1, 61));
  cell.submit(of(1, 60));
  cell.submit({});  // nobody knows when it ends
  check_started(cell, {4});
  BOOST_TEST(cell.scheduler.why(SessionId{2}).expected_start.value ==
             cell.now.value + 60 * minute_ns);
  cell.now.value += minute_ns;
  check_started(cell, {});
  cell.end(4);
  check_started(cell, {});
  cell.end(1);
  check_started(cell, {2});
}

// Beside the head there is a CPU to spare on the node that is kept for it.
BOOST_AUTO_TEST_CASE(easy_lets_pass_what_fits_beside_the_head) {
  auto cell = cell_with("easy", 1, 4);
  cell.submit(of(2, 60));
  check_started(cell, {1});
  cell.submit(of(3, 10));
  cell.submit(of(1, 600));
  cell.submit(of(1, 600));
  check_started(cell, {3});
  cell.end(1);
  check_started(cell, {2});
}

BOOST_AUTO_TEST_CASE(what_ends_early_lets_the_head_start_early) {
  auto cell = cell_with("easy", 2, 4);
  cell.submit(of(4, 60));
  cell.submit(of(4, 90));
  check_started(cell, {1, 2});
  cell.submit(of(4, 10));
  check_started(cell, {});
  cell.now.value += minute_ns;
  cell.end(2);
  check_started(cell, {3});
}

BOOST_AUTO_TEST_CASE(what_runs_too_long_makes_the_head_later_and_is_not_fatal) {
  auto cell = cell_with("easy", 1, 4);
  cell.submit(of(2, 60));
  check_started(cell, {1});
  cell.submit(of(4, 10));
  check_started(cell, {});
  cell.now.value += 70 * minute_ns;
  cell.submit(of(2, 1));
  check_started(cell, {3});  // a minute is what it is given
  cell.submit(of(2, 2));
  check_started(cell, {});
}

// The head starts in an hour and ends ten minutes later, when the next, which
// needs all, may start. An easy plan knows nothing of that one.
BOOST_AUTO_TEST_CASE(conservative_delays_nobody) {
  for (const bool conservative : {false, true}) {
    auto cell = cell_with(conservative ? "conservative" : "easy", 1, 4);
    cell.submit(of(2, 60));
    check_started(cell, {1});
    cell.submit(of(3, 10));
    cell.submit(of(4, 10));
    cell.submit(of(1, 71));
    check_started(cell, conservative ? Ids{} : Ids{4});
    if (!conservative) continue;
    BOOST_TEST(cell.scheduler.why(SessionId{3}).expected_start.value ==
               cell.now.value + 70 * minute_ns);
    cell.submit(of(1, 70));
    check_started(cell, {5});
  }
}

BOOST_AUTO_TEST_CASE(a_place_is_kept_behind_one_that_fits_nowhere) {
  auto cell = cell_with("easy", 1, 4);
  cell.submit(of(2, 60));
  check_started(cell, {1});
  auto stuck = of(1, 10);
  stuck.together = "db@nowhere";
  cell.submit(stuck);
  cell.submit(of(4, 10));
  check_started(cell, {});
  cell.submit(of(2, 61));
  cell.submit(of(2, 60));
  check_started(cell, {5});
}

BOOST_AUTO_TEST_CASE(a_gang_is_planned_whole) {
  auto cell = cell_with("easy", 3, 2);
  cell.submit(of(2, 30));
  cell.submit(of(2, 60));
  cell.submit(of(2, 90));
  check_started(cell, {1, 2, 3});
  auto gang = of(2, 10);
  gang.tasks = 2;
  gang.nodes = 2;
  cell.submit(gang);
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{4}).expected_start.value ==
             cell.now.value + 60 * minute_ns);
  cell.now.value += 30 * minute_ns;
  cell.end(1);
  cell.submit(of(2, 31));
  check_started(cell, {});
  cell.submit(of(2, 30));
  check_started(cell, {6});
}

// Of four nodes in two racks one is free from now on, its neighbour last; in
// the other rack both are free after an hour.
BOOST_AUTO_TEST_CASE(a_gang_is_planned_within_its_rack) {
  TestCell cell;
  cell.scheduler.set_policy("default", *parse_policy("easy"));
  for (std::uint32_t i = 0; i < 4; ++i)
    cell.add({.number = i,
              .cpu_milli = 2000,
              .labels = {{"rack", i < 2 ? "r1" : "r2"}}});
  const std::uint64_t minutes[] = {90, 30, 60};
  for (std::uint32_t i = 0; i < 3; ++i) {
    auto session = of(2, minutes[i]);
    session.on_node = "n" + std::to_string(i + 1);
    cell.submit(session);
  }
  check_started(cell, {1, 2, 3});
  auto gang = of(2, 10);
  gang.tasks = 2;
  gang.nodes = 2;
  gang.within = "rack";
  cell.submit(gang);
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{4}).expected_start.value ==
             cell.now.value + 60 * minute_ns);
  cell.submit(of(2, 90));  // the free node is not kept for the gang
  check_started(cell, {5});
}

// With packing=spread two halves take a device each, so the next that needs a
// whole one waits for their end.
BOOST_AUTO_TEST_CASE(devices_are_planned_as_they_are_chosen) {
  TestCell cell;
  cell.scheduler.set_policy("default", *parse_policy("conservative,spread"));
  cell.add({.number = 0, .models = devices(2)});
  auto session = of(1, 60);
  session.gpus = 2;
  cell.submit(session);
  check_started(cell, {1});
  session = of(1, 30);
  session.gpus = 1;
  session.gpu_milli = 500;
  cell.submit(session);
  cell.submit(session);
  session = of(1, 10);
  session.gpus = 1;
  cell.submit(session);
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{4}).expected_start.value ==
             cell.now.value + 90 * minute_ns);
}

namespace {

// Two nodes of eight CPUs, and so many that are too small, that a plan in which
// one fits nowhere takes steps enough to be kept for a few changes.
TestCell cell_with_costly_plans() {
  auto cell = cell_with("easy", 200, 1);
  for (std::uint32_t i = 200; i < 202; ++i)
    cell.add({.number = i, .cpu_milli = 8000});
  return cell;
}

TestSession on(std::uint32_t node, TestSession session) {
  session.on_node = "n" + std::to_string(node);
  return session;
}

}  // namespace

// With its second node back the gang starts in ten minutes: nothing that lasts
// longer may take that node, though the plan was made a moment ago.
BOOST_AUTO_TEST_CASE(a_node_that_returns_is_kept_for_who_fitted_nowhere) {
  auto cell = cell_with_costly_plans();
  cell.lost(200);
  cell.submit(on(201, of(8, 10)));
  check_started(cell, {1});
  auto gang = of(8, 10);
  gang.tasks = 2;
  cell.submit(gang);
  cell.submit(of(8, 60));
  check_started(cell, {});
  cell.returned(200);
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{2}).expected_start.value ==
             cell.now.value + 10 * minute_ns);
}

// The head was to start on the node that is lost, and may yet do so on the
// other, of which half was given back early.
BOOST_AUTO_TEST_CASE(the_head_of_a_lost_node_is_kept_another) {
  auto cell = cell_with_costly_plans();
  cell.submit(on(200, of(8, 30)));
  cell.submit(on(201, of(4, 20)));
  cell.submit(on(201, of(4, 60)));
  check_started(cell, {1, 2, 3});
  cell.submit(of(64, 10));  // fits nowhere
  cell.submit(of(8, 10));
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{5}).expected_start.value ==
             cell.now.value + 30 * minute_ns);
  cell.end(3);
  check_started(cell, {});
  cell.lost(200);
  cell.submit(of(4, 90));
  check_started(cell, {});
  BOOST_TEST(cell.scheduler.why(SessionId{5}).expected_start.value ==
             cell.now.value + 20 * minute_ns);
}

// Nothing could be promised to the head: nobody knew when the first would end,
// or it wanted to be where that one was not. What still runs takes an hour.
BOOST_AUTO_TEST_CASE(a_head_without_a_promise_has_one_before_others_pass) {
  for (const std::string apart : {"", "db"}) {
    auto cell = cell_with_costly_plans();
    cell.lost(200);
    auto first = on(201, of(4, apart.empty() ? 0 : 90));
    first.apart = apart;
    cell.submit(first);
    cell.submit(on(201, of(4, 60)));
    check_started(cell, {1, 2});
    auto head = of(8, 10);
    head.apart = apart;
    cell.submit(head);
    check_started(cell, {});
    cell.submit(of(4, 90));
    check_started(cell, {});
    BOOST_TEST(cell.scheduler.why(SessionId{3}).expected_start.value == 0);
    cell.end(1);
    check_started(cell, {});
    BOOST_TEST(cell.scheduler.why(SessionId{3}).expected_start.value ==
               cell.now.value + 60 * minute_ns);
  }
}

namespace {

struct Promise {
  std::uint64_t start = 0;  // the latest it may start
};

// Sessions last exactly as long as their limits: then the first promise that
// a head got is kept, whatever came after it.
void check_promises(const char* policy, std::uint64_t seed) {
  BOOST_TEST_CONTEXT(policy << ", REEVE_SEED=" << seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    TestCell cell;
    NaiveCell naive;
    const auto nodes = 1 + below(4);
    for (std::uint32_t i = 0; i < nodes; ++i) {
      const TestNode node{.number = i,
                          .cpu_milli = 8000,
                          .memory_bytes = 64 * gib,
                          .models = devices(4)};
      cell.add(node);
      naive.add(node);
    }
    cell.scheduler.set_policy("default", *parse_policy(policy));
    std::set<std::pair<std::uint64_t, std::uint64_t>> ends;
    std::map<std::uint64_t, TestSession> specs;
    std::map<std::uint64_t, std::uint64_t> promised;
    std::size_t waiting = 0;
    for (int step = 0; step < 300; ++step) {
      cell.now.value += below(20) * minute_ns;
      while (!ends.empty() && ends.begin()->first <= cell.now.value) {
        const auto id = ends.begin()->second;
        const auto now = cell.now.value;
        cell.now.value = ends.begin()->first;
        ends.erase(ends.begin());
        naive.free_all(naive.sessions.at(id));
        naive.sessions.erase(id);
        cell.end(id);
        for (const auto& proposal : cell.pass()) {
          const auto started = proposal.session.value;
          BOOST_REQUIRE_EQUAL(naive.take(proposal), "");
          ends.emplace(cell.now.value + specs.at(started).time_limit_ns,
                       started);
          --waiting;
          if (promised.contains(started))
            BOOST_TEST(cell.now.value <= promised.at(started),
                       "session " << started << " is late");
        }
        cell.now.value = now;
      }
      if (waiting < 30) {
        TestSession session;
        session.cpu_milli = static_cast<std::uint32_t>(500 * (1 + below(8)));
        session.gpus = static_cast<std::uint32_t>(below(5));
        if (session.gpus == 1 && below(2) == 0)
          session.gpu_milli = static_cast<std::uint32_t>(100 * (1 + below(9)));
        session.tasks =
            static_cast<std::uint32_t>(1 + below(3) / 2 * below(nodes));
        if (session.tasks > 1 && below(2) == 0) session.nodes = session.tasks;
        session.time_limit_ns = (1 + below(60)) * minute_ns;
        const auto id = cell.submit(session);
        specs[id] = session;
        naive.submit(id, session);
        ++waiting;
      }
      for (const auto& proposal : cell.pass()) {
        const auto started = proposal.session.value;
        BOOST_REQUIRE_EQUAL(naive.take(proposal), "");
        ends.emplace(cell.now.value + specs.at(started).time_limit_ns, started);
        --waiting;
        if (promised.contains(started))
          BOOST_TEST(cell.now.value <= promised.at(started),
                     "session " << started << " is late");
      }
      const auto head = naive.head({});
      if (!head ||
          naive.sessions.at(*head).standing != NaiveCell::Standing::waiting)
        continue;
      const auto why = cell.scheduler.why(SessionId{*head});
      if (why.expected_start.value == 0) continue;
      promised.try_emplace(*head, why.expected_start.value);
    }
    BOOST_TEST(promised.size() > 3);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_promise_to_the_head_is_kept_whatever_passes_it) {
  std::uint64_t runs = 60;
  if (const char* text = std::getenv("REEVE_RUNS")) runs = std::stoull(text);
  std::uint64_t from = 1;
  if (const char* text = std::getenv("REEVE_SEED")) {
    from = std::stoull(text);
    runs = 1;
  }
  for (std::uint64_t seed = from; seed < from + runs; ++seed)
    for (const char* policy : {"easy", "conservative,depth=5"})
      check_promises(policy, seed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace plan_test
