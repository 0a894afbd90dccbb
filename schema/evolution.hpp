// Whether data written under one schema is still read right under a later
// one: what `flatc --conform` sees, and what it misses (removals at the end,
// enum values, union members, struct growth, required, renames, identifiers).
#pragma once

#include <flatbuffers/reflection.h>

#include <string>
#include <vector>

namespace reeve::schema::testing {

// One sentence per breach; empty if `now` may read what `before` wrote.
std::vector<std::string> breaches(const reflection::Schema& before,
                                  const reflection::Schema& now);

}  // namespace reeve::schema::testing
