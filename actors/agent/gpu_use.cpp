#include "actors/agent/gpu_use.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/types.hpp"
#include "cluster/process_stat.hpp"
#include "gpu/share/mps.hpp"

namespace reeve::agent {
namespace {

// The first pid namespace has the same number on every Linux.
bool in_first_pid_namespace() {
  char name[64];
  const ssize_t got = ::readlink("/proc/self/ns/pid", name, sizeof name);
  return got > 0 && std::string_view(name, static_cast<std::size_t>(got)) ==
                        "pid:[4026531836]";
}

// The driver's pids are those of our /proc.
bool pids_are_ours() {
  static const bool known = in_first_pid_namespace();
  return known;
}

}  // namespace

int parent_of(int pid) {
  if (!pids_are_ours()) return 0;
  const std::string text =
      keeper::read_file(fmt::format("/proc/{}/stat", pid)).value_or("");
  const auto stat = cluster::process_stat(text);
  return stat ? stat->parent : 0;
}

bool runs_unheld(std::uint32_t pid) {
  return pids_are_ours() && runs_unheld(pid, "/proc");
}

// Only in a task with a share there is a ledger. The library is mapped as long
// as the process lives, also when it was replaced on the host.
bool runs_unheld(std::uint32_t pid, const std::string& proc) {
  const std::string process = fmt::format("{}/{}", proc, pid);
  const std::string ledger = process + "/root" + keeper::share_ledger_path;
  if (::access(ledger.c_str(), F_OK) != 0) return false;
  std::ifstream mappings(process + "/maps");
  std::string line;
  std::size_t count = 0;
  while (std::getline(mappings, line)) {
    if (line.find(keeper::share_library_path) != line.npos) return false;
    if (++count >= mappings_max) return false;
  }
  return count > 0;
}

bool is_of_host(std::uint32_t pid) {
  return pids_are_ours() &&
         is_of_host(keeper::read_file(fmt::format("/proc/{}/status", pid))
                        .value_or(""));
}

bool is_of_host(std::string_view status) {
  // "NSpid:\t12": a number for each namespace, from the first one on.
  constexpr std::string_view key = "\nNSpid:\t";
  const std::size_t at = status.find(key);
  if (at == status.npos) return false;
  const auto rest = status.substr(at + key.size());
  const auto numbers = rest.substr(0, rest.find('\n'));
  return !numbers.empty() && numbers.find('\t') == numbers.npos;
}

std::function<bool(std::uint32_t pid)> mps_servers(
    const std::string& mps_directory) {
  return [mps_directory](std::uint32_t pid) {
    return !mps_directory.empty() && pids_are_ours() &&
           gpu::share::is_mps_server(pid, mps_directory);
  };
}

}  // namespace reeve::agent
