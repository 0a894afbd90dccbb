#include "tools/args/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/check.hpp"
#include "cluster/nearest.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

string suggestion(string_view word, std::span<const string_view> known) {
  const string_view near = nearest(word, known);
  return near.empty() ? string() : fmt::format("; did you mean \"{}\"?", near);
}

tl::unexpected<Error> refuse(string what, string_view path) {
  return fail(Errc::usage, fmt::format("{} (see \"reeve {}{}--help\")", what,
                                       path, path.empty() ? "" : " "));
}

// The words of a path that `words` begin with.
std::size_t matched_words(string_view path, std::span<const string> words) {
  std::size_t count = 0;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find(' '), path.size());
    if (count == words.size() || words[count] != path.substr(0, end)) return 0;
    ++count;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return count;
}

class Parser {
 public:
  Parser(std::span<const CommandSpec> commands,
         std::span<const OptionSpec> common, std::span<const string> words)
      : commands_(commands), common_(common), words_(words) {}

  Expected<Invocation> parse() {
    if (auto good = leading_options(); !good)
      return tl::unexpected(good.error());
    if (out_.kind == Invocation::Kind::version) return std::move(out_);
    if (at_ < words_.size() && words_[at_] == "help") return topic();
    if (at_ == words_.size()) {
      out_.kind = Invocation::Kind::help;
      return std::move(out_);
    }
    if (auto good = choose_command(); !good) {
      if (out_.kind == Invocation::Kind::help) return std::move(out_);
      return tl::unexpected(good.error());
    }
    for (const auto& [option, value] : early_)
      out_.arguments.set(*option, value);
    while (at_ < words_.size()) {
      if (auto good = next(); !good) return tl::unexpected(good.error());
      if (out_.kind == Invocation::Kind::help) return std::move(out_);
    }
    if (auto good = check_counts(); !good) return tl::unexpected(good.error());
    return std::move(out_);
  }

 private:
  // Options that stand before the command: the common ones only.
  Status leading_options() {
    while (at_ < words_.size() && words_[at_].starts_with('-')) {
      const string& word = words_[at_];
      if (word == "--version") {
        out_.kind = Invocation::Kind::version;
        return {};
      }
      if (word == "--help" || word == "-h") {
        out_.kind = Invocation::Kind::help;
        at_ = words_.size();
        return {};
      }
      auto taken = take_option(common_, {}, "");
      if (!taken) return tl::unexpected(taken.error());
      early_.emplace_back(taken->first, taken->second);
    }
    return {};
  }

  // Common options may stand beside its words, and change nothing.
  Expected<Invocation> topic() {
    out_.kind = Invocation::Kind::help;
    ++at_;
    while (at_ < words_.size()) {
      if (words_[at_].starts_with('-')) {
        if (auto taken = take_option(common_, {}, ""); !taken)
          return tl::unexpected(taken.error());
        continue;
      }
      if (!out_.topic.empty()) out_.topic += ' ';
      out_.topic += words_[at_++];
    }
    return std::move(out_);
  }

  Status choose_command() {
    const auto words = words_.subspan(at_);
    std::size_t longest = 0;
    for (const auto& command : commands_) {
      const std::size_t count = matched_words(command.path, words);
      if (count > longest) {
        longest = count;
        out_.arguments.command = &command;
      }
    }
    if (longest > 0) {
      at_ += longest;
      return {};
    }
    return no_command(words);
  }

  Status no_command(std::span<const string> words) {
    std::vector<string_view> paths;
    std::vector<string_view> below;
    for (const auto& command : commands_) {
      paths.push_back(first_word(command.path));
      if (first_word(command.path) == words[0])
        below.push_back(command.path.substr(words[0].size() + 1));
    }
    if (below.empty())
      return refuse(fmt::format("there is no command \"{}\"{}", words[0],
                                suggestion(words[0], paths)),
                    "");
    const bool asks =
        words.size() > 1 && (words[1] == "--help" || words[1] == "-h");
    if (asks) {
      out_.kind = Invocation::Kind::help;
      out_.topic = words[0];
      return fail(Errc::usage, "");
    }
    if (words.size() == 1)
      return refuse(fmt::format("\"{}\" needs one of: {}", words[0],
                                fmt::join(below, ", ")),
                    words[0]);
    return refuse(fmt::format("there is no command \"{} {}\"{}", words[0],
                              words[1], suggestion(words[1], below)),
                  words[0]);
  }

  Status next() {
    const string& word = words_[at_];
    Arguments& arguments = out_.arguments;
    const CommandSpec& command = *arguments.command;
    if (word == "--") {
      if (!command.takes_command) {
        for (++at_; at_ < words_.size(); ++at_)
          arguments.words.push_back(words_[at_]);
        return {};
      }
      arguments.rest.assign(words_.begin() + static_cast<long>(at_) + 1,
                            words_.end());
      at_ = words_.size();
      return {};
    }
    if (word == "--help" || word == "-h") {
      out_.kind = Invocation::Kind::help;
      out_.topic = command.path;
      return {};
    }
    if (word.size() > 1 && word[0] == '-' && !is_number(word)) {
      auto taken = take_option(command.options, common_, command.path);
      if (!taken) return tl::unexpected(taken.error());
      arguments.set(*taken->first, std::move(taken->second));
      return {};
    }
    arguments.words.push_back(word);
    ++at_;
    return {};
  }

