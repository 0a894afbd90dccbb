// Sums of what was held and what was not, by owner or place and by period.
// docs/usage-and-timeline.md defines each figure.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/accounting/window.hpp"

namespace reeve::cluster::accounting {

enum class UsageBy { user, project, group, node };

struct UsageRow {
  std::string key;
  std::uint64_t tasks = 0;  // that held something in the period
  Amount held;
  // Offered, or withheld by the node's state, and held by nobody. Of groups
  // and nodes, and of the total.
  Amount idle;
  Amount drained;
  Amount lost;

  Amount capacity() const { return held + idle + drained + lost; }
};

struct UsagePeriod {
  Time from;
  Time to;
  std::vector<UsageRow> rows;  // by key
  UsageRow total;
};

class Usage final : public WindowSink {
 public:
  using Tell = std::function<void(const UsagePeriod&)>;
  // Periods are told in order, each when it is over; memory holds one.
  Usage(UsageBy by, Tell tell) : by_(by), tell_(std::move(tell)) {}

  void held(const Holding& holding) override;
  void node_was(const NodeSpan& span) override;
  void period_ended(Time from, Time to) override;

 private:
  UsageRow& row(std::string_view key);
  UsageBy by_;
  Tell tell_;
  std::map<std::string, UsageRow, std::less<>> rows_;
  std::vector<std::string> node_names_;                    // known ones
  std::vector<std::pair<std::uint64_t, Amount>> by_node_;  // tasks, held
  UsageRow total_;
  Amount held_on_nodes_;
};

}  // namespace reeve::cluster::accounting
