// Whether a request could ever run on the nodes of a workload.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/scheduling/capacity.hpp"
#include "cluster/simulation/workload.hpp"

namespace reeve::cluster {
class LabelWishes;
}

namespace reeve::cluster::simulation {

class Possible {
 public:
  // All nodes that ever join count, whenever they do, where their labels are as
  // the request asks, and its reservation ever has them. The workload must
  // outlive it.
  explicit Possible(const Workload& work);

  // A request of the workload, by its index.
  bool operator()(std::uint32_t request);

 private:
  bool as_wished(const Node& node, const Request& request,
                 const Constraint& constraint) const;
  bool among_wished(const Request& request, const LabelWishes& labels) const;

  const Workload& work_;
  std::vector<std::pair<const Node*, Shape>> nodes_;
  std::vector<Shape> shapes_;
  boost::unordered_flat_map<std::string, std::vector<Shape>> by_name_;
  std::map<std::string, std::set<std::string>> reserved_;  // nodes, by its name
  std::vector<std::optional<bool>> known_;
};

}  // namespace reeve::cluster::simulation
