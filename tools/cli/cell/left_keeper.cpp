#include "tools/cli/cell/left_keeper.hpp"

#include "tools/cli/cell/daemon.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

keeper::ClientConfig keeper_of(const Context& context) {
  keeper::ClientConfig out;
  auto directory = recorded_runtime_dir(context.data);
  if (!directory)
    if (const auto config = load_config(cell_file(context.data)))
      directory = config->agent.runtime_dir;
  out.directory = directory.value_or("");
  if (out.directory.empty()) out.directory = (context.data / "node").string();
  out.program = (context.programs / "reeve-keeper").string();
  return out;
}

}  // namespace reeve::tools
