// The managers of a cell: identities of their own kind. Those that the settings
// of the first manager named have neither token nor key, for nobody asked to
// join: each one's bus server knows its own. None: one keeps the cell alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/identities/identities.hpp"

namespace reeve::cluster {

// As many as a stream has copies at most.
inline constexpr std::size_t managers_max = 5;

// How many of so many have to have each commit.
constexpr std::size_t majority_of(std::size_t managers) {
  return managers / 2 + 1;
}

struct ManagerIdentity {
  std::string name;
  std::string address;      // of its host
  std::uint64_t token = 0;  // that it joined by; 0: the settings named it

  bool operator==(const ManagerIdentity&) const = default;
};

// By name.
std::vector<ManagerIdentity> managers_of(const Identities& identities);
// Named by its principal or by its name; null: there is none.
const Identity* find_manager(const Identities& identities,
                             std::string_view named);

// What the bus servers know a manager's server by: another one after each
// joining, so that a server without its data is not taken for the one that had
// it.
std::string bus_server_of(std::string_view manager, std::uint64_t token);

}  // namespace reeve::cluster
