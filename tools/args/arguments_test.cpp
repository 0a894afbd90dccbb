#include "tools/args/arguments.hpp"

#include <boost/test/unit_test.hpp>
#include <set>
#include <sstream>

#include "tools/args/commands.hpp"
#include "tools/args/completion.hpp"

namespace reeve::tools::arguments_test {
namespace {

Expected<Invocation> parse(std::vector<std::string> words) {
  return parse_arguments(all_commands(), common_options(), words);
}

std::string refusal(std::vector<std::string> words) {
  const auto result = parse(std::move(words));
  if (result) return "accepted";
  BOOST_TEST((result.error().code == Errc::usage));
  return result.error().text;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

BOOST_AUTO_TEST_SUITE(arguments)

BOOST_AUTO_TEST_CASE(options_stand_before_and_after_words) {
  const auto result =
      parse({"--json", "logs", "-f", "s-12", "--task=3", "--data", "/d"});
  BOOST_REQUIRE(result);
  const Arguments& arguments = result->arguments;
  BOOST_TEST(arguments.command->path == "logs");
  BOOST_TEST(arguments.has("--json"));
  BOOST_TEST(arguments.has("--follow"));
  BOOST_TEST(!arguments.has("--stderr"));
  BOOST_TEST(arguments.text("--task") == "3");
  BOOST_TEST(arguments.text("--data") == "/d");
  BOOST_TEST(arguments.words.at(0) == "s-12");
}

BOOST_AUTO_TEST_CASE(what_stands_after_two_dashes_is_the_users_command) {
  const auto result = parse(
      {"run", "--env", "A=1", "-e", "B=2", "--", "sh", "-c", "--", "--json"});
  BOOST_REQUIRE(result);
  BOOST_TEST((result->arguments.rest ==
              std::vector<std::string>{"sh", "-c", "--", "--json"}));
  BOOST_TEST((result->arguments.all("--env") ==
              std::vector<std::string>{"A=1", "B=2"}));
  BOOST_TEST(!result->arguments.has("--json"));
}

BOOST_AUTO_TEST_CASE(a_value_may_begin_with_a_dash) {
  const auto result = parse({"events", "--from", "-2h"});
  BOOST_REQUIRE(result);
  BOOST_TEST(result->arguments.text("--from") == "-2h");
}

BOOST_AUTO_TEST_CASE(an_unknown_word_suggests_the_nearest) {
  BOOST_TEST(contains(refusal({"sumbit"}), "did you mean \"submit\""));
  BOOST_TEST(contains(refusal({"xyzzy"}), "no command \"xyzzy\" (see"));
  BOOST_TEST(contains(refusal({"run", "--cpu", "1"}), "\"--cpus\""));
  BOOST_TEST(contains(refusal({"node", "drian", "n"}), "\"drain\""));
  BOOST_TEST(contains(refusal({"node"}), "needs one of: show, drain"));
  BOOST_TEST(contains(refusal({"trace", "run", "f", "--format", "opnb"}),
                      "did you mean \"openb\""));
}

BOOST_AUTO_TEST_CASE(wrong_counts_are_named) {
  BOOST_TEST(contains(refusal({"show"}), "needs ID"));
  BOOST_TEST(contains(refusal({"show", "s-1", "s-2"}), "\"s-2\" is one word"));
  BOOST_TEST(contains(refusal({"run", "ls", "/"}), "reeve run -- ls /"));
  BOOST_TEST(contains(refusal({"ps", "--limit"}), "--limit N"));
  BOOST_TEST(contains(refusal({"ps", "--all=yes"}), "takes no value"));
}

BOOST_AUTO_TEST_CASE(help_is_found_for_all_one_and_a_family) {
  BOOST_TEST((parse({})->kind == Invocation::Kind::help));
  BOOST_TEST((parse({"--version"})->kind == Invocation::Kind::version));
  BOOST_TEST(parse({"run", "--help"})->topic == "run");
  BOOST_TEST(parse({"help", "node", "drain"})->topic == "node drain");
  BOOST_TEST(parse({"node", "--help"})->topic == "node");
  BOOST_TEST(parse({"help", "--json"})->topic.empty());
  BOOST_TEST(
      parse({"help", "--json", "node", "-q", "drain", "--data", "/d"})->topic ==
      "node drain");
  BOOST_TEST(contains(refusal({"help", "--foo"}), "no option --foo"));
  const auto text = [](std::string_view topic) {
    return help_text(all_commands(), common_options(), topic);
  };
  BOOST_TEST(contains(text("run"), "reeve run --cpus 4"));
  BOOST_TEST(contains(text("node"), "node drain"));
  BOOST_TEST(!contains(text("node"), "submit"));
  for (const auto& command : all_commands()) {
    const std::string path(command.path);
    const auto line = path + std::string(2, ' ');
    for (const auto& topic : {std::string(), path.substr(0, path.find(' '))})
      if (topic != path) BOOST_TEST(contains(text(topic), line), path);
  }
  BOOST_TEST(text("xyzzy").empty());
}

BOOST_AUTO_TEST_CASE(no_line_of_help_is_wider_than_the_terminal) {
  std::vector<std::string_view> topics = {"", "node"};
  for (const auto& command : all_commands()) topics.push_back(command.path);
  for (const std::size_t width : {20u, 40u, 60u, 80u})
    for (const auto topic : topics) {
      std::istringstream lines(
          help_text(all_commands(), common_options(), topic, width));
      for (std::string line; std::getline(lines, line);)
        BOOST_TEST(line.size() <= width, topic << ": " << line);
    }
}

BOOST_AUTO_TEST_CASE(no_option_stands_twice_in_a_command) {
  for (const auto& command : all_commands()) {
    std::set<std::string_view> names;
    std::set<char> letters;
    BOOST_TEST_CONTEXT(command.path) {
      for (const auto options : {command.options, common_options()})
        for (const auto& option : options) {
          BOOST_TEST(names.insert(option.name).second);
          if (option.letter != 0)
            BOOST_TEST(letters.insert(option.letter).second);
        }
    }
  }
}

BOOST_AUTO_TEST_CASE(completion_speaks_of_every_command_and_option) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script =
        completion_script(shell, all_commands(), common_options());
    BOOST_REQUIRE(script);
    for (const auto& command : all_commands())
      for (const auto& option : command.options)
        BOOST_TEST(contains(*script, option.name.substr(2)));
  }
  const auto none = completion_script("csh", all_commands(), common_options());
  BOOST_REQUIRE(!none);
  BOOST_TEST(contains(none.error().text, "bash, zsh and fish"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::arguments_test
