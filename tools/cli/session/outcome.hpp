// How a session ended, as an exit code and as a sentence. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schema/types_generated.h"

namespace reeve::tools {

// Taken when a session was cancelled before anything of it ran.
inline constexpr int exit_cancelled = 130;
inline constexpr int exit_not_started = 126;
inline constexpr int exit_command_not_found = 127;

struct Outcome {
  schema::SessionState state = schema::SessionState::pending;
  schema::EndReason reason = schema::EndReason::none;
  int exit_code = 0;
  int signal = 0;
  std::string detail;
};

bool has_ended(schema::SessionState state);

// The session's own code, 128+n for a signal; never 0 unless it succeeded.
int exit_code_of(const Outcome& outcome);

// "was killed by its memory limit: ..."; empty after an ordinary exit.
std::string explain(const Outcome& outcome);

// What is to be known of an ordinary exit all the same, as that a child of the
// command was killed; empty after any other.
std::string note_of(const Outcome& outcome);

}  // namespace reeve::tools
