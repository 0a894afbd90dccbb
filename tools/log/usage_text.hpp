// Sums of usage as a table for people, as CSV and as JSON. Only the hours are
// rounded; the exact integers stand beside them.
#pragma once

#include <memory>
#include <string>

#include "cluster/accounting/usage.hpp"
#include "cluster/error.hpp"
#include "tools/args/output.hpp"
#include "tools/log/calendar.hpp"

namespace reeve::tools {

struct UsageShape {
  cluster::accounting::UsageBy by = cluster::accounting::UsageBy::user;
  Per per = Per::all;
  Time from;
  Time to;
};

std::string_view name_of(cluster::accounting::UsageBy by);

// Rows of one answer, of all periods together.
inline constexpr std::size_t usage_rows_max = 2'000'000;

// Counts them. Beyond the bound nothing more is to be kept.
class UsageRows {
 public:
  bool take(std::size_t count) {
    count_ += count;
    return count_ <= usage_rows_max;
  }
  // Errc::usage, with what to do, when there were too many.
  Status within() const;

 private:
  std::size_t count_ = 0;
};

// Gets the periods in order; each text may be printed as it comes.
class UsageWriter {
 public:
  virtual ~UsageWriter() = default;
  virtual std::string begin() { return {}; }
  virtual std::string add(const cluster::accounting::UsagePeriod& period) = 0;
  virtual std::string end() { return {}; }
};

std::unique_ptr<UsageWriter> usage_csv(const UsageShape& shape);
std::unique_ptr<UsageWriter> usage_json(const UsageShape& shape);
std::unique_ptr<UsageWriter> usage_table(const UsageShape& shape,
                                         const Terminal& terminal);

}  // namespace reeve::tools
