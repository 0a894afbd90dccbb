#include "cluster/identities/managers.hpp"

#include <fmt/format.h>

namespace reeve::cluster {

std::vector<ManagerIdentity> managers_of(const Identities& identities) {
  std::vector<ManagerIdentity> out;
  for (const auto& [principal, identity] : identities.all())
    if (identity.role == IdentityRole::manager)
      out.push_back({identity.name, identity.address, identity.token});
  return out;
}

const Identity* find_manager(const Identities& identities,
                             std::string_view named) {
  const Identity* known = identities.find(named);
  // A user may have the name of a manager.
  if (!known)
    known = identities.find(principal_of(IdentityRole::manager, named));
  return known && known->role == IdentityRole::manager ? known : nullptr;
}

std::string bus_server_of(std::string_view manager, std::uint64_t token) {
  return token == 0 ? std::string(manager)
                    : fmt::format("{}#{}", manager, token);
}

}  // namespace reeve::cluster
