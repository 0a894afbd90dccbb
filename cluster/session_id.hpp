// Session ids as people read and write them: "s-12".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/types.hpp"

namespace reeve {

std::string to_text(SessionId id);
// "s-12, s-13".
std::string to_text(const std::vector<SessionId>& ids);

// "s-12", "S-12" and "12"; ids start at 1.
Expected<SessionId> parse_session_id(std::string_view text);

}  // namespace reeve
