// reeve: the command line.
#include <fmt/format.h>

#include "cluster/nearest.hpp"
#include "tools/args/commands.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/log_tool.hpp"
#include "tools/program.hpp"
#include "tools/standard_files.hpp"

namespace reeve::tools {
namespace {

bool asks_json(const std::vector<std::string>& words) {
  for (const auto& word : words) {
    if (word == "--") return false;
    if (word == "--json") return true;
  }
  return false;
}

int help(const std::string& topic, bool json) {
  const std::string text = help_text(all_commands(), common_options(), topic,
                                     Terminal::of_process().width);
  if (text.empty()) {
    std::vector<std::string_view> known;
    for (const auto& command : all_commands()) known.push_back(command.path);
    const auto near = nearest(topic, known);
    return report(
        {Errc::usage,
         fmt::format(
             "there is no command \"{}\"{} (see \"reeve --help\")", topic,
             near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near))},
        json);
  }
  print(text);
  return 0;
}

Result dispatch(const Arguments& arguments) {
  const auto context = make_context(arguments);
  if (!context) return tl::unexpected(context.error());
  // What a session wrote is no text of ours, nor is it always text.
  if (context->json && arguments.command->path == "logs")
    return fail(Errc::usage,
                "logs prints what the session wrote, byte by byte: leave out "
                "--json");
  if (arguments.command->log_tool)
    return tl::unexpected(run_log_tool(*context));
  return find_handler(arguments.command->path)(*context, arguments);
}

int run(const std::vector<std::string>& words) {
  const bool json = asks_json(words);
  const auto invocation =
      parse_arguments(all_commands(), common_options(), words);
  if (!invocation) return report(invocation.error(), json);
  switch (invocation->kind) {
    case Invocation::Kind::help: return help(invocation->topic, json);
    case Invocation::Kind::version:
      print(fmt::format("reeve {}\n", this_program().version));
      return 0;
    case Invocation::Kind::run: break;
  }
  const auto result = dispatch(invocation->arguments);
  return result ? *result : report(result.error(), json);
}

}  // namespace
}  // namespace reeve::tools

int main(int argc, char** argv) {
  reeve::tools::open_standard_files(reeve::tools::ClosedOutput::is_an_error);
  reeve::tools::set_process_arguments(argv);
  return reeve::tools::run({argv + 1, argv + argc});
}
