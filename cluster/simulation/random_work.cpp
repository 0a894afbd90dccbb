#include "cluster/simulation/random_work.hpp"

#include <algorithm>

#include "cluster/simulation/test_workload.hpp"

namespace reeve::cluster::simulation::testing {

using Kind = NodeChange::Kind;

namespace {

// Labels, company and arrays in some sessions; some of one array together.
struct Chooser {
  const std::function<std::uint64_t()>& random;
  std::uint64_t array = 0;
  std::uint32_t array_left = 0;
  std::uint32_t array_max = 0;

  std::uint32_t below(std::uint64_t bound) const {
    return static_cast<std::uint32_t>(random() % bound);
  }

  void wish(Asked& asked) const {
    static const char* const places[] = {"rack=r0", "rack!=r0 && cpus>=4",
                                         "node=n1 || node=n2 || gpus>=2"};
    if (below(6) == 0) asked.constraint = places[below(3)];
    if (below(6) == 0) asked.prefer = {"rack=r1"};
    if (below(12) == 0) asked.together = below(2) ? "a" : "b@rack";
    if (below(12) == 0) asked.apart = below(2) ? "c" : "d@rack";
    if (asked.tasks > 1 && below(3) == 0) asked.within = "rack";
    if (below(8) == 0) asked.reservation = "kept";
    asked.user = below(2) ? "ann" : "bob";
    if (asked.reservation == "kept") asked.user = "ann";
    if (below(2)) asked.limit_s = asked.lasts_s + below(60);
  }

  void join_array(Asked& asked, std::uint64_t session) {
    if (array_left == 0) {
      array_left = below(8) ? 0 : 2 + below(6);
      array = session;
      array_max = below(3);
    }
    if (array_left == 0) return;
    --array_left;
    asked.array = array;
    asked.array_running_max = array_max;
  }
};

}  // namespace

Workload random_work(const std::function<std::uint64_t()>& random) {
  const auto below = [&](std::uint64_t bound) {
    return static_cast<std::uint32_t>(random() % bound);
  };
  Chooser choose{random};
  const bool preempts = below(2);
  WorkMaker make;
  make.policy(preempts ? "preemption=priority,preempt_after=3s" : "");
  for (std::uint32_t i = 0; i < 6; ++i)
    make.node(2 + below(7), below(5), i < 3 ? 0 : below(200),
              {{"rack", "r" + std::to_string(i % 3)}});
  // What had to make room has a second attempt, which may then be cut shorter.
  for (int i = 0; i < 12; ++i)
    make.change(NodeId{below(6)},
                static_cast<Kind>(preempts ? 3 + below(2) : 1 + below(4)),
                200 + below(400), preempts ? 0 : below(2) * 700);
  // Each once at most: a device is not put into quarantine twice.
  for (std::uint32_t device = below(4); device-- > 0;) {
    const NodeId node{below(6)};
    const std::uint64_t from_s = 200 + below(200);
    make.change_device(node, Kind::quarantined, device, from_s);
    if (below(3) > 0)
      make.change_device(node, Kind::released, device, from_s + below(200));
  }
  std::stable_sort(make.work.changes.begin(), make.work.changes.end(),
                   [](const auto& a, const auto& b) { return a.at < b.at; });
  // Nodes are numbered in the order in which they come.
  std::vector<std::uint32_t> number(6);
  std::uint32_t next = 0;
  for (auto& change : make.work.changes) {
    if (change.kind == Kind::joined) number[change.node.value] = next++;
    change.node = NodeId{number[change.node.value]};
  }
  if (below(2)) make.reserve("kept", NodeId{0}, "ann", 100, 300);
  if (below(2)) make.reserve("patch", NodeId{1}, "", 60, 90, 200);
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
    choose.wish(asked);
    choose.join_array(asked, i);
    if (below(8) == 0) asked.on_preempt = schema::OnPreempt::end;
    if (below(4) == 0) asked.leaving_s = below(10);
    make.submit(asked);
  }
  return std::move(make.work);
}

}  // namespace reeve::cluster::simulation::testing
