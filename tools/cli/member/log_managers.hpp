// Members and managers as the log of a cell names them.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/error.hpp"
#include "tools/cli/cell.hpp"

namespace reeve::tools {

Status each_identity(
    Cell& cell,
    const std::function<void(const schema::IdentityRecord&)>& visit);

struct LogManagers {
  // With their addresses; none before the cell has begun with managers.
  std::vector<std::pair<std::string, std::string>> named;
  // Heard in the last seconds by the one that answers, itself among them.
  std::set<std::string, std::less<>> living;

  bool has(std::string_view name) const;
};

// By who leads, or else by one that stands by.
Expected<LogManagers> log_managers(Cell& cell);

}  // namespace reeve::tools
