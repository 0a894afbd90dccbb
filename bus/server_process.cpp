#include "bus/server_process.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <system_error>

namespace reeve::bus {
namespace {

namespace fs = std::filesystem;

constexpr const char* server_name = "nats-server";

// Of this user, and with this very file: a container has paths of its own. The
// arguments are asked for last, since a process that hangs may not tell them.
bool is_run_with_config(int pid, const std::string& config) {
  struct stat process {
  }, theirs{}, ours{};
  if (::stat(fmt::format("/proc/{}", pid).c_str(), &process) != 0 ||
      process.st_uid != ::geteuid() ||
      !proc_file(pid, "comm").starts_with(server_name) ||
      ::stat(fmt::format("/proc/{}/root{}", pid, config).c_str(), &theirs) !=
          0 ||
      ::stat(config.c_str(), &ours) != 0 || theirs.st_dev != ours.st_dev ||
      theirs.st_ino != ours.st_ino)
    return false;
  const std::string all = proc_file(pid, "cmdline");
  const std::size_t program = all.find('\0');
  return program != std::string::npos &&
         all.substr(program) == std::string("\0-c\0", 4) + config + '\0';
}

}  // namespace

Expected<Child> find_server_process(const ProcessIdentity& recorded,
                                    const fs::path& config) {
  const std::string file = config.string();
  if (auto found = Child::find(recorded, file)) return found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    int pid = 0;
    const auto [end, bad] =
        std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || end != name.data() + name.size() ||
        !is_run_with_config(pid, file))
      continue;
    const auto identity = process_identity(pid);
    if (!identity) continue;
    if (auto found = Child::find(*identity, file)) return found;
  }
  return fail(Errc::not_found, fmt::format("no process runs with -c {}", file));
}

}  // namespace reeve::bus
