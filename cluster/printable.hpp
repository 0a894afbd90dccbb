// Text of others on its way to a terminal or a line. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace reeve {

// Where the first control character begins; npos: there is none. They are those
// of ASCII and those from U+0080 to U+009F, which terminals take as well, also
// where they stand as single bytes that are no UTF-8.
std::size_t find_control(std::string_view text);

// `text` with a space for each control character: what would begin a line,
// move the cursor or colour the rest is part of the line it stands in.
std::string printable(std::string_view text);

}  // namespace reeve
