// What every page is made of; defined from web/common/ at build time.
#pragma once

#include <string_view>

namespace reeve::tools {

extern const std::string_view page_frame;   // page.html
extern const std::string_view page_style;   // page.css
extern const std::string_view page_script;  // data.js, format.js, ...

}  // namespace reeve::tools
