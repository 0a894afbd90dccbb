#include "actors/agent/gpu_use.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "actors/agent/keeper/files.hpp"

namespace reeve::agent {
namespace {

// The first pid namespace has the same number on every Linux.
bool in_first_pid_namespace() {
  char name[64];
  const ssize_t got = ::readlink("/proc/self/ns/pid", name, sizeof name);
  return got > 0 && std::string_view(name, static_cast<std::size_t>(got)) ==
                        "pid:[4026531836]";
}

}  // namespace

int parent_in(std::string_view stat) {
  // "pid (name) state parent ...": the name may hold anything.
  constexpr std::size_t before_parent = sizeof ") S " - 1;
  const std::size_t at = stat.rfind(')');
  int parent = 0;
  if (at == std::string_view::npos || stat.size() < at + before_parent)
    return 0;
  std::from_chars(stat.data() + at + before_parent, stat.data() + stat.size(),
                  parent);
  return parent;
}

int parent_of(int pid) {
  static const bool known = in_first_pid_namespace();
  if (!known) return 0;
  return parent_in(
      keeper::read_file(fmt::format("/proc/{}/stat", pid)).value_or(""));
}

}  // namespace reeve::agent
