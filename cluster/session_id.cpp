#include "cluster/session_id.hpp"

#include <fmt/format.h>

#include <charconv>

namespace reeve {

std::string to_text(SessionId id) {
  return fmt::format("s-{}", id.value);
}

std::string to_text(const std::vector<SessionId>& ids) {
  std::string out;
  for (const SessionId id : ids) out += (out.empty() ? "" : ", ") + to_text(id);
  return out;
}

Expected<SessionId> parse_session_id(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with("s-") || digits.starts_with("S-"))
    digits.remove_prefix(2);
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto taken = std::from_chars(digits.data(), end, value);
  if (taken.ec != std::errc{} || taken.ptr != end || value == 0)
    return fail(Errc::usage,
                fmt::format("\"{}\" is no session id; ids look like s-12 "
                            "(\"reeve ps --all\" lists them)",
                            text));
  return SessionId{value};
}

}  // namespace reeve
