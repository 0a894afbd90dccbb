#include "tools/member/host_files.hpp"

#include <fmt/format.h>

namespace reeve::tools {
namespace {

constexpr std::string_view sample_data = "/var/lib/reeve";

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// The line, as it is to be for this host; nothing: it goes.
std::string line_for(std::string_view line, const std::filesystem::path& data,
                     const std::filesystem::path& reeved) {
  if (line.starts_with("Environment=REEVE_DATA="))
    return fmt::format("Environment=\"REEVE_DATA={}\"\n", data.string());
  if (line.starts_with("ExecStart="))
    return fmt::format("ExecStart=\"{}\" --data ${{REEVE_DATA}}\n",
                       reeved.string());
  // systemd makes the directory below /var/lib; another is there already.
  if (line.starts_with("StateDirectory") && data != sample_data) return {};
  return std::string(line) + '\n';
}

std::string manager_settings(const JoinedHost& host) {
  std::string text = fmt::format(
      "port = {}\n\n[bus]\ncluster_port = {}\n\n[manager]\nname = {}\n",
      host.port, host.cluster_port, in_quotes(host.name));
  if (host.joined_by != 0)
    text += fmt::format("joined_by = {}\n", host.joined_by);
  text += "\n[manager.members]\n";
  for (const auto& [name, address] : host.members)
    text += fmt::format("{} = {}\n", in_quotes(name), in_quotes(address));
  return text;
}

}  // namespace

std::string joined_settings(const JoinedHost& host) {
  const bool agent = host.role == Config::Role::agent;
  const char* role = agent ? "agent" : "user";
  if (host.role == Config::Role::cell) role = "cell";
  const std::string undo =
      host.role == Config::Role::cell
          ? fmt::format(
                "# \"reeve members remove {}\" on another manager takes "
                "it out of the cell.\n",
                host.name)
          : "# \"reeve leave\" takes it away.\n";
  std::string text = fmt::format(
      "# Written by \"reeve join\". \"reeve config check\" explains it.\n"
      "{}"
      "role = {}\n"
      "cell = {}\n",
      undo, in_quotes(role), in_quotes(host.cell));
  if (host.role == Config::Role::cell) return text + manager_settings(host);
  if (!agent) return text;
  text += fmt::format("\n[agent]\nname = {}\n", in_quotes(host.name));
  if (!host.group.empty())
    text += fmt::format("group = {}\n", in_quotes(host.group));
  if (!host.labels.empty()) text += "\n[agent.labels]\n";
  for (const auto& [key, value] : host.labels)
    text += fmt::format("{} = {}\n", in_quotes(key), in_quotes(value));
  return text;
}

std::string unit_text(const std::filesystem::path& data,
                      const std::filesystem::path& reeved) {
  std::string out;
  std::string_view rest = sample_unit;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    out += line_for(rest.substr(0, end), data, reeved);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

}  // namespace reeve::tools
