#include "cluster/program.hpp"

#include <fmt/format.h>

namespace reeve::cluster {
namespace {

// "protocol 2", "protocols 1 to 2".
std::string range_of(const Protocol& protocol) {
  if (protocol.oldest() >= protocol.number())
    return fmt::format("protocol {}", protocol.number());
  return fmt::format("protocols {} to {}", protocol.oldest(),
                     protocol.number());
}

}  // namespace

bool valid_version(std::string_view version) {
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+~-";
  return version.size() <= version_bytes_max &&
         version.find_first_not_of(letters) == std::string_view::npos;
}

bool understand(const Protocol& one, const Protocol& other) {
  return one.number() >= other.oldest() && other.number() >= one.oldest();
}

std::string with_version(std::string_view name, std::string_view version) {
  return version.empty() ? std::string(name)
                         : fmt::format("{} (reeve {})", name, version);
}

std::optional<std::string> why_apart(const Program& cell, std::string_view who,
                                     std::string_view version,
                                     const Protocol& other) {
  if (understand(cell.protocol, other)) return std::nullopt;
  const std::string managers = with_version("the managers", cell.version);
  const std::string theirs = cell.version.empty()
                                 ? std::string("the version of the managers")
                                 : "reeve " + cell.version;
  if (other.number() < cell.protocol.oldest())
    return fmt::format(
        "{} speaks protocol {}, which is too old: {} of this cell understand "
        "{}. Install {} where it runs",
        with_version(who, version), other.number(), managers,
        range_of(cell.protocol), theirs);
  return fmt::format(
      "{} understands {}, which is too new: {} of this cell speak protocol {}. "
      "Upgrade the managers first, or install {} where it runs",
      with_version(who, version), range_of(other), managers,
      cell.protocol.number(), theirs);
}

}  // namespace reeve::cluster
