#include "tools/config/toml_text.hpp"

#include <fmt/format.h>

#include <sstream>
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

}  // namespace

Expected<TomlDocument> parse_toml(std::string_view text,
                                  std::string_view file) {
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

}  // namespace reeve::tools
