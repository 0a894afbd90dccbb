// Which program speaks: its version, for people, and its protocol, which says
// whom it understands. The protocol's number grows with a release after which
// an older program could take a message in another sense than it was meant, or
// would miss one that it needs. New fields and kinds of messages that an older
// program may pass over are no reason. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schema/types_generated.h"

namespace reeve::cluster {

using schema::Protocol;

// What this program speaks, and the oldest that it understands: that of the
// release before. Programs of protocol 1 do not tell theirs.
inline constexpr std::uint32_t protocol_number = 2;
inline constexpr std::uint32_t protocol_oldest = 1;

// The rule by which a program that is not understood is refused.
inline constexpr const char* protocol_rule = "protocol";

// Of a version that a program tells of itself: letters, digits and ".+~-".
inline constexpr std::size_t version_bytes_max = 64;
bool valid_version(std::string_view version);

struct Program {
  std::string version;
  Protocol protocol{protocol_number, protocol_oldest};
};

// As a message told it; null: it is of protocol 1.
inline Protocol protocol_of(const Protocol* told) {
  return told ? *told : Protocol{1, 1};
}

// Whether each understands what the other speaks.
bool understand(const Protocol& one, const Protocol& other);

// "n1 (reeve 0.1.0)"; without a version the name alone.
std::string with_version(std::string_view name, std::string_view version);

// Why the managers of a cell and another program cannot work together, and
// which of them is to be upgraded; nothing: they can. `who` says whose program
// the other one is, `version` may be empty.
std::optional<std::string> why_apart(const Program& cell, std::string_view who,
                                     std::string_view version,
                                     const Protocol& other);

}  // namespace reeve::cluster
