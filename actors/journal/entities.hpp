// What the index of the log knows events by. Pure.
#pragma once

#include "store/index.hpp"

namespace reeve::journal {

inline constexpr char session_entity = 's';
inline constexpr char node_entity = 'n';

// The session that an event of the log is about, or the node.
void find_entities(std::span<const std::byte> event,
                   std::vector<store::Entity>& to);

}  // namespace reeve::journal
