// The command line as data: one table of commands and options gives parsing,
// help, suggestions and completion. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::tools {

// What a value may be, for completion.
enum class Complete { nothing, file, directory, session, node, command };

struct OptionSpec {
  std::string_view name;   // "--cpus"
  std::string_view value;  // "N"; empty for a switch
  std::string_view help;
  char letter = 0;  // "-f"
  bool repeats = false;
  Complete complete = Complete::nothing;
  // "a|b|c": the values there are; anything when empty.
  std::string_view choices = {};
};

struct CommandSpec {
  std::string_view path;   // "node drain"
  std::string_view group;  // the heading in the overview
  std::string_view usage;  // what follows the options: "NODE"
  std::string_view help;   // one line
  std::span<const OptionSpec> options;
  std::span<const std::string_view> examples;
  int words_min = 0;
  int words_max = 0;  // -1: any number
  Complete complete = Complete::nothing;
  // What stands after "--" is a command of the user's.
  bool takes_command = false;
  // The second program, beside this one, that carries it out.
  bool log_tool = false;
};

class Arguments {
 public:
  const CommandSpec* command = nullptr;
  std::vector<std::string> words;
  std::vector<std::string> rest;  // after "--"

  bool has(std::string_view option) const;
  // The last value given, or an empty text.
  std::string_view text(std::string_view option) const;
  std::optional<std::string_view> find(std::string_view option) const;
  std::vector<std::string> all(std::string_view option) const;

  void set(const OptionSpec& option, std::string value);

 private:
  void check_known(std::string_view option) const;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// What a person asked for.
struct Invocation {
  enum class Kind { run, help, version };
  Kind kind = Kind::run;
  Arguments arguments;
  // Of `help`: the command or the first word of several; empty: all.
  std::string topic;
};

// Options come before or after words, as "--name value" or "--name=value",
// letters as "-f"; "--" ends them. An error says what is wrong, the nearest
// known word, and where to read more.
Expected<Invocation> parse_arguments(std::span<const CommandSpec> commands,
                                     std::span<const OptionSpec> common,
                                     std::span<const std::string> words);

// No line is wider than `width` (0: as wide as it comes).
std::string help_text(std::span<const CommandSpec> commands,
                      std::span<const OptionSpec> common,
                      std::string_view topic, std::size_t width = 0);

// The first word of a command's path.
std::string_view first_word(std::string_view path);
const CommandSpec* find_command(std::span<const CommandSpec> commands,
                                std::string_view path);

}  // namespace reeve::tools
