// config check.
#include <fmt/format.h>

#include "gpu/probe/limits.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

Result command_config_check(const Context& context,
                            const Arguments& arguments) {
  const std::string& file = arguments.words[0];
  const auto config = load_config(file);
  if (!config) return tl::unexpected(config.error());
  if (const std::string& models = config->agent.gpu_models; !models.empty())
    if (const auto good = gpu::probe::Models::load(models); !good)
      return fail(Errc::usage,
                  fmt::format("{}: agent.gpu_models: {}", file, good.error()));
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
