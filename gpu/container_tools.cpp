#include "gpu/container_tools.hpp"

#include <fmt/format.h>

#include <charconv>

namespace reeve::gpu {
namespace {

// A way out of a container, and the first version without it.
struct Escape {
  std::string_view name;
  ToolVersion fixed;
};

// From NVIDIA's security bulletins. CVE-2026-24260 is not here: in which
// version it is fixed was not known when this was written.
constexpr Escape escapes[] = {{"CVE-2024-0132", {1, 16, 2}},
                              {"CVE-2024-0135", {1, 17, 1}},
                              {"CVE-2025-23359", {1, 17, 4}},
                              {"CVE-2025-23266", {1, 17, 8}},
                              {"CVE-2025-23267", {1, 17, 8}}};

constexpr bool all_are_fixed() {
  for (const Escape& escape : escapes)
    if (container_tools_least < escape.fixed) return false;
  return true;
}
static_assert(all_are_fixed());

// "1.17.8" or "1.17.0-rc.1", and nothing else.
std::optional<ToolVersion> parse_version(std::string_view word) {
  ToolVersion version;
  unsigned* const parts[] = {&version.major, &version.minor, &version.patch};
  const char* at = word.data();
  const char* const end = word.data() + word.size();
  for (unsigned* part : parts) {
    if (part != parts[0] && (at == end || *at++ != '.')) return std::nullopt;
    const auto [next, error] = std::from_chars(at, end, *part);
    if (error != std::errc()) return std::nullopt;
    at = next;
  }
  version.released = at == end;
  if (at != end && *at != '-' && *at != '~' && *at != '+') return std::nullopt;
  if (at != end && *at == '+') version.released = true;
  return version;
}

}  // namespace

// "cli-version: 1.14.3" or "NVIDIA Container Toolkit CLI version 1.14.3". What
// follows may tell of other programs, so the first counts.
std::optional<ToolVersion> tool_version(std::string_view output) {
  constexpr std::string_view blanks = " \t\r\n";
  bool announced = false;
  while (true) {
    const auto begin = output.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return std::nullopt;
    output.remove_prefix(begin);
    const auto word = output.substr(0, output.find_first_of(blanks));
    output.remove_prefix(word.size());
    if (announced) return parse_version(word);
    announced = word == "version" || word == "cli-version:";
  }
}

std::string to_text(const ToolVersion& version) {
  return fmt::format("{}.{}.{}{}", version.major, version.minor, version.patch,
                     version.released ? "" : " (before its release)");
}

std::string tool_problem(const ContainerTool& tool) {
  const auto version = tool_version(tool.output);
  if (!version)
    return fmt::format(
        "{} does not tell its version: containers may get out through it where "
        "it is older than {}",
        tool.path, to_text(container_tools_least));
  std::string names;
  for (const Escape& escape : escapes)
    if (*version < escape.fixed)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", escape.name);
  if (names.empty()) return {};
  return fmt::format(
      "{} is of version {}: containers may get out through it "
      "({})",
      tool.path, to_text(*version), names);
}

std::string tool_remedy() {
  return fmt::format("install nvidia-container-toolkit {} or newer",
                     to_text(container_tools_least));
}

}  // namespace reeve::gpu
