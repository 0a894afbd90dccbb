// Days and months of this machine's zone, with its changes of the clock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/types.hpp"

namespace reeve::tools {

enum class Per { all, day, month };

// How many periods one answer may have.
inline constexpr std::size_t periods_max = 100'000;

// `from`, each first moment of a day or month after it, `to`. Errc::usage
// when there are more than periods_max periods.
Expected<std::vector<Time>> borders(Per per, Time from, Time to);

// "2026-11-20", "2026-11"; empty for Per::all.
std::string period_name(Per per, Time from);

}  // namespace reeve::tools
