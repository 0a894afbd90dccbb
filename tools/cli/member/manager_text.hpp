// The managers of a cell, as their leader or one that stands by has heard of
// them.
#pragma once

#include <string>

#include "schema/query_generated.h"

namespace reeve::tools {

// "leading", "following", "silent for 12 s", "not heard".
std::string manager_state(const schema::ManagerView& manager);
// It was never heard by who tells it, or is silent.
bool is_missing(const schema::ManagerView& manager);

// "2 of 3 managers are needed for each commit, so 1 may fail", and of an even
// number what would be better.
std::string majority_sentence(std::size_t managers);

// "2026-11-26 14:10:33  m1 set ... aside"; empty: nothing was healed.
std::string manager_healing(const schema::ManagerView& manager);

std::string manager_json(const schema::ManagerView& manager);

}  // namespace reeve::tools
