// TOML read into Boost.JSON values, so that one kind of tree serves both file
// forms. The only place that includes the TOML library.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <string>
#include <string_view>

#include "cluster/error.hpp"

namespace reeve::tools {

struct TomlDocument {
  boost::json::object root;
  // The line of each key by its dotted path: "agent.cpus".
  std::map<std::string, std::size_t, std::less<>> lines;
};

// Dates become text. Errors tell line and column in `file`.
Expected<TomlDocument> parse_toml(std::string_view text, std::string_view file);

}  // namespace reeve::tools
