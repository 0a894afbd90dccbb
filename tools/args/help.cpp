#include <fmt/format.h>

#include <algorithm>

#include "tools/args/arguments.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

constexpr std::size_t help_column = 30;

string option_line(const OptionSpec& option) {
  string left = "  ";
  if (option.letter != 0) left += fmt::format("-{}, ", option.letter);
  left += option.name;
  if (!option.value.empty()) left += fmt::format(" {}", option.value);
  if (left.size() + 2 > help_column)
    return fmt::format("{}\n{:{}}{}\n", left, "", help_column, option.help);
  return fmt::format("{:{}}{}\n", left, help_column, option.help);
}

// Commands that begin with the words of this one: "members remove".
string below(std::span<const CommandSpec> commands, string_view path) {
  string out;
  for (const auto& command : commands)
    if (command.path.starts_with(fmt::format("{} ", path)))
      out += fmt::format("  {}  {}\n", command.path, command.help);
  return out.empty() ? out : "\ncommands:\n" + out;
}

string one_command(const CommandSpec& command,
                   std::span<const CommandSpec> commands,
                   std::span<const OptionSpec> common) {
  string out =
      fmt::format("{}\n\nusage: reeve {}{}{}{}\n", command.help, command.path,
                  command.options.empty() ? "" : " [OPTIONS]",
                  command.usage.empty() ? "" : " ", command.usage);
  if (!command.options.empty()) out += "\noptions:\n";
  for (const auto& option : command.options) out += option_line(option);
  out += below(commands, command.path);
  out += "\ncommon options:\n";
  for (const auto& option : common) out += option_line(option);
  if (!command.examples.empty()) out += "\nexamples:\n";
  for (const auto example : command.examples)
    out += fmt::format("  {}\n", example);
  return out;
}

string overview(std::span<const CommandSpec> commands,
                std::span<const OptionSpec> common, string_view topic) {
  string out;
  string_view group;
  const auto is_shown = [&](const CommandSpec& command) {
    return topic.empty() ||
           command.path.substr(0, command.path.find(' ')) == topic;
  };
  std::size_t width = 0;
  for (const auto& command : commands)
    if (is_shown(command)) width = std::max(width, command.path.size() + 2);
  for (const auto& command : commands) {
    if (!is_shown(command)) continue;
    if (command.group != group) {
      group = command.group;
      out += fmt::format("\n{}\n", group);
    }
    out += fmt::format("  {:{}}{}\n", command.path, width, command.help);
  }
  if (out.empty()) return out;
  string head = topic.empty()
                    ? "Reeve runs GPU clusters.\n\n"
                      "usage: reeve COMMAND [OPTIONS]\n"
                    : fmt::format("usage: reeve {} COMMAND [OPTIONS]\n", topic);
  out += "\ncommon options:\n";
  for (const auto& option : common) out += option_line(option);
  out += "\n\"reeve COMMAND --help\" shows options and examples.\n";
  return head + out;
}

}  // namespace

string help_text(std::span<const CommandSpec> commands,
                 std::span<const OptionSpec> common, string_view topic) {
  const CommandSpec* command = find_command(commands, topic);
  if (command != nullptr) return one_command(*command, commands, common);
  return overview(commands, common, topic);
}

}  // namespace reeve::tools
