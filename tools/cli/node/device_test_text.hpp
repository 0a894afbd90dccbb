// Tests of GPUs, for people. Pure.
#pragma once

#include <string>
#include <string_view>

#include "schema/query_generated.h"
#include "tools/args/output.hpp"

namespace reeve::tools {

Tone tone_of(schema::DeviceVerdict verdict);

// "3.17 TB/s (94 %)", with what the model can; empty: it was not measured.
std::string figure_text(const schema::DeviceTest& test, std::string_view name);

}  // namespace reeve::tools
