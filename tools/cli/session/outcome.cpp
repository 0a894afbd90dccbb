#include "tools/cli/session/outcome.hpp"

#include <fmt/format.h>
#include <string.h>

#include "cluster/printable.hpp"

namespace reeve::tools {
namespace {

using schema::EndReason;
using schema::SessionState;

std::string_view sentence(EndReason reason) {
  switch (reason) {
    case EndReason::memory_limit: return "was killed by its memory limit";
    case EndReason::time_limit: return "was ended by its time limit";
    case EndReason::cancelled: return "was cancelled";
    case EndReason::start_failed: return "could not be started";
    case EndReason::start_timeout: return "did not start in time";
    case EndReason::stop_timeout: return "did not stop in time";
    case EndReason::node_lost: return "was lost with its node";
    case EndReason::task_lost: return "was lost: its node no longer knows it";
    case EndReason::peer_failed: return "was ended because a task failed";
    case EndReason::dependency_failed:
      return "can never start: what it waits for ended otherwise";
    case EndReason::wait_timeout: return "waited for longer than it may";
    case EndReason::node_drained: return "was ended to drain its node";
    case EndReason::cell_stopped: return "was ended with the cell";
    case EndReason::preempted: return "had to make room for another session";
    case EndReason::reservation_gone: return "lost its reservation";
    case EndReason::device_unclean:
      return "was given a GPU that could not be cleared of its last owner's "
             "data";
    case EndReason::signalled: return "was ended by a signal";
    case EndReason::none:
    case EndReason::exited: return {};
  }
  return {};
}

// As the agent says it: by the name of the error, or of the search.
bool not_found(const std::string& detail) {
  return detail.find("No such file") != std::string::npos ||
         detail.find("was not found") != std::string::npos;
}

}  // namespace

bool has_ended(SessionState state) {
  return state >= SessionState::succeeded;
}

int exit_code_of(const Outcome& outcome) {
  if (outcome.state == SessionState::succeeded) return 0;
  if (outcome.signal > 0) return 128 + outcome.signal;
  if (outcome.exit_code > 0 && outcome.exit_code < 256)
    return outcome.exit_code;
  if (outcome.state == SessionState::cancelled) return exit_cancelled;
  if (outcome.reason == EndReason::start_failed)
    return not_found(outcome.detail) ? exit_command_not_found
                                     : exit_not_started;
  return 1;
}

std::string explain(const Outcome& outcome) {
  std::string out(sentence(outcome.reason));
  if (out.empty() && outcome.state == SessionState::lost) out = "was lost";
  if (outcome.reason == EndReason::signalled && outcome.signal > 0) {
    const char* name = ::sigabbrev_np(outcome.signal);
    out = name ? fmt::format("was ended by SIG{}", name)
               : fmt::format("was ended by signal {}", outcome.signal);
  }
  if (!out.empty() && !outcome.detail.empty())
    out += fmt::format(": {}", printable(outcome.detail));
  return out;
}

std::string note_of(const Outcome& outcome) {
  return explain(outcome).empty() ? printable(outcome.detail) : std::string();
}

}  // namespace reeve::tools
