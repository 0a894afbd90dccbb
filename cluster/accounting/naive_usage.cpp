#include "cluster/accounting/naive_usage.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "cluster/check.hpp"

namespace reeve::cluster::accounting::testing {
namespace {

class Recount {
 public:
  Recount(UsageBy by, const std::vector<Time>& borders)
      : by_(by),
        borders_(borders),
        periods_(borders.size() - 1),
        seen_(borders.size() - 1) {}

  // Nothing changes in [from, to).
  void slice(const State& state, Time from, Time to) {
    for (std::size_t i = 0; i < periods_.size(); ++i) {
      const Time first = std::max(from, borders_[i]);
      const Time last = std::min(to, borders_[i + 1]);
      if (first < last) count(state, i, last.value - first.value);
    }
  }
  std::vector<NaivePeriod> take() { return std::move(periods_); }

 private:
  std::string key(const State& state, const Session& session,
                  const Node& node) {
    const Spec spec = state.spec(session);
    switch (by_) {
      case UsageBy::user: return std::string(spec.user);
      case UsageBy::project: return std::string(spec.project);
      case UsageBy::group: return std::string(spec.group);
      case UsageBy::node: break;
    }
    return node.name;
  }

  void count(const State& state, std::size_t period, std::uint64_t ns) {
    std::map<std::uint32_t, Amount> held_on;
    state.visit_sessions(SessionId{}, [&](const Session& session) {
      for (std::uint32_t rank = 0; rank < session.tasks.size(); ++rank) {
        const Task& task = session.tasks[rank];
        if (task.phase == TaskPhase::exited) continue;
        Amount amount;
        amount.cpu_milli_ns = Wide{session.cpu_milli} * ns;
        amount.memory_byte_ns = static_cast<Wide>(session.memory_bytes) * ns;
        for (const auto& share : task.devices)
          amount.gpu_milli_ns += Wide{share.milli()} * ns;
        held_on[task.node.value] += amount;
        const bool is_new =
            seen_[period]
                .insert({session.id.value, session.attempt, rank})
                .second;
        const Node& node = *state.node(task.node);
        for (const auto& name : {key(state, session, node), std::string()}) {
          periods_[period][name].held += amount;
          periods_[period][name].tasks += is_new;
        }
      }
      return true;
    });
    for (const Node& node : state.nodes())
      if (!node.removed) nodes(node, period, ns, held_on[node.id.value]);
  }

  void nodes(const Node& node, std::size_t period, std::uint64_t ns,
             const Amount& held) {
    Amount free;
    free.cpu_milli_ns = Wide{node.cpu_milli} * ns;
    free.memory_byte_ns = static_cast<Wide>(node.memory_bytes) * ns;
    free.gpu_milli_ns = static_cast<Wide>(1000 * node.devices.size()) * ns;
    free -= held;
    std::vector<std::string> names = {""};
    if (by_ == UsageBy::group) names.push_back(node.group);
    if (by_ == UsageBy::node) names.push_back(node.name);
    for (const auto& name : names) {
      UsageRow& row = periods_[period][name];
      (node.lost ? row.lost : node.draining ? row.drained : row.idle) += free;
    }
  }

  UsageBy by_;
  const std::vector<Time>& borders_;
  std::vector<NaivePeriod> periods_;
  std::vector<std::set<std::tuple<std::uint64_t, std::uint32_t, std::uint32_t>>>
      seen_;
};

}  // namespace

std::vector<NaivePeriod> naive_usage(const cluster::testing::Cell& cell,
                                     UsageBy by,
                                     const std::vector<Time>& borders) {
  Recount recount(by, borders);
  State state;
  const std::uint64_t last = cell.state.last_sequence().value;
  for (std::uint64_t sequence = 1; sequence <= last; ++sequence) {
    const auto& event = cell.event(Sequence{sequence});
    recount.slice(state, state.last_time(), Time{event.time_at()});
    const Status applied = state.apply(event);
    REEVE_CHECK(applied.has_value(), applied.error().text);
  }
  recount.slice(state, state.last_time(), borders.back());
  return recount.take();
}

}  // namespace reeve::cluster::accounting::testing
