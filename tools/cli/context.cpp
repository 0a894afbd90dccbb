#include "tools/cli/context.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cluster/types.hpp"

namespace reeve::tools {
namespace {

std::uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * second_ns +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::int64_t utc_offset_s(std::uint64_t time_at) {
  const auto seconds = static_cast<time_t>(time_at / second_ns);
  tm local{};
  ::localtime_r(&seconds, &local);
  return local.tm_gmtoff;
}

// Of whoever runs this; services and cron may have no HOME.
std::string home_directory() {
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return home;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_dir : "";
}

}  // namespace

std::filesystem::path program_directory() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
}

Expected<Context> make_context(const Arguments& arguments) {
  Context out;
  out.programs = program_directory();
  out.json = arguments.has("--json");
  out.quiet = arguments.has("--quiet");
  out.terminal = Terminal::of_process();
  const char* data = std::getenv("REEVE_DATA");
  if (const auto given = arguments.find("--data")) {
    out.data = *given;
  } else if (data != nullptr && *data != '\0') {
    out.data = data;
  } else if (const std::string home = home_directory(); !home.empty()) {
    out.data = std::filesystem::path(home) / ".local/share/reeve";
  }
  if (out.data.empty())
    return fail(Errc::usage,
                "which cell? Name it with --data DIR or $REEVE_DATA; there is "
                "no home directory to look in");
  std::error_code broken;
  out.data = std::filesystem::absolute(out.data, broken).lexically_normal();
  if (!out.data.has_filename()) out.data = out.data.parent_path();
  return out;
}

TimeFrame time_frame() {
  const std::uint64_t now = now_ns();
  return {now, utc_offset_s(now)};
}

std::uint64_t now_ns() {
  return clock_ns(CLOCK_REALTIME);
}
std::uint64_t monotonic_ns() {
  return clock_ns(CLOCK_MONOTONIC);
}

std::string local_time(std::uint64_t time_at) {
  if (time_at == 0) return {};
  return format_time(time_at, utc_offset_s(time_at));
}

void leave(int code) {
  ::_exit(code);
}

Error exec_beside(const Context& context, const char* program, char** argv) {
  const std::string path = context.programs / program;
  ::execv(path.c_str(), argv);
  return {Errc::io, fmt::format("cannot start {}: {}; it is installed beside "
                                "reeve",
                                path, std::strerror(errno))};
}

}  // namespace reeve::tools
