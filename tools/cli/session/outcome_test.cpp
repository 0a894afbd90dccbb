#include "tools/cli/session/outcome.hpp"

#include <boost/test/unit_test.hpp>

#include "tools/args/exit_code.hpp"

namespace reeve::tools::outcome_test {
namespace {

using schema::EndReason;
using schema::SessionState;

BOOST_AUTO_TEST_SUITE(outcome)

BOOST_AUTO_TEST_CASE(the_exit_code_is_the_sessions_own) {
  const struct {
    Outcome outcome;
    int code;
  } cases[] = {
      {{SessionState::succeeded, EndReason::exited, 0, 0, ""}, 0},
      {{SessionState::failed, EndReason::exited, 7, 0, ""}, 7},
      {{SessionState::failed, EndReason::signalled, 0, 11, ""}, 139},
      {{SessionState::failed, EndReason::memory_limit, 0, 9, ""}, 137},
      {{SessionState::cancelled, EndReason::cancelled, 0, 15, ""}, 143},
      {{SessionState::cancelled, EndReason::cancelled, 0, 0, ""}, 130},
      {{SessionState::failed, EndReason::start_failed, 0, 0,
        "exec x: No such file or directory"},
       127},
      {{SessionState::failed, EndReason::start_failed, 0, 0,
        "command \"x\" was not found in PATH=/bin"},
       127},
      {{SessionState::failed, EndReason::start_failed, 0, 0,
        "exec x: Permission denied"},
       126},
      {{SessionState::lost, EndReason::node_lost, 0, 0, ""}, 1},
      {{SessionState::failed, EndReason::dependency_failed, 0, 0, ""}, 1}};
  for (const auto& c : cases) BOOST_TEST(exit_code_of(c.outcome) == c.code);
}

BOOST_AUTO_TEST_CASE(only_what_succeeded_exits_with_zero) {
  for (int state = 5; state <= 8; ++state)
    for (int reason = 0; reason <= static_cast<int>(EndReason::MAX); ++reason) {
      const Outcome outcome{static_cast<SessionState>(state),
                            static_cast<EndReason>(reason), 0, 0, ""};
      BOOST_TEST((exit_code_of(outcome) == 0) ==
                 (outcome.state == SessionState::succeeded));
    }
}

BOOST_AUTO_TEST_CASE(an_unusual_end_is_explained) {
  BOOST_TEST(explain({SessionState::failed, EndReason::memory_limit, 0, 9,
                      "limit 64 MiB"}) ==
             "was killed by its memory limit: limit 64 MiB");
  BOOST_TEST(explain({SessionState::failed, EndReason::signalled, 0, 11, ""}) ==
             "was ended by SIGSEGV");
  BOOST_TEST(explain({SessionState::failed, EndReason::exited, 3, 0, ""}) ==
             "");
}

BOOST_AUTO_TEST_CASE(what_else_is_known_of_an_ordinary_exit_is_its_note) {
  const std::string killed = "1 process(es) killed at the memory limit";
  BOOST_TEST(note_of({SessionState::succeeded, EndReason::exited, 0, 0,
                      killed}) == killed);
  BOOST_TEST(note_of({SessionState::succeeded, EndReason::exited, 0, 0, ""}) ==
             "");
  BOOST_TEST(note_of({SessionState::failed, EndReason::memory_limit, 0, 9,
                      killed}) == "");
}

BOOST_AUTO_TEST_CASE(a_detail_stays_in_its_line) {
  BOOST_TEST(explain({SessionState::failed, EndReason::start_failed, 0, 0,
                      "exec \033[2J\nx"}) ==
             "could not be started: exec  [2J x");
}

BOOST_AUTO_TEST_CASE(a_session_has_an_exit_code_where_its_command_gave_one) {
  const struct {
    SessionState state;
    int exit_code, signal;
    std::optional<int> wanted;
  } cases[] = {
      {SessionState::pending, 0, 0, {}},   {SessionState::running, 0, 0, {}},
      {SessionState::succeeded, 0, 0, 0},  {SessionState::failed, 3, 0, 3},
      {SessionState::failed, 0, 0, {}},    {SessionState::failed, 137, 9, {}},
      {SessionState::cancelled, 0, 0, {}}, {SessionState::cancelled, 3, 0, 3},
      {SessionState::lost, 0, 0, {}}};
  for (const auto& c : cases)
    BOOST_TEST((session_exit_code(c.state, c.exit_code, c.signal) == c.wanted));
}

BOOST_AUTO_TEST_CASE(a_task_has_an_exit_code_where_its_command_gave_one) {
  BOOST_TEST((task_exit_code(EndReason::none, 0, 0) == std::nullopt));
  BOOST_TEST((task_exit_code(EndReason::exited, 0, 0) == 0));
  BOOST_TEST((task_exit_code(EndReason::memory_limit, 1, 0) == 1));
  BOOST_TEST((task_exit_code(EndReason::signalled, 139, 11) == std::nullopt));
  BOOST_TEST((task_exit_code(EndReason::start_failed, 0, 0) == std::nullopt));
  BOOST_TEST((task_exit_code(EndReason::node_lost, 0, 0) == std::nullopt));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::outcome_test
