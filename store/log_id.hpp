// A log's id as text: 32 hexadecimal digits, lower case.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/head_mark.hpp"

namespace reeve::store {

std::string text_of(const LogId& id);
// Nothing unless `text` is what `text_of` makes of an id.
std::optional<LogId> parse_log_id(std::string_view text);

}  // namespace reeve::store
