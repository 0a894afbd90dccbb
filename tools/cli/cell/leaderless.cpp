#include "tools/cli/cell/leaderless.hpp"

#include <fmt/format.h>

#include "cluster/identities/managers.hpp"
#include "tools/cli/member/manager_text.hpp"

namespace reeve::tools {

std::string why_nobody_leads(const schema::StatusAnswer& status) {
  if (status.role() == schema::ManagerRole::leading ||
      status.managers() == nullptr)
    return {};
  const auto& managers = *status.managers();
  std::string missing;
  std::size_t away = 0;
  for (const auto* one : managers) {
    if (!is_missing(*one)) continue;
    ++away;
    missing += (missing.empty() ? "" : ", ") + one->name()->str();
  }
  if (managers.size() - away >= cluster::majority_of(managers.size()))
    return {};
  return fmt::format(
      "nobody leads the cell: {} {} not heard, and {}. Start them (\"reeve "
      "up\" on their hosts); where they are gone for good, see "
      "docs/disaster.md, \"Most managers\"",
      missing, away == 1 ? "is" : "are", majority_sentence(managers.size()));
}

}  // namespace reeve::tools
