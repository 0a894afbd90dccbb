#include "tools/cli/member/host.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "actors/agent/keeper/ending.hpp"
#include "bus/private_file.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/cell/bring_up.hpp"
#include "tools/cli/cell/left_keeper.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/program.hpp"

extern char** environ;

namespace reeve::tools {
namespace {

namespace fs = std::filesystem;

constexpr const char* unit_name = "reeved.service";
constexpr std::uint64_t stop_timeout_ns = 90'000'000'000;
constexpr std::uint64_t admission_timeout_ns = 10'000'000'000;
constexpr int admission_pause_ms = 20;

// The Debian package's, for its own programs and directory.
bool is_packaged(const Context& context) {
  return unit_file(context).parent_path() != context.data;
}

// Where an admin's units lie.
fs::path system_unit() {
  return fs::path("/etc/systemd/system") / unit_name;
}

bool systemd_runs() {
  std::error_code ignored;
  return ::geteuid() == 0 && fs::is_directory("/run/systemd/system", ignored);
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A unit of that name may be of another directory.
bool system_unit_is_ours(const Context& context) {
  std::error_code ignored;
  if (!fs::exists(system_unit(), ignored)) return is_packaged(context);
  return text_of(system_unit()) == text_of(unit_file(context));
}

Status systemctl(std::vector<std::string> words) {
  words.insert(words.begin(), "systemctl");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  int status = 0;
  const int failed =
      ::posix_spawnp(&child, argv[0], nullptr, nullptr, argv.data(), environ);
  if (failed != 0 || ::waitpid(child, &status, 0) != child ||
      !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(Errc::io,
                fmt::format("\"{}\" failed: see \"journalctl -u reeved\"",
                            fmt::join(words, " ")));
  return {};
}

// Where an admin's units lie it goes before that of the package.
Status install_unit(const Context& context) {
  const fs::path unit = system_unit();
  auto written = bus::write_private_file(unit, text_of(unit_file(context)));
  if (!written) return written;
  // As readable as the units beside it.
  std::error_code error;
  fs::permissions(unit,
                  fs::perms::owner_write | fs::perms::owner_read |
                      fs::perms::group_read | fs::perms::others_read,
                  error);
  if (error)
    return fail(Errc::io, fmt::format("cannot write {}: {}", unit.string(),
                                      error.message()));
  return systemctl({"daemon-reload"});
}

}  // namespace

Expected<Caller> Caller::connect(const bus::Credentials& credentials) {
  bus::ConnectionOptions how;
  how.credentials = credentials;
  how.name = "reeve";
  how.low_latency = true;
  auto connection = bus::Connection::connect(how);
  if (!connection) return tl::unexpected(connection.error());
  Caller caller;
  caller.connection_ = std::move(*connection);
  caller.client_ = std::make_unique<bus::Client>(
      *caller.connection_, bus::Subjects(credentials.cell),
      credentials.principal, bus::RetryOptions{}, interrupt_pending);
  return caller;
}

Status Caller::command(flatbuffers::FlatBufferBuilder& builder,
                       schema::CommandBody kind,
                       flatbuffers::Offset<void> body) {
  const schema::Id128 id = random_id();
  const auto root =
      schema::CreateCommand(builder, &id, kind, body, &this_program().protocol);
  const auto answer =
      client_->command(schema::finish(builder, root), command_timeout);
  if (!answer) return tl::unexpected(answer.error());
  const auto* reply = schema::verified<schema::Reply>(*answer);
  if (reply->rejection() != nullptr)
    return tl::unexpected(rejection_error(*reply->rejection()));
  return {};
}

void await_admission(const bus::Credentials& credentials,
                     Interrupts& interrupts) {
  const std::uint64_t begun = monotonic_ns();
  while (monotonic_ns() - begun < admission_timeout_ns) {
    const auto caller = Caller::connect(credentials);
    if (caller || caller.error().code != Errc::rejected) return;
    if (interrupts.wait(admission_pause_ms) != 0) return;
  }
}

fs::path unit_file(const Context& context) {
  const fs::path packaged = fs::path("/usr/lib/systemd/system") / unit_name;
  std::error_code ignored;
  return context.data == "/var/lib/reeve" &&
                 context.programs == "/usr/lib/reeve" &&
                 fs::exists(packaged, ignored)
             ? packaged
             : context.data / unit_name;
}

fs::path credentials_file(const fs::path& data, Config::Role role) {
  return role == Config::Role::agent ? bus::agent_credentials_path(data)
                                     : bus::client_credentials_path(data);
}

Status write_host_files(const Context& context, const JoinedHost& host) {
  if (host.role != Config::Role::user && !is_packaged(context))
    if (auto written = bus::write_private_file(
            unit_file(context),
            unit_text(context.data, context.programs / "reeved"));
        !written)
      return written;
  return bus::write_private_file(cell_file(context.data),
                                 joined_settings(host));
}

void remove_host_files(const fs::path& data, Config::Role role) {
  std::error_code ignored;
  const fs::path credentials = credentials_file(data, role);
  fs::remove(bus::servers_path(credentials), ignored);
  fs::remove(credentials, ignored);
  fs::remove(cell_file(data), ignored);
  fs::remove(data / unit_name, ignored);
}

Expected<Started> start_node(const Context& context, Interrupts& interrupts) {
  std::error_code ignored;
  if (systemd_runs() &&
      (!fs::exists(system_unit(), ignored) || system_unit_is_ours(context))) {
    Status done;
    if (!is_packaged(context)) done = install_unit(context);
    if (done) done = systemctl({"enable", "--now", unit_name});
    if (!done) return tl::unexpected(done.error());
    return Started::by_systemd;
  }
  DaemonStart start;
  start.program = context.programs / "reeved";
  start.detach = true;
  start.log = daemon_log_file(context.data);
  start.config = cell_file(context.data);
  start.arguments = {"--data", context.data.string(), "--config",
                     start.config.string()};
  const auto config = load_config(start.config);
  if (!config) return tl::unexpected(config.error());
  const auto child = bring_up(context, start, *config, interrupts);
  if (!child) return tl::unexpected(child.error());
  return Started::here;
}

namespace {

Status stop_node_daemon(const Context& context) {
  if (systemd_runs() && system_unit_is_ours(context)) {
    auto done = systemctl({"disable", "--now", unit_name});
    if (is_packaged(context)) return done;
    std::error_code ignored;
    fs::remove(system_unit(), ignored);
    if (done) done = systemctl({"daemon-reload"});
    return done;
  }
  auto daemon = living_daemon(context.data);
  if (!daemon) daemon = owning_daemon(context.data);
  if (!daemon) return {};
  return stop_daemon(*daemon, stop_timeout_ns);
}

}  // namespace

Status stop_node(const Context& context) {
  const auto keeper = keeper_of(context);
  if (auto stopped = stop_node_daemon(context); !stopped) return stopped;
  // A daemon that was killed has left it, with the tasks.
  const auto ended = keeper::end_keeper(keeper);
  if (!ended) return tl::unexpected(ended.error());
  return {};
}

}  // namespace reeve::tools
