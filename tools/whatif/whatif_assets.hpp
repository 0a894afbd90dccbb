// What the page of a comparison is made of; defined from web/whatif/ at build
// time.
#pragma once

#include <string_view>

namespace reeve::tools {

extern const std::string_view whatif_body;    // body.html
extern const std::string_view whatif_style;   // whatif.css
extern const std::string_view whatif_script;  // chart.js, ...

}  // namespace reeve::tools
