// For tests: usage counted another way. Between any two moments at which
// something happens, every task of the whole state is looked at.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cluster/accounting/usage.hpp"
#include "cluster/testing.hpp"

namespace reeve::cluster::accounting::testing {

// Rows of each period, and the total under "".
using NaivePeriod = std::map<std::string, UsageRow>;
std::vector<NaivePeriod> naive_usage(const cluster::testing::Cell& cell,
                                     UsageBy by,
                                     const std::vector<Time>& borders);

}  // namespace reeve::cluster::accounting::testing
