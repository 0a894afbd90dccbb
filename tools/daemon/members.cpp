#include "tools/daemon/members.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>

#include "bus/private_file.hpp"
#include "store/head_mark.hpp"
#include "store/layout.hpp"
#include "store/log_id.hpp"
#include "store/log_reader.hpp"
#include "store/set_aside.hpp"

namespace reeve::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t note_bytes_max = 16 << 10;

fs::path set_aside_note_of(const fs::path& data) {
  return data / "set-aside.note";
}

fs::path several_note_of(const fs::path& data) {
  return data / "several.note";
}

fs::path id_note_of(const fs::path& data) {
  return data / "log-id.note";
}

}  // namespace

std::vector<cluster::ManagerIdentity> managers_of(
    const Config& config, const cluster::Identities& identities) {
  auto named = cluster::managers_of(identities);
  const auto& own = config.manager;
  if (std::any_of(named.begin(), named.end(),
                  [&](const auto& one) { return one.name == own.name; }))
    return named;
  named.clear();
  for (const auto& [name, address] : own.members)
    named.push_back({name, address, name == own.name ? own.joined_by : 0});
  return named;
}

bool is_of_several(const Config& config, const fs::path& data) {
  const auto& manager = config.manager;
  if (manager.members.empty()) return false;
  std::error_code ignored;
  return manager.members.size() > 1 || manager.joined_by != 0 ||
         fs::exists(several_note_of(data), ignored);
}

Status note_several(const fs::path& data) {
  return bus::write_private_file(
      several_note_of(data),
      "Other managers keep the log of this cell, too. Without this file this "
      "one would go on alone, as another cell.\n");
}

std::vector<bus::Address> routes_of(
    const Config& config,
    const std::vector<cluster::ManagerIdentity>& managers) {
  std::vector<bus::Address> routes;
  for (const cluster::ManagerIdentity& one : managers)
    if (one.name != config.manager.name)
      routes.push_back(
          {one.address, static_cast<int>(config.bus.cluster_port)});
  return routes;
}

void join_members(const Config& config, bool several,
                  const std::vector<cluster::ManagerIdentity>& managers,
                  bus::ServerOptions& options) {
  if (config.manager.members.empty()) return;
  options.server_name =
      cluster::bus_server_of(config.manager.name, config.manager.joined_by);
  options.jetstream.emplace();
  if (!several) return;
  options.cluster = bus::ClusterOptions{
      {options.host, static_cast<int>(config.bus.cluster_port)},
      routes_of(config, managers)};
}

Status note_set_aside(const fs::path& data, std::uint64_t from,
                      const std::string& why) {
  return bus::write_private_file(set_aside_note_of(data),
                                 fmt::format("{}\n{}", from, why));
}

Status set_aside_as_noted(const fs::path& data) {
  const auto note =
      bus::read_private_file(set_aside_note_of(data), note_bytes_max);
  if (!note && note.error().code == Errc::not_found) return {};
  if (!note) return tl::unexpected(note.error());
  const std::uint64_t from = std::strtoull(note->c_str(), nullptr, 10);
  const std::string why =
      note->substr(std::min(note->find('\n'), note->size()));
  const auto done = store::set_aside(data / "log", from, why);
  // Beyond the head: it was done before.
  if (!done && done.error().code != Errc::not_found)
    return tl::unexpected(done.error());
  if (done)
    spdlog::error("the events {} to {} of the log here are set aside in {}:{}",
                  done->from, done->to, done->file.string(), why);
  std::error_code ignored;
  fs::remove(set_aside_note_of(data), ignored);
  return {};
}

Status note_log_id(const fs::path& data, const store::LogId& id) {
  return bus::write_private_file(id_note_of(data), store::text_of(id));
}

Expected<std::optional<store::LogId>> make_way_for_noted_id(
    const fs::path& data) {
  const auto note = bus::read_private_file(id_note_of(data), note_bytes_max);
  if (!note && note.error().code == Errc::not_found) return std::nullopt;
  if (!note) return tl::unexpected(note.error());
  const auto id = store::parse_log_id(*note);
  if (!id)
    return fail(Errc::damaged, fmt::format("{} holds no id of a log: remove it",
                                           id_note_of(data).string()));
  const auto log = data / "log";
  if (const auto there = store::LogReader::open(log); there) {
    if ((*there)->head().sequence != 0) return std::nullopt;
    if ((*there)->log_id() == *id) return id;
  } else if (there.error().code != Errc::not_found) {
    // Killed while it was removed or made: its mark tells whether it ever had
    // an event.
    const auto mark = store::HeadMark::open(store::Layout{log}.head_mark());
    if (mark ? mark->mark().head.sequence != 0
             : mark.error().code != Errc::not_found)
      return tl::unexpected(there.error());
  }
  std::error_code error;
  fs::remove_all(log, error);
  if (error)
    return fail(Errc::io, fmt::format("cannot remove the empty log {}: {}",
                                      log.string(), error.message()));
  return id;
}

void forget_log_id(const fs::path& data) {
  std::error_code ignored;
  fs::remove(id_note_of(data), ignored);
}

std::optional<cluster::Healing> last_set_aside(const fs::path& data,
                                               const std::string& manager) {
  const auto last = store::newest_set_aside(data / "log");
  if (!last) {
    spdlog::error("what was set aside of the log is not told: {}",
                  last.error().text);
    return std::nullopt;
  }
  if (!*last) return std::nullopt;
  return cluster::Healing{manager,
                          cluster::HealingKind::suffix_set_aside,
                          (*last)->from,
                          (*last)->to,
                          (*last)->epoch,
                          {},
                          0,
                          0,
                          (*last)->file.string()};
}

}  // namespace reeve::tools
