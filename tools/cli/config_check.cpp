// config check.
#include <fmt/format.h>

#include "tools/cli/handlers.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

Result command_config_check(const Context& context,
                            const Arguments& arguments) {
  const std::string& file = arguments.words[0];
  const auto config = load_config(file);
  if (!config) return tl::unexpected(config.error());
  if (context.json) {
    print(JsonObject()
              .text("file", file)
              .truth("ok", true)
              .text("settings", explain_config(*config))
              .done() +
          '\n');
    return 0;
  }
  if (!context.quiet) say(fmt::format("{} is good; in force:", file));
  print(explain_config(*config));
  return 0;
}

}  // namespace reeve::tools
