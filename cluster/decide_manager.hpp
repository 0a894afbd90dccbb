// Decisions about the managers of a cell, taken by the one that leads it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/decide.hpp"
#include "cluster/identities/managers.hpp"

namespace reeve::cluster {

// How they are, as their leader hears of them.
struct ManagersNow {
  // A cell that one keeps alone has no majority, though others may have joined
  // that are not there yet.
  bool several = false;
  std::string leader;               // who decides
  std::vector<std::string> living;  // the others that are heard
};

// Those that the settings name, with their addresses, are in the log from now
// on; nothing when it has managers.
void decide_managers(
    const State& state,
    const std::vector<std::pair<std::string, std::string>>& settings,
    const Origin& origin, EventWriter& writer);

// Why no manager of this name and address may join; nothing: it may.
std::optional<Rejection> check_new_manager(const State& state,
                                           std::string_view name,
                                           std::string_view address,
                                           const LocalNames& local);

// Of one that `command` names by its principal or name (find_manager). It does
// not go where those that live would be no majority of the ones that are left.
Decision decide_remove_manager(const State& state,
                               const schema::RemoveIdentity& command,
                               const ManagersNow& managers,
                               const Origin& origin, EventWriter& writer);

}  // namespace reeve::cluster
