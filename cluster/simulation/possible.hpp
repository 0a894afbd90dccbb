// Whether a request could ever run on the nodes of a workload.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/scheduling/capacity.hpp"
#include "cluster/simulation/workload.hpp"

namespace reeve::cluster::simulation {

class Possible {
 public:
  // All nodes that ever join count, whenever they do. The workload must
  // outlive it.
  explicit Possible(const Workload& work);

  // A request of the workload, by its index.
  bool operator()(std::uint32_t request);

 private:
  const Workload& work_;
  std::vector<Shape> shapes_;
  boost::unordered_flat_map<std::string, std::vector<Shape>> by_name_;
  std::vector<std::optional<bool>> known_;
};

}  // namespace reeve::cluster::simulation
