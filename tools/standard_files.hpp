// Standard input, output and error of a program, which whoever starts it may
// have closed.
#pragma once

namespace reeve::tools {

// What is written to a standard output that was closed.
enum class ClosedOutput { is_lost, is_an_error };

// The first call of every main(): the next files that a program opens, of a log
// perhaps, would take the numbers of those that are closed, and what is meant
// for a terminal would go into them. /dev/null stands in for each. An input is
// at its end then, an error output takes everything.
void open_standard_files(ClosedOutput output);

}  // namespace reeve::tools
