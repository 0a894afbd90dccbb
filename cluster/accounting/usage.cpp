#include "cluster/accounting/usage.hpp"

#include <fmt/format.h>

#include "cluster/check.hpp"

namespace reeve::cluster::accounting {
namespace {

Amount amount_of(const Holding& holding) {
  const Rate rate{holding.cpu_milli, holding.memory_bytes, holding.gpu_milli()};
  return over(rate, holding.to.value - holding.from.value);
}

Amount& part(UsageRow& row, NodePhase phase) {
  switch (phase) {
    case NodePhase::drained: return row.drained;
    case NodePhase::lost: return row.lost;
    case NodePhase::up: break;
  }
  return row.idle;
}

}  // namespace

UsageRow& Usage::row(std::string_view key) {
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    found = rows_.emplace(std::string(key), UsageRow()).first;
    found->second.key = key;
  }
  return found->second;
}

void Usage::held(const Holding& holding) {
  const Amount amount = amount_of(holding);
  ++total_.tasks;
  total_.held += amount;
  if (by_ == UsageBy::node) {
    // The name comes with the node's span, at the end of the period at last.
    if (by_node_.size() <= holding.node.value)
      by_node_.resize(holding.node.value + 1);
    ++by_node_[holding.node.value].first;
    by_node_[holding.node.value].second += amount;
    return;
  }
  UsageRow& mine = row(by_ == UsageBy::user      ? holding.user
                       : by_ == UsageBy::project ? holding.project
                                                 : holding.group);
  ++mine.tasks;
  mine.held += amount;
}

void Usage::node_was(const NodeSpan& span) {
  const Amount free =
      over(span.capacity, span.to.value - span.from.value) - span.held;
  part(total_, span.phase) += free;
  held_on_nodes_ += span.held;
  if (by_ == UsageBy::group) part(row(span.group), span.phase) += free;
  if (by_ != UsageBy::node) return;
  part(row(span.name), span.phase) += free;
  if (node_names_.size() <= span.node.value)
    node_names_.resize(span.node.value + 1);
  node_names_[span.node.value] = span.name;
}

void Usage::period_ended(Time from, Time to) {
  for (std::size_t node = 0; node < by_node_.size(); ++node) {
    if (by_node_[node].first == 0) continue;
    UsageRow& mine = row(node_names_[node]);
    mine.tasks += by_node_[node].first;
    mine.held += by_node_[node].second;
  }
  // Owners and places count the same holdings in two ways.
  REEVE_CHECK(total_.held == held_on_nodes_,
              fmt::format("sessions held {} thousandths of a CPU times ns, "
                          "nodes gave {}",
                          to_text(total_.held.cpu_milli_ns),
                          to_text(held_on_nodes_.cpu_milli_ns)));
  UsagePeriod period{from, to, {}, std::exchange(total_, {})};
  for (auto& [key, one] : rows_) period.rows.push_back(std::move(one));
  rows_.clear();
  by_node_.clear();
  held_on_nodes_ = {};
  tell_(period);
}

}  // namespace reeve::cluster::accounting
