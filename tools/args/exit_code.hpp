// Whether a command exited with a code, and with which. In events and views 0
// also stands where none did, and 128 + n beside a signal n. Pure.
#pragma once

#include <optional>

#include "schema/types_generated.h"

namespace reeve::tools {

// A session's. Its 0 says that it succeeded: one that was ended has none, even
// where its command took that well.
constexpr std::optional<int> session_exit_code(schema::SessionState state,
                                               int exit_code, int signal) {
  const bool ended = state >= schema::SessionState::succeeded;
  if (!ended || signal != 0) return std::nullopt;
  if (exit_code == 0 && state != schema::SessionState::succeeded)
    return std::nullopt;
  return exit_code;
}

constexpr std::optional<int> task_exit_code(schema::EndReason reason,
                                            int exit_code, int signal) {
  if (signal != 0) return std::nullopt;
  if (exit_code == 0 && reason != schema::EndReason::exited)
    return std::nullopt;
  return exit_code;
}

}  // namespace reeve::tools
