#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <utility>

#include "bus/backoff.hpp"
#include "bus/private_file.hpp"
#include "bus/server_impl.hpp"

namespace reeve::bus {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr RetryOptions restart_waits{milliseconds(100), milliseconds(10'000)};
constexpr milliseconds reload_timeout{20'000};
constexpr std::size_t old_logs_max = 2;
// With streams the server's log is looked at more often, see EndedStreams.
constexpr milliseconds streams_look_interval{2'000};

// What was written since `seen` bytes were there, which then counts it, too. A
// file that is shorter is another one.
std::string new_text(const fs::path& file, std::uintmax_t& seen) {
  std::ifstream in(file, std::ios::binary);
  in.seekg(0, std::ios::end);
  if (!in || static_cast<std::uintmax_t>(in.tellg()) < seen) seen = 0;
  in.seekg(static_cast<std::streamoff>(seen));
  std::string text{std::istreambuf_iterator<char>(in), {}};
  seen += text.size();
  return text;
}

}  // namespace

bool Server::Impl::stop_requested(milliseconds timeout) const {
  pollfd watched{stop_event, POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(timeout.count())) > 0;
}

void Server::Impl::watch() {
  for (;;) {
    pollfd watched[] = {{stop_event, POLLIN, 0},
                        {work_event, POLLIN, 0},
                        {child.pidfd(), POLLIN, 0}};
    ::poll(watched, 3, static_cast<int>(next_look().count()));
    if (watched[0].revents != 0) return;
    std::uint64_t count = 0;
    (void)!::read(work_event, &count, sizeof count);
    if (watched[2].revents != 0) restart();
    if (anew_wanted.exchange(false)) end_child();
    prune_logs();
    keep_up();
    watch_streams();
  }
}

milliseconds Server::Impl::next_look() const {
  return options.jetstream
             ? std::min(options.check_interval, streams_look_interval)
             : options.check_interval;
}

void Server::Impl::watch_streams() {
  if (!options.jetstream) return;
  const std::string said = new_text(directory / "server.log", log_seen);
  std::error_code failed;
  const auto space = fs::space(directory, failed);
  const std::uintmax_t room_bytes = failed ? 0 : space.available;
  if (!ended_streams.is_start_due(said, room_bytes, Clock::now(),
                                  random_jitter()))
    return;
  tell(
      "the bus server could not write its streams, and would not try again "
      "(server.log says why): it begins anew");
  end_child();
}

// It is started again when that is seen.
void Server::Impl::end_child() {
  child.signal(SIGTERM);
  if (child.ended(server_stop_grace)) return;
  child.signal(SIGKILL);
}

Server::Impl::Work Server::Impl::take_work() {
  const std::lock_guard lock(mutex);
  return std::exchange(wanted, {});
}

// Unless something newer is wanted.
void Server::Impl::put_back(Work work) {
  const std::lock_guard lock(mutex);
  if (!wanted.users) wanted.users = std::move(work.users);
  if (!wanted.routes) wanted.routes = std::move(work.routes);
  wanted.certificate = wanted.certificate || work.certificate;
}

// What fails is tried again when the logs are looked at next.
void Server::Impl::keep_up() {
  Work work = take_work();
  const bool asked = work.users || work.routes || work.certificate;
  const Status done = perform(work);
  if (done && asked) reloads.fetch_add(1);
  if (done) return;
  if (stop_requested(milliseconds(0))) return;
  tell(done.error().text);
  put_back(std::move(work));
}

Status Server::Impl::perform(const Work& work) {
  const auto renewed = keep_certificate(work.certificate);
  if (!renewed) return tl::unexpected(renewed.error());
  unread = unread || *renewed;
  if (work.users) {
    users = *work.users;
    if (auto good = write_config(); !good) return good;
    if (auto good = write_users(directory, users); !good) return good;
  }
  if (work.routes) {
    routes = *work.routes;
    if (auto good = write_config(); !good) return good;
  }
  if (!unread) return {};
  if (auto good = reload(); !good) return good;
  unread = false;
  if (*renewed) tell("the bus server has a new certificate");
  return {};
}

Status Server::Impl::write_config() {
  const fs::path config = directory / "server.conf";
  const std::string text = config_text();
  const auto present = read_private_file(config, users_file_bytes_max);
  if (present && *present == text) return {};
  unread = true;
  return write_private_file(config, text);
}

// The server says in its log when it has read its configuration again.
Status Server::Impl::reload() {
  const fs::path log = directory / "server.log";
  std::error_code none_yet;
  const auto size = fs::file_size(log, none_yet);
  std::uintmax_t seen = none_yet ? 0 : size;
  std::string said;
  child.signal(SIGHUP);
  const auto deadline = Clock::now() + reload_timeout;
  while (Clock::now() < deadline) {
    said += new_text(log, seen);
    if (said.find("Reloaded server configuration") != std::string::npos)
      return {};
    const std::size_t refused = said.find("Failed to reload");
    if (refused != std::string::npos)
      return fail(Errc::internal,
                  fmt::format("the bus server does not take its new "
                              "configuration: {}",
                              said.substr(refused,
                                          said.find('\n', refused) - refused)));
    // What is wanted is in the files: the next one starts with it.
    if (child.ended(milliseconds(0))) return {};
    if (stop_requested(milliseconds(2)))
      return fail(Errc::unreachable, "stopped while the bus server reloaded");
  }
  return fail(Errc::unreachable,
              fmt::format("the bus server (pid {}) did not read its new "
                          "configuration within {} ms; see {}",
                          pid.load(), reload_timeout.count(), log.string()));
}

void Server::Impl::restart() {
  child.ended(milliseconds(0));
  tell(fmt::format("bus server (pid {}) ended: {}; starting it again",
                   pid.load(), child.how_it_ended()));
  Backoff backoff(restart_waits);
  for (;;) {
    if (stop_requested(backoff.next(random_jitter()))) return;
    const auto status = launch();
    if (status) break;
    tell(status.error().text);
  }
  unread = false;
  restarts.fetch_add(1);
  tell(fmt::format("bus server is back (pid {})", pid.load()));
}

// The server sets a full log aside by itself and never removes it.
void Server::Impl::prune_logs() const {
  std::vector<fs::path> old;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("server.log.", 0) == 0) old.push_back(entry.path());
  }
  if (old.size() <= old_logs_max) return;
  std::sort(old.begin(), old.end());  // their names end in the time
  old.resize(old.size() - old_logs_max);
  for (const fs::path& file : old) fs::remove(file, error);
}

void Server::Impl::end_watch() {
  if (!watcher.joinable()) return;
  ::eventfd_write(stop_event, 1);
  watcher.join();
}

}  // namespace reeve::bus
