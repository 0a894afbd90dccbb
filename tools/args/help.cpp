#include <fmt/format.h>

#include <algorithm>

#include "tools/args/arguments.hpp"
#include "tools/args/output.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

constexpr std::size_t help_column = 30;
// In a terminal that would have more room left of the help than for it.
constexpr std::size_t help_column_narrow = 6;

string option_line(const OptionSpec& option, std::size_t width) {
  const bool narrow = width != 0 && width < 2 * help_column;
  const std::size_t column = narrow ? help_column_narrow : help_column;
  string left = "  ";
  if (option.letter != 0) left += fmt::format("-{}, ", option.letter);
  left += option.name;
  if (!option.value.empty()) left += fmt::format(" {}", option.value);
  if (left.size() + 2 > column)
    left += '\n' + string(column, ' ');
  else
    left.resize(column, ' ');
  return wrapped(fmt::format("{}{}\n", left, option.help), width, column);
}

// Commands that begin with the words of this one: "members remove".
string below(std::span<const CommandSpec> commands, string_view path,
             std::size_t width) {
  string out;
  for (const auto& command : commands)
    if (command.path.starts_with(fmt::format("{} ", path)))
      out += wrapped(fmt::format("  {}  {}\n", command.path, command.help),
                     width, 4);
  return out.empty() ? out : "\ncommands:\n" + out;
}

string one_command(const CommandSpec& command,
                   std::span<const CommandSpec> commands,
                   std::span<const OptionSpec> common, std::size_t width) {
  string out = wrapped(
      fmt::format("{}\n\nusage: reeve {}{}{}{}\n", command.help, command.path,
                  command.options.empty() ? "" : " [OPTIONS]",
                  command.usage.empty() ? "" : " ", command.usage),
      width, 2);
  if (!command.options.empty()) out += "\noptions:\n";
  for (const auto& option : command.options) out += option_line(option, width);
  out += below(commands, command.path, width);
  out += "\ncommon options:\n";
  for (const auto& option : common) out += option_line(option, width);
  if (!command.examples.empty()) out += "\nexamples:\n";
  for (const auto example : command.examples)
    out += wrapped(fmt::format("  {}\n", example), width, 4);
  return out;
}

string overview(std::span<const CommandSpec> commands,
                std::span<const OptionSpec> common, string_view topic,
                std::size_t width) {
  string out;
  string_view group;
  const auto is_shown = [&](const CommandSpec& command) {
    return topic.empty() ||
           command.path.substr(0, command.path.find(' ')) == topic;
  };
  std::size_t column = 0;
  for (const auto& command : commands)
    if (is_shown(command)) column = std::max(column, command.path.size() + 2);
  for (const auto& command : commands) {
    if (!is_shown(command)) continue;
    if (command.group != group) {
      group = command.group;
      out += fmt::format("\n{}\n", group);
    }
    out +=
        wrapped(fmt::format("  {:{}}{}\n", command.path, column, command.help),
                width, column + 2);
  }
  if (out.empty()) return out;
  string head = topic.empty()
                    ? "Reeve runs GPU clusters.\n\n"
                      "usage: reeve COMMAND [OPTIONS]\n"
                    : fmt::format("usage: reeve {} COMMAND [OPTIONS]\n", topic);
  out += "\ncommon options:\n";
  for (const auto& option : common) out += option_line(option, width);
  out += wrapped("\n\"reeve COMMAND --help\" shows options and examples.\n",
                 width, 0);
  return wrapped(head, width, 2) + out;
}

}  // namespace

string help_text(std::span<const CommandSpec> commands,
                 std::span<const OptionSpec> common, string_view topic,
                 std::size_t width) {
  const CommandSpec* command = find_command(commands, topic);
  if (command != nullptr) return one_command(*command, commands, common, width);
  return overview(commands, common, topic, width);
}

}  // namespace reeve::tools
