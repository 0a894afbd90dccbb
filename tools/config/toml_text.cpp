#include "tools/config/toml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <vector>

namespace {
struct ParserStumbled {};
[[noreturn]] void stumble() {
  throw ParserStumbled();
}
}  // namespace
// The parser of 3.3 asserts what a file can break: "[" alone does.
#define TOML_ASSERT(expr) (static_cast<bool>(expr) ? void() : stumble())
#undef NDEBUG  // which would put an assertion of its own in that one's place
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace reeve::tools {
namespace {

namespace json = boost::json;

template <class Value>
std::string streamed(const Value& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

class Converter {
 public:
  explicit Converter(TomlDocument& out) : out_(out) {}

  json::object table(const toml::table& table, const std::string& path) {
    json::object object;
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      const std::string inner = path.empty() ? name : path + '.' + name;
      out_.lines[inner] = node.source().begin.line;
      object[name] = value(node, inner);
    }
    return object;
  }

 private:
  json::value value(const toml::node& node, const std::string& path) {
    if (const auto* inner = node.as_table()) return table(*inner, path);
    if (const auto* items = node.as_array()) {
      json::array array;
      for (const auto& item : *items) array.push_back(value(item, path));
      return array;
    }
    if (const auto* text = node.as_string()) return json::value(text->get());
    if (const auto* whole = node.as_integer()) return json::value(whole->get());
    if (const auto* real = node.as_floating_point())
      return json::value(real->get());
    if (const auto* truth = node.as_boolean()) return json::value(truth->get());
    if (const auto* date = node.as_date())
      return json::value(streamed(date->get()));
    if (const auto* time = node.as_time())
      return json::value(streamed(time->get()));
    if (const auto* moment = node.as_date_time())
      return json::value(streamed(moment->get()));
    return nullptr;
  }

  TomlDocument& out_;
};

bool stumbles_over(std::string_view text) {
  try {
    (void)toml::parse(text);
    return false;
  } catch (const ParserStumbled&) {
    return true;
  }
}

// Counted from 1: all that begins with it stumbles, too.
std::size_t line_it_stumbles_over(std::string_view text) {
  std::vector<std::size_t> ends;
  for (std::size_t at = text.find('\n'); at != text.npos;
       at = text.find('\n', at + 1))
    ends.push_back(at);
  const auto line = std::partition_point(
      ends.begin(), ends.end(),
      [&](std::size_t end) { return !stumbles_over(text.substr(0, end + 1)); });
  return static_cast<std::size_t>(line - ends.begin()) + 1;
}

Expected<TomlDocument> parse(std::string_view text, std::string_view file) {
  const toml::parse_result result = toml::parse(text, file);
  if (!result) {
    const auto& error = result.error();
    return fail(Errc::usage,
                fmt::format("{}:{}:{}: {}", file, error.source().begin.line,
                            error.source().begin.column, error.description()));
  }
  TomlDocument out;
  out.root = Converter(out).table(result.table(), "");
  return out;
}

}  // namespace

Expected<TomlDocument> parse_toml(std::string_view text,
                                  std::string_view file) {
  try {
    return parse(text, file);
  } catch (const ParserStumbled&) {
    return fail(Errc::usage,
                fmt::format("{}:{}: this is no TOML: a name is missing or not "
                            "complete",
                            file, line_it_stumbles_over(text)));
  }
}

}  // namespace reeve::tools
