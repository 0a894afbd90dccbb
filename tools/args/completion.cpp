#include "tools/args/completion.hpp"

#include <fmt/format.h>

#include <vector>

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;
using Commands = std::span<const CommandSpec>;
using Options = std::span<const OptionSpec>;

string_view second_word(string_view path) {
  const auto space = path.find(' ');
  return space == string_view::npos ? string_view() : path.substr(space + 1);
}

// First words, each once.
std::vector<string_view> first_words(Commands commands) {
  std::vector<string_view> out;
  for (const auto& command : commands) {
    const string_view word = first_word(command.path);
    if (out.empty() || out.back() != word) out.push_back(word);
  }
  return out;
}

std::vector<string_view> words_below(Commands commands, string_view word) {
  std::vector<string_view> out;
  for (const auto& command : commands)
    if (first_word(command.path) == word && !second_word(command.path).empty())
      out.push_back(second_word(command.path));
  return out;
}

string option_words(Options options) {
  string out;
  for (const auto& option : options)
    out += fmt::format("{}{}", out.empty() ? "" : " ", option.name);
  return out;
}

string spaced(string_view choices) {
  string out(choices);
  for (char& c : out)
    if (c == '|') c = ' ';
  return out;
}

// What to run or list for a value, in the words of bash.
string bash_values(Complete complete, string_view choices) {
  if (!choices.empty())
    return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))",
                       spaced(choices));
  switch (complete) {
    case Complete::file: return "COMPREPLY=($(compgen -f -- \"$cur\"))";
    case Complete::directory: return "COMPREPLY=($(compgen -d -- \"$cur\"))";
    case Complete::session:
      return "COMPREPLY=($(compgen -W \"$(_reeve_ids)\" -- \"$cur\"))";
    case Complete::node:
      return "COMPREPLY=($(compgen -W \"$(_reeve_nodes)\" -- \"$cur\"))";
    case Complete::command: return "COMPREPLY=($(compgen -c -- \"$cur\"))";
    case Complete::nothing: return "COMPREPLY=()";
  }
  return "COMPREPLY=()";
}

constexpr string_view bash_head = R"bash(# bash completion for reeve
_reeve_ids() {
  reeve ps --all --json 2>/dev/null |
    grep -o '"session_id":"[^"]*"' | cut -d'"' -f4
}
_reeve_nodes() {
  reeve nodes --json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d'"' -f4
}
_reeve() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  local path=${COMP_WORDS[1]} i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    [ "${COMP_WORDS[i]}" = -- ] && {
      COMPREPLY=($(compgen -c -f -- "$cur")); return; }
  done
  if [ "$COMP_CWORD" -eq 1 ]; then
)bash";

void bash_command(string& out, const CommandSpec& command, Options common) {
  out += fmt::format("    \"{}\")\n      case $prev in\n", command.path);
  const auto values = [&](Options options) {
    for (const auto& option : options)
      if (!option.value.empty())
        out += fmt::format("        {}) {}; return ;;\n", option.name,
                           bash_values(option.complete, option.choices));
  };
  values(command.options);
  values(common);
  out += "      esac\n";
  out += fmt::format(
      "      if [[ $cur == -* ]]; then\n"
      "        COMPREPLY=($(compgen -W \"{} {}{}\" -- \"$cur\"))\n"
      "      else\n        {}\n      fi ;;\n",
      option_words(command.options), option_words(common),
      command.takes_command ? " --" : "",
      command.path == "completion"
          ? bash_values(Complete::nothing, "bash|zsh|fish")
          : bash_values(command.complete, ""));
}

