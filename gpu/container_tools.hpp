// NVIDIA's programs that give containers GPUs, as container engines call them:
// which there are, their versions, and from which version on no way out of a
// container through them is known. All but `find_container_tools` is pure.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reeve::gpu {

struct ToolVersion {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  bool released = true;  // false: a release candidate, which is before it

  auto operator<=>(const ToolVersion&) const = default;
};

// All of one release have one version.
inline constexpr std::array<std::string_view, 3> container_tools = {
    "nvidia-container-cli", "nvidia-container-runtime", "nvidia-ctk"};
// With the fixes of all that is named in container_tools.cpp.
inline constexpr ToolVersion container_tools_least{1, 17, 8};

struct ContainerTool {
  std::string path;
  std::string output;  // of --version; empty: it did not answer
};

// From what the program prints for --version; nothing: it does not tell.
std::optional<ToolVersion> tool_version(std::string_view output);
std::string to_text(const ToolVersion& version);

// What is wrong with it, as a sentence that begins with its path; empty:
// nothing.
std::string tool_problem(const ContainerTool& tool);
// What to do about it.
std::string tool_remedy();

// A program that has not ended by then is killed.
inline constexpr std::chrono::milliseconds tool_deadline{1'000};
// More of what one prints is thrown away.
inline constexpr std::size_t tool_output_bytes_max = 4'096;

// Those there are in these directories, each where it is found first, and what
// they print. Runs them one after the other.
std::vector<ContainerTool> find_container_tools(
    const std::vector<std::string>& directories = {"/usr/bin", "/usr/local/bin",
                                                   "/usr/sbin"},
    std::chrono::milliseconds deadline = tool_deadline);

}  // namespace reeve::gpu
