#include "tools/member/kept_keys.hpp"

#include <fmt/format.h>

#include <string>
#include <system_error>

#include "bus/credentials.hpp"

namespace reeve::tools {
namespace {

namespace fs = std::filesystem;

// What can be looked at; what cannot is told by who reads it.
bool is_gone(const fs::path& file) {
  std::error_code unread;
  return !fs::exists(file, unread) && !unread;
}

Error missing(const std::string& what, const fs::path& key,
              const fs::path& data, const std::string& ask) {
  return {Errc::not_found,
          fmt::format("{} has the settings of {}, and not {}, by which it is "
                      "one. To join again {}, move cell.toml away, which has "
                      "what you set here, and run \"reeve join TOKEN "
                      "--data {}\"",
                      data.string(), what, key.string(), ask, data.string())};
}

Status check_node(const Config& config, const fs::path& data) {
  const fs::path key = bus::agent_credentials_path(data);
  if (!is_gone(key)) return {};
  const std::string& name = config.agent.name;
  const std::string ask =
      name.empty() ? std::string(
                         "have an admin make a token (reeve token "
                         "create --role agent)")
                   : fmt::format(
                         "have an admin take out what it was (reeve "
                         "node remove {0}, reeve node resume {0}) and "
                         "make a token (reeve token create --role "
                         "agent --name {0})",
                         name);
  return tl::unexpected(missing(
      fmt::format("a node of the cell {}", config.cell), key, data, ask));
}

// Without it a bus server would make another, which the others do not trust.
Status check_manager(const Config& config, const fs::path& data) {
  const fs::path key = data / "bus" / "ca.pem";
  if (!is_gone(key)) return {};
  const std::string& name = config.manager.name;
  return tl::unexpected(missing(
      fmt::format("the manager {} of the cell {}", name, config.cell), key,
      data,
      fmt::format("take it out on another manager's host (reeve members remove "
                  "{0}) and make a token there (reeve token create --role "
                  "manager --name {0})",
                  name)));
}

}  // namespace

Status check_kept_keys(const Config& config, const fs::path& data) {
  if (config.role == Config::Role::agent) return check_node(config, data);
  if (config.role == Config::Role::cell && config.manager.joined_by != 0)
    return check_manager(config, data);
  return {};
}

}  // namespace reeve::tools
