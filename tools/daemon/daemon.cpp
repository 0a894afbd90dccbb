#include "tools/daemon/daemon.hpp"

#include <fmt/format.h>

#include "tools/daemon/cell_daemon.hpp"
#include "tools/daemon/node_daemon.hpp"
#include "tools/member/kept_keys.hpp"

namespace reeve::tools {

Expected<std::unique_ptr<Daemon>> Daemon::start(DaemonOptions options) {
  if (auto kept = check_kept_keys(options.config, options.data); !kept)
    return tl::unexpected(kept.error());
  switch (options.config.role) {
    case Config::Role::cell: return start_cell(std::move(options));
    case Config::Role::agent: return start_node(std::move(options));
    case Config::Role::user: break;
  }
  return fail(Errc::usage,
              fmt::format("{} is for reaching the cell {} as one of its users: "
                          "there is nothing to start here",
                          options.data.string(), options.config.cell));
}

}  // namespace reeve::tools
