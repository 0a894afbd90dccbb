#include "tools/cli/cell/answer_age.hpp"

#include <fmt/format.h>

#include "cluster/types.hpp"
#include "cluster/units.hpp"
#include "schema/wire.hpp"

namespace reeve::tools {

std::string answer_age(std::uint64_t behind_ns, bool leader_unheard) {
  // A part of a second says nothing of longer times.
  const std::uint64_t told_ns =
      behind_ns < second_ns ? behind_ns : behind_ns / second_ns * second_ns;
  if (!leader_unheard)
    return fmt::format("as of {} ago", format_duration(told_ns));
  const std::string as_of = behind_ns == schema::unknown_ns
                                ? "of unknown age"
                                : fmt::format("as of its last event, {} ago",
                                              format_duration(told_ns));
  return as_of + ": it has heard no leader since it started";
}

}  // namespace reeve::tools
