#include "tools/cli/cell/answer_age.hpp"

#include <fmt/format.h>

#include "cluster/printable.hpp"
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

std::string unsure_answer(const schema::Answer& answer) {
  const std::string who = printable(schema::text(answer.standing_by()));
  const std::string age =
      answer_age(answer.behind_ns(), answer.leader_unheard());
  return answer.leads_alone()
             ? fmt::format(
                   "{} answers, which led and is not answered by the "
                   "other managers: {}; another may lead by now",
                   who, age)
             : fmt::format("no leader answers; {} does, which stands by: {}",
                           who, age);
}

}  // namespace reeve::tools
