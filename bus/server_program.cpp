#include "bus/server_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>

#include "bus/child.hpp"

namespace reeve::bus {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds version_timeout{10'000};

// Takes the next number off, and the dot behind it.
int next_number(std::string_view& version) {
  int number = 0;
  const char* end = version.data() + version.size();
  const auto parsed = std::from_chars(version.data(), end, number);
  version.remove_prefix(static_cast<std::size_t>(parsed.ptr - version.data()));
  if (!version.empty()) version.remove_prefix(1);
  return number;
}

}  // namespace

Expected<std::string> find_server_program(const std::string& program) {
  std::string found;
  if (program.find('/') == std::string::npos) {
    std::error_code ignored;
    const fs::path self = fs::read_symlink("/proc/self/exe", ignored);
    for (const fs::path& folder :
         {self.parent_path(), fs::path("/usr/local/lib/reeve")})
      if (found.empty()) found = find_program((folder / program).string());
  }
  if (found.empty()) found = find_program(program);
  if (found.empty())
    return fail(Errc::unsupported,
                fmt::format("{} was not found: apt-get install nats-server, "
                            "or name its path",
                            program));
  return found;
}

std::string version_in(std::string_view text) {
  constexpr std::string_view before = "nats-server: v";
  const std::size_t found = text.find(before);
  if (found == std::string_view::npos) return {};
  text.remove_prefix(found + before.size());
  const auto end = std::find_if(text.begin(), text.end(), [](char c) {
    return c != '.' && (c < '0' || c > '9');
  });
  return {text.begin(), end};
}

bool older(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const int left = next_number(a);
    const int right = next_number(b);
    if (left != right) return left < right;
  }
  return false;
}

Status check_jetstream_version(const std::string& program,
                               const fs::path& scratch) {
  auto asked = Child::spawn({program, "--version"}, scratch);
  if (!asked) return tl::unexpected(asked.error());
  if (!asked->ended(version_timeout)) asked->terminate(version_timeout);
  std::ifstream in(scratch);
  std::string line;
  std::getline(in, line);
  std::error_code ignored;
  fs::remove(scratch, ignored);
  const std::string version = version_in(line);
  if (!version.empty() && !older(version, jetstream_server_version_min))
    return {};
  return fail(
      Errc::unsupported,
      fmt::format("{} is version {}, and a cell of several managers needs {} "
                  "or newer, which syncs a stream before it acknowledges: "
                  "/usr/share/reeve/packages cluster installs one "
                  "(deploy/packages cluster in a checkout)",
                  program, version.empty() ? "unknown" : version,
                  jetstream_server_version_min));
}

}  // namespace reeve::bus
