// Agents that hear no manager through their bus server.
#include "actors/agent/core_silence.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

#include "actors/agent/test_agent.hpp"
#include "cluster/limits.hpp"

namespace reeve::agent::core_silence_test {
namespace {

constexpr std::uint64_t tick_ns = second_ns / 10;

// How long it takes until it is too long, by the tick.
std::uint64_t wait_of(Silence& silence, Time& now) {
  silence.begin(now);
  for (std::uint64_t waited = tick_ns;; waited += tick_ns) {
    now.value += tick_ns;
    if (silence.too_long(now) != 0) return waited;
  }
}

BOOST_AUTO_TEST_CASE(a_silence_may_be_twice_as_long_each_time_up_to_a_bound) {
  Time now = noon;
  Silence silence(3);
  std::uint64_t step = unheard_ns;
  for (int i = 0; i < 8; ++i) {
    const auto waited = wait_of(silence, now);
    BOOST_TEST(waited >= step / 2);
    BOOST_TEST(waited <= step + tick_ns);
    step = std::min(2 * step, unheard_longest_ns);
  }
  BOOST_TEST(step == unheard_longest_ns);
  silence.on_heard(now);
  BOOST_TEST(wait_of(silence, now) <= unheard_ns + tick_ns);
}

BOOST_AUTO_TEST_CASE(agents_that_were_left_at_one_moment_go_at_many) {
  Time now = noon;
  std::set<std::uint64_t> moments;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Silence silence(seed);
    moments.insert(wait_of(silence, now));
  }
  BOOST_TEST(moments.size() >= 10u);
}

BOOST_AUTO_TEST_CASE(another_server_is_tried_before_a_node_is_lost) {
  BOOST_TEST(unheard_ns + 3 * second_ns < cluster::node_lost_after_ns_default);
}

struct OfThree : Ready {
  OfThree() {
    order(Orders(1).list(heard.boot, {}, {}, {"m1", "m2", "m3"}));
    answer_registration();
  }
};

struct Running : OfThree {
  Running() {
    order(Orders(1).launch({one}));
    core.on_started(one, 1, 10, "");
    step();
    answer_report();
  }
  // As long as an agent may wait at first.
  void listen() {
    for (std::uint64_t ns = 0; ns <= unheard_ns; ns += second_ns)
      tick(second_ns);
  }
};

BOOST_FIXTURE_TEST_CASE(an_agent_with_tasks_that_hears_nothing_goes_elsewhere,
                        Running) {
  listen();
  BOOST_REQUIRE_EQUAL(unheard.size(), 1u);
  BOOST_TEST(unheard.front() >= unheard_ns / 2);
  // The next server has its time, from when it is there.
  core.on_reconnected(now);
  for (std::uint64_t ns = 0; ns < unheard_ns; ns += second_ns) tick(second_ns);
  BOOST_TEST(unheard.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(an_agent_with_tasks_that_is_heard_stays, Running) {
  for (int i = 0; i < 200; ++i) {
    tick(second_ns);
    order(Orders(1).heard(1).nothing_else());
  }
  BOOST_TEST(unheard.empty());
}

BOOST_FIXTURE_TEST_CASE(an_agent_of_one_manager_stays, Running) {
  order(Orders(1).list(heard.boot, {one}));
  answer_registration();
  for (std::uint64_t ns = 0; ns < 4 * unheard_ns; ns += second_ns)
    tick(second_ns);
  BOOST_TEST(unheard.empty());
}

BOOST_FIXTURE_TEST_CASE(an_agent_that_waits_for_no_word_stays, OfThree) {
  const int before = heard.registrations;
  while (heard.registrations == before) tick(second_ns);
  BOOST_TEST(unheard.empty());
  // It asks, and is not answered.
  for (std::uint64_t ns = 0; ns <= unheard_ns; ns += second_ns) tick(second_ns);
  BOOST_TEST(unheard.size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(an_agent_that_is_refused_stays, Agent) {
  ready();
  for (int i = 0; i < 200; ++i) {
    answer(heard.registration_id, false);
    tick(second_ns);
  }
  BOOST_TEST(unheard.empty());
}

BOOST_FIXTURE_TEST_CASE(a_host_that_slept_has_not_listened, Running) {
  tick(unheard_longest_ns);
  BOOST_TEST(unheard.empty());
}

}  // namespace
}  // namespace reeve::agent::core_silence_test
