// Shared by the files of State::apply.
#pragma once

#include <string_view>

#include "cluster/error.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

// The event cannot follow from those before it: the log is damaged.
[[gnu::cold]] Status contradiction(const schema::Event& event,
                                   std::string_view what);

}  // namespace reeve::cluster
