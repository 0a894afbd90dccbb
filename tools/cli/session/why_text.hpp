// Why a session waits, or what would become of one, for people. Pure.
#pragma once

#include <string>

#include "schema/query_generated.h"
#include "tools/args/output.hpp"

namespace reeve::tools {

std::string why_text(const schema::WhyAnswer& why, const Terminal& terminal);

std::string dry_run_text(const schema::DryRunAnswer& run,
                         const Terminal& terminal, std::uint64_t now_at);

}  // namespace reeve::tools
