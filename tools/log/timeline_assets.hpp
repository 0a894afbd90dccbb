// The timeline's page; defined from web/timeline/ at build time.
#pragma once

#include <string_view>

namespace reeve::tools {

extern const std::string_view timeline_body;
extern const std::string_view timeline_style;
extern const std::string_view timeline_script;

}  // namespace reeve::tools
