#include "tools/page/html_page.hpp"

#include <sodium.h>

#include <array>

#include "cluster/check.hpp"
#include "tools/page/base64.hpp"
#include "tools/page/page_assets.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

string sha256_base64(string_view text) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(),
                     reinterpret_cast<const unsigned char*>(text.data()),
                     text.size());
  return base64(std::as_bytes(std::span(hash)));
}

}  // namespace

string html_escaped(string_view text) {
  string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

string html_page(const PageParts& parts) {
  const string style = string(page_style).append(parts.style);
  const string script = string(page_script).append(parts.script);
  const struct {
    string_view mark;
    string value;
  } values[] = {{"@title@", html_escaped(parts.title)},
                {"@style_hash@", sha256_base64(style)},
                {"@script_hash@", sha256_base64(script)},
                {"@style@", style},
                {"@script@", script},
                {"@body@", string(parts.body)},
                {"@data@", parts.data}};
  string out;
  string_view rest = page_frame;
  while (!rest.empty()) {
    const std::size_t at = std::min(rest.find('@'), rest.size());
    out += rest.substr(0, at);
    rest.remove_prefix(at);
    if (rest.empty()) break;
    bool known = false;
    for (const auto& [mark, value] : values) {
      if (!rest.starts_with(mark)) continue;
      out += value;
      rest.remove_prefix(mark.size());
      known = true;
      break;
    }
    REEVE_CHECK(known, "the frame of the page has a mark without a value");
  }
  return out;
}

}  // namespace reeve::tools
