// What a manager that follows has to tell the leader of its log: again and
// again, until it reads it in the log. Of each kind the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/healing.hpp"
#include "cluster/types.hpp"
#include "schema/command_generated.h"

namespace reeve::member {

// Between two sendings.
inline constexpr std::uint64_t report_ns = 2 * second_ns;

class HealingReports {
 public:
  // `id`: of the command, drawn.
  void add(cluster::Healing healing, const schema::Id128& id);
  // What the log does not tell.
  std::vector<cluster::Healing> untold(const cluster::Healings& known);
  // Finished commands to be sent now; all the same when they come again.
  std::vector<std::vector<std::byte>> due(const cluster::Healings& known,
                                          Time now);
  // One that will never be taken is told no more: the sentence says why.
  std::optional<std::string> on_reply(const schema::Reply& reply);

 private:
  struct Waiting {
    cluster::Healing healing;
    schema::Id128 id;
    Time due;
  };
  void drop_known(const cluster::Healings& known);

  std::map<cluster::HealingKind, Waiting> waiting_;
};

}  // namespace reeve::member
