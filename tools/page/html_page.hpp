// Pages in one file: style, script and data inside, nothing fetched. A content
// security policy names the hash of the one script, so no other can run.
#pragma once

#include <string>
#include <string_view>

namespace reeve::tools {

// `<`, `>`, `&` and quotes as entities: text that stays text in HTML.
std::string html_escaped(std::string_view text);

struct PageParts {
  std::string title;        // any text
  std::string_view style;   // after the common one
  std::string_view body;    // markup of our own
  std::string_view script;  // after the common one, in one module
  std::string data;         // PageData::packed
};

std::string html_page(const PageParts& parts);

}  // namespace reeve::tools
