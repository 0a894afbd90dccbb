#include "cluster/simulation/workload.hpp"

namespace reeve::cluster::simulation {

std::uint32_t RequestList::index(const Request& request) {
  const auto [found, fresh] =
      index_.try_emplace(request, static_cast<std::uint32_t>(requests_.size()));
  if (fresh) requests_.push_back(request);
  return found->second;
}

}  // namespace reeve::cluster::simulation
