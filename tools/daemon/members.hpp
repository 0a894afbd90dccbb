// What the settings say of several managers, for the parts that need it, and
// what a daemon leaves for the one that it becomes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bus/server.hpp"
#include "cluster/error.hpp"
#include "cluster/healing.hpp"
#include "cluster/identities/managers.hpp"
#include "store/head_mark.hpp"
#include "tools/config/config.hpp"

namespace reeve::tools {

// The managers of the cell: those that its log names, or as long as it names
// none, or not yet this one, those of the settings.
std::vector<cluster::ManagerIdentity> managers_of(
    const Config& config, const cluster::Identities& identities);

// Whether this manager keeps the log with others. One that the settings name
// alone does so from the moment that another was there who had joined: that is
// noted in `data` (note_several) and never taken back.
bool is_of_several(const Config& config, const std::filesystem::path& data);
Status note_several(const std::filesystem::path& data);

// Where the other managers' servers are.
std::vector<bus::Address> routes_of(
    const Config& config,
    const std::vector<cluster::ManagerIdentity>& managers);

// The server keeps streams and, of `several`, is one of the cluster of all
// managers' servers.
void join_members(const Config& config, bool several,
                  const std::vector<cluster::ManagerIdentity>& managers,
                  bus::ServerOptions& options);

// The log in `data` is to be set aside from event `from` on when the next
// daemon starts. Synced on return.
Status note_set_aside(const std::filesystem::path& data, std::uint64_t from,
                      const std::string& why);
// Does what was noted, if anything, before the log is opened. Cut short it is
// done again.
Status set_aside_as_noted(const std::filesystem::path& data);
// The log in `data`, which is empty, is to be made anew with this id when the
// next daemon starts: it is a copy of the cell's.
Status note_log_id(const std::filesystem::path& data, const store::LogId& id);
// The id that was noted, if any, before the log is opened; an empty log that
// was made with another one is gone then.
Expected<std::optional<store::LogId>> make_way_for_noted_id(
    const std::filesystem::path& data);
// The log is open.
void forget_log_id(const std::filesystem::path& data);

// What was set aside last of the log of this manager, as the cell is to hear
// it; but for the epoch in which the cell's log goes on.
std::optional<cluster::Healing> last_set_aside(
    const std::filesystem::path& data, const std::string& manager);

}  // namespace reeve::tools