  // "-2h" is a value, "-f" an option.
  static bool is_number(const string& word) {
    return word[1] >= '0' && word[1] <= '9';
  }

  using Taken = std::pair<const OptionSpec*, string>;

  Expected<Taken> take_option(std::span<const OptionSpec> options,
                              std::span<const OptionSpec> more,
                              string_view path) {
    const string& word = words_[at_];
    const std::size_t equals = word.find('=');
    const string_view name = string_view(word).substr(0, equals);
    const OptionSpec* option = find_option(options, name);
    if (option == nullptr) option = find_option(more, name);
    if (option == nullptr) return unknown_option(options, more, name, path);
    ++at_;
    if (option->value.empty()) {
      if (equals != string::npos)
        return refuse(fmt::format("{} takes no value", name), path);
      return Taken{option, "true"};
    }
    string value;
    if (equals != string::npos) {
      value = word.substr(equals + 1);
    } else if (at_ < words_.size() && words_[at_] != "--") {
      value = words_[at_++];
    } else {
      return refuse(
          fmt::format("{} needs a value: {} {}", name, name, option->value),
          path);
    }
    if (auto good = check_choice(*option, value, path); !good)
      return tl::unexpected(good.error());
    return Taken{option, std::move(value)};
  }

  static const OptionSpec* find_option(std::span<const OptionSpec> options,
                                       string_view name) {
    for (const auto& option : options) {
      if (option.name == name) return &option;
      const bool letter = option.letter != 0 && name.size() == 2 &&
                          name[0] == '-' && name[1] == option.letter;
      if (letter) return &option;
    }
    return nullptr;
  }

  static Expected<Taken> unknown_option(std::span<const OptionSpec> options,
                                        std::span<const OptionSpec> more,
                                        string_view name, string_view path) {
    std::vector<string_view> names;
    for (const auto& option : options) names.push_back(option.name);
    for (const auto& option : more) names.push_back(option.name);
    const string whose = path.empty() ? "reeve" : fmt::format("reeve {}", path);
    return refuse(fmt::format("\"{}\" has no option {}{}", whose, name,
                              suggestion(name, names)),
                  path);
  }

  static Status check_choice(const OptionSpec& option, const string& value,
                             string_view path) {
    if (option.choices.empty()) return {};
    std::vector<string_view> known;
    string_view rest = option.choices;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('|'), rest.size());
      known.push_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (std::find(known.begin(), known.end(), value) != known.end()) return {};
    return refuse(
        fmt::format("{} does not know \"{}\"; it takes {}{}", option.name,
                    value, fmt::join(known, ", "), suggestion(value, known)),
        path);
  }

  Status check_counts() const {
    const Arguments& arguments = out_.arguments;
    const CommandSpec& command = *arguments.command;
    const auto count = static_cast<int>(arguments.words.size());
    if (command.takes_command && count > command.words_max)
      return refuse(fmt::format("\"{}\" is no option; the command to run "
                                "stands after \"--\": reeve {} -- {}",
                                arguments.words[0], command.path,
                                fmt::join(arguments.words, " ")),
                    command.path);
    if (count < command.words_min)
      return refuse(
          fmt::format("\"reeve {}\" needs {}", command.path, command.usage),
          command.path);
    if (command.words_max >= 0 && count > command.words_max)
      return refuse(
          fmt::format(
              "\"{}\" is one word too many for \"reeve {}\"",
              arguments.words[static_cast<std::size_t>(command.words_max)],
              command.path),
          command.path);
    return {};
  }

  std::span<const CommandSpec> commands_;
  std::span<const OptionSpec> common_;
  std::span<const string> words_;
  std::size_t at_ = 0;
  std::vector<Taken> early_;
  Invocation out_;
};

}  // namespace

bool Arguments::has(string_view option) const {
  check_known(option);
  return values_.find(option) != values_.end();
}

string_view Arguments::text(string_view option) const {
  return find(option).value_or(string_view());
}

std::optional<string_view> Arguments::find(string_view option) const {
  check_known(option);
  const auto found = values_.find(option);
  if (found == values_.end()) return std::nullopt;
  return found->second.back();
}

std::vector<string> Arguments::all(string_view option) const {
  check_known(option);
  const auto found = values_.find(option);
  return found == values_.end() ? std::vector<string>() : found->second;
}

void Arguments::set(const OptionSpec& option, string value) {
  values_[string(option.name)].push_back(std::move(value));
}

// A misspelt name in a command's code would read as "not given".
void Arguments::check_known(string_view option) const {
  static constexpr string_view common[] = {"--json", "--data", "--quiet"};
  if (command == nullptr) return;
  const bool known =
      std::any_of(command->options.begin(), command->options.end(),
                  [&](const auto& spec) { return spec.name == option; }) ||
      std::find(std::begin(common), std::end(common), option) !=
          std::end(common);
  REEVE_CHECK(known, fmt::format("\"{}\" asks for option {}, which its table "
                                 "does not have",
                                 command->path, option));
}

Expected<Invocation> parse_arguments(std::span<const CommandSpec> commands,
                                     std::span<const OptionSpec> common,
                                     std::span<const string> words) {
  return Parser(commands, common, words).parse();
}

string_view first_word(string_view path) {
  return path.substr(0, path.find(' '));
}

const CommandSpec* find_command(std::span<const CommandSpec> commands,
                                string_view path) {
  for (const auto& command : commands)
    if (command.path == path) return &command;
  return nullptr;
}

}  // namespace reeve::tools
