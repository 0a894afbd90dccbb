// How old the answer of a manager that stands by may be, in words.
#pragma once

#include <cstdint>
#include <string>

namespace reeve::tools {

// "as of 7.00s ago"; of one that heard no leader since it started, which
// knows no more than its log does, "as of its last event, 2h 05m ago: ...".
std::string answer_age(std::uint64_t behind_ns, bool leader_unheard);

}  // namespace reeve::tools
