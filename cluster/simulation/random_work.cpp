#include "cluster/simulation/random_work.hpp"

#include <algorithm>

#include "cluster/simulation/test_workload.hpp"

namespace reeve::cluster::simulation::testing {

using Kind = NodeChange::Kind;

Workload random_work(const std::function<std::uint64_t()>& random) {
  const auto below = [&](std::uint64_t bound) {
    return static_cast<std::uint32_t>(random() % bound);
  };
  WorkMaker make;
  for (std::uint32_t i = 0; i < 6; ++i)
    make.node(2 + below(7), below(5), i < 3 ? 0 : below(200));
  for (int i = 0; i < 12; ++i)
    make.change(NodeId{below(6)}, static_cast<Kind>(1 + below(4)),
                200 + below(400), below(2) * 700);
  std::stable_sort(make.work.changes.begin(), make.work.changes.end(),
                   [](const auto& a, const auto& b) { return a.at < b.at; });
  // Nodes are numbered in the order in which they come.
  std::vector<std::uint32_t> number(6);
  std::uint32_t next = 0;
  for (auto& change : make.work.changes) {
    if (change.kind == Kind::joined) number[change.node.value] = next++;
    change.node = NodeId{number[change.node.value]};
  }
  std::uint64_t at = 0;
  const std::uint32_t count = 20 + below(150);
  for (std::uint32_t i = 1; i <= count; ++i) {
    Asked asked{.at_s = at += below(8), .lasts_s = below(60)};
    asked.cpus = 1 + below(4);
    asked.gpus = below(3);
    if (asked.gpus == 1) asked.gpu_milli = 100 * (1 + below(10));
    if (below(4) == 0) asked.tasks = 1 + below(4);
    if (asked.tasks > 1)
      for (std::uint32_t t = 0; t < asked.tasks; ++t)
        asked.task_s.push_back(t == 0 ? asked.lasts_s
                                      : below(asked.lasts_s + 1));
    asked.priority = static_cast<std::int32_t>(below(3));
    asked.requeue_max = below(3);
    if (below(6) == 0) asked.not_before_s = at + below(40);
    if (below(5) == 0)
      asked.after.emplace_back(1 + below(i),
                               static_cast<schema::DependencyKind>(below(3)));
    asked.succeeds = below(5) > 0;
    make.submit(asked);
  }
  return std::move(make.work);
}

}  // namespace reeve::cluster::simulation::testing
