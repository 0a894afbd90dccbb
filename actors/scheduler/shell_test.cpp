#include "actors/scheduler/shell.hpp"

#include <boost/test/unit_test.hpp>
#include <caf/all.hpp>
#include <chrono>

#include "actors/system/messages.hpp"
#include "cluster/scheduling/test_cell.hpp"

namespace reeve::actors::shell_test {
namespace {

std::size_t next_message(caf::scoped_actor& manager) {
  std::size_t count = 0;
  manager->receive(
      [&](const Proposals& proposals) { count = proposals.list->size(); });
  return count;
}

BOOST_AUTO_TEST_CASE(more_placements_than_one_message_holds_come_in_several) {
  auto core = std::make_shared<cluster::Scheduler>();
  cluster::TestCell cell;
  cell.deliver = [&](const schema::Event& event) { core->apply(event); };
  cell.add({.cpu_milli = 4'000'000, .memory_bytes = 4'000 * cluster::gib});
  for (std::size_t i = 0; i < 2 * proposals_per_message_max + 1; ++i)
    cell.submit({});
  caf::actor_system_config config;
  caf::actor_system actors(config);
  caf::scoped_actor manager(actors);
  const auto scheduler = spawn_scheduler(actors, core, Time{},
                                         caf::actor_cast<caf::actor>(manager));
  BOOST_TEST(next_message(manager) == proposals_per_message_max);
  BOOST_TEST(next_message(manager) == proposals_per_message_max);
  BOOST_TEST(next_message(manager) == 1u);
  caf::anon_send(scheduler, drain_atom::value);
}

BOOST_AUTO_TEST_CASE(what_was_refused_is_proposed_again_with_the_next_tick) {
  auto core = std::make_shared<cluster::Scheduler>();
  cluster::TestCell cell;
  cell.deliver = [&](const schema::Event& event) { core->apply(event); };
  cell.add({});
  const SessionId session{cell.submit({})};
  caf::actor_system_config config;
  caf::actor_system actors(config);
  caf::scoped_actor manager(actors);
  const auto scheduler = spawn_scheduler(actors, core, Time{},
                                         caf::actor_cast<caf::actor>(manager));
  BOOST_TEST(next_message(manager) == 1u);
  // The manager knows better, as long as a full disk holds its events back.
  const auto refuse = [&] {
    caf::anon_send(scheduler,
                   Refused{std::make_shared<
                       const std::vector<std::pair<SessionId, std::uint32_t>>>(
                       1, std::pair{session, 1u})});
  };
  refuse();
  bool again = true;
  manager->receive(
      [&](const Proposals&) {},
      caf::after(std::chrono::milliseconds(50)) >> [&] { again = false; });
  BOOST_TEST(!again);
  caf::anon_send(scheduler, TimeIs{Time{second_ns}});
  BOOST_TEST(next_message(manager) == 1u);
  caf::anon_send(scheduler, drain_atom::value);
}

}  // namespace
}  // namespace reeve::actors::shell_test
