// How old the answer of a manager that is not sure to lead may be, in words.
#pragma once

#include <cstdint>
#include <string>

#include "schema/query_generated.h"

namespace reeve::tools {

// "as of 7.00s ago"; of one that heard no leader since it started, which
// knows no more than its log does, "as of its last event, 2h 05m ago: ...".
std::string answer_age(std::uint64_t behind_ns, bool leader_unheard);

// "no leader answers; m2 does, which stands by: as of 7.00s ago"; of one that
// leads and is not answered by the others, that another may by now. For those
// with `standing_by`.
std::string unsure_answer(const schema::Answer& answer);

}  // namespace reeve::tools