string bash_script(Commands commands, Options common) {
  string out(bash_head);
  out += fmt::format(
      "    COMPREPLY=($(compgen -W \"{} help {}\" -- \"$cur\"))\n"
      "    return\n  fi\n  case $path in\n",
      fmt::join(first_words(commands), " "), option_words(common));
  for (const string_view word : first_words(commands)) {
    const auto below = words_below(commands, word);
    if (below.empty()) continue;
    out += fmt::format(
        "    {})\n      if [ \"$COMP_CWORD\" -eq 2 ] && [[ $cur != -* ]]; "
        "then\n"
        "        COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))\n"
        "        return\n      fi\n      case ${{COMP_WORDS[2]}} in\n"
        "        {}) path=\"$path ${{COMP_WORDS[2]}}\" ;;\n      esac ;;\n",
        word, fmt::join(below, " "), fmt::join(below, "|"));
  }
  out += "  esac\n  case $path in\n";
  for (const auto& command : commands) bash_command(out, command, common);
  out += "  esac\n}\ncomplete -o filenames -F _reeve reeve\n";
  return out;
}

string fish_quoted(string_view text) {
  string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

string fish_values(Complete complete, string_view choices) {
  if (!choices.empty()) return fmt::format(" -xa '{}'", spaced(choices));
  switch (complete) {
    case Complete::file: return " -rF";
    case Complete::directory: return " -xa '(__fish_complete_directories)'";
    case Complete::session: return " -xa '(__reeve_ids)'";
    case Complete::node: return " -xa '(__reeve_nodes)'";
    case Complete::command: return " -xa '(__fish_complete_command)'";
    case Complete::nothing: return " -x";
  }
  return " -x";
}

void fish_options(string& out, string_view condition, Options options) {
  for (const auto& option : options) {
    out += fmt::format("complete -c reeve{} -l {}", condition,
                       option.name.substr(2));
    if (option.letter != 0) out += fmt::format(" -s {}", option.letter);
    if (!option.value.empty())
      out += fish_values(option.complete, option.choices);
    out += fmt::format(" -d {}\n", fish_quoted(option.help));
  }
}

string fish_condition(const CommandSpec& command) {
  const string_view second = second_word(command.path);
  string out =
      fmt::format("__fish_seen_subcommand_from {}", first_word(command.path));
  if (!second.empty())
    out += fmt::format("; and __fish_seen_subcommand_from {}", second);
  return fmt::format(" -n '{}'", out);
}

string fish_script(Commands commands, Options common) {
  string out = R"fish(# fish completion for reeve
function __reeve_ids
  reeve ps --all --json 2>/dev/null |
    string match -rag '"session_id":"([^"]*)"'
end
function __reeve_nodes
  reeve nodes --json 2>/dev/null | string match -rag '"name":"([^"]*)"'
end
complete -c reeve -f
)fish";
  fish_options(out, "", common);
  for (const string_view word : first_words(commands)) {
    const CommandSpec* command = find_command(commands, word);
    out += fmt::format(
        "complete -c reeve -n __fish_use_subcommand -a {} -d {}\n", word,
        fish_quoted(command ? command->help : "several commands"));
    const auto below = words_below(commands, word);
    if (!below.empty())
      out += fmt::format(
          "complete -c reeve -n '__fish_seen_subcommand_from {}; and not "
          "__fish_seen_subcommand_from {}' -a '{}'\n",
          word, fmt::join(below, " "), fmt::join(below, " "));
  }
  for (const auto& command : commands) {
    fish_options(out, fish_condition(command), command.options);
    if (command.complete != Complete::nothing)
      out += fmt::format("complete -c reeve{}{}\n", fish_condition(command),
                         fish_values(command.complete, ""));
  }
  return out;
}

}  // namespace

// zsh reads bash's completions through its own bridge.
Expected<string> completion_script(string_view shell, Commands commands,
                                   Options common) {
  if (shell == "bash") return bash_script(commands, common);
  if (shell == "fish") return fish_script(commands, common);
  if (shell == "zsh")
    return "#compdef reeve\nautoload -U +X bashcompinit && bashcompinit\n" +
           bash_script(commands, common);
  return fail(Errc::usage, fmt::format("there is no completion for \"{}\"; "
                                       "there is for bash, zsh and fish",
                                       shell));
}

}  // namespace reeve::tools
