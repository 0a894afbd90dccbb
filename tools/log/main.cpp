// reeve-log: the commands of `reeve` that read a log. `reeve` becomes this
// program for them, with its own words.
#include <fmt/format.h>

#include <algorithm>

#include "store/advice.hpp"
#include "tools/args/commands.hpp"
#include "tools/log/handlers.hpp"
#include "tools/standard_files.hpp"

namespace reeve::tools {
namespace {

Result dispatch(const Arguments& arguments) {
  struct Entry {
    std::string_view path;
    Result (*handler)(const Context&, const Arguments&);
  };
  static constexpr Entry entries[] = {{"log cat", log_cat},
                                      {"log stats", log_stats},
                                      {"log verify", log_verify},
                                      {"log export", log_export},
                                      {"log import", log_import},
                                      {"log archive", log_archive},
                                      {"log repair", log_repair},
                                      {"replay", log_replay},
                                      {"state", log_state},
                                      {"diff", log_diff},
                                      {"history", log_history},
                                      {"show", log_show},
                                      {"nodes", log_nodes},
                                      {"node show", log_node_show},
                                      {"gpus", log_gpus},
                                      {"timeline", log_timeline},
                                      {"usage", log_usage},
                                      {"whatif", log_whatif},
                                      {"trace simulate", trace_simulate}};
  const auto context = make_context(arguments);
  if (!context) return tl::unexpected(context.error());
  for (const auto& entry : entries)
    if (entry.path == arguments.command->path)
      return entry.handler(*context, arguments).map_error([&](Error error) {
        // What these refuse is a file, not a log.
        const bool traced =
            entry.handler == trace_simulate ||
            (entry.handler == log_whatif && arguments.has("--trace"));
        if (entry.handler == log_import || traced) return error;
        const auto log = arguments.find("--log");
        return store::with_advice(
            std::move(error),
            log ? std::filesystem::path(*log) : context->data);
      });
  return fail(Errc::usage,
              fmt::format("reeve-log has no command \"{}\"; "
                          "\"reeve {}\" does it",
                          arguments.command->path, arguments.command->path));
}

int run(const std::vector<std::string>& words) {
  const bool json =
      std::find(words.begin(), words.end(), "--json") != words.end();
  const auto invocation =
      parse_arguments(all_commands(), common_options(), words);
  if (!invocation) return report(invocation.error(), json);
  if (invocation->kind != Invocation::Kind::run) {
    print(help_text(all_commands(), common_options(), invocation->topic,
                    Terminal::of_process().width));
    return 0;
  }
  const auto result = dispatch(invocation->arguments);
  return result ? *result : report(result.error(), json);
}

}  // namespace
}  // namespace reeve::tools

int main(int argc, char** argv) {
  reeve::tools::open_standard_files(reeve::tools::ClosedOutput::is_an_error);
  // Nothing that is left needs an orderly end, and taking apart what a log
  // folds to takes as long as a look at it.
  reeve::tools::leave(reeve::tools::run({argv + 1, argv + argc}));
}
