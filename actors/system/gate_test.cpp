#include "actors/system/gate.hpp"

#include <boost/test/unit_test.hpp>

#include "actors/agent/shell.hpp"
#include "actors/journal/core.hpp"

namespace reeve::actors::gate_test {
namespace {

BOOST_AUTO_TEST_CASE(one_past_the_bound_is_dropped_until_another_has_left) {
  for (const std::size_t waiting_max :
       {agent::orders_waiting_max, 2 * agent::output_reads_waiting_max,
        journal::log_reads_waiting_max}) {
    Gate gate(waiting_max);
    for (std::size_t i = 0; i < waiting_max; ++i) BOOST_REQUIRE(gate.enter());
    BOOST_TEST(gate.dropped() == 0u);
    BOOST_TEST(!gate.enter());
    BOOST_TEST(gate.dropped() == 1u);
    BOOST_TEST(gate.waiting() == waiting_max);
    gate.leave();
    BOOST_TEST(gate.enter());
    BOOST_TEST(!gate.enter());
    BOOST_TEST(gate.dropped() == 2u);
  }
}

BOOST_AUTO_TEST_CASE(who_asks_for_output_is_told_before_it_is_dropped) {
  BOOST_TEST(!agent::too_many_reads(agent::output_reads_waiting_max));
  BOOST_TEST(agent::too_many_reads(agent::output_reads_waiting_max + 1));
}

}  // namespace
}  // namespace reeve::actors::gate_test
