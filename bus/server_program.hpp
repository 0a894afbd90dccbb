// Which nats-server to run.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/error.hpp"

namespace reeve::bus {

// The oldest nats-server that syncs a stream before it acknowledges.
inline constexpr std::string_view jetstream_server_version_min = "2.10.23";

// Path of `program`: as it is with a slash in it; else from the folder of this
// program, from /usr/local/lib/reeve, or as find_program has it.
// Errc::unsupported, with what to install, when there is none.
Expected<std::string> find_server_program(const std::string& program);

// "2.10.27" of "nats-server: v2.10.27", empty for other texts.
std::string version_in(std::string_view text);
// Whether version `a` is older than `b`, number by number.
bool older(std::string_view a, std::string_view b);

// Runs `program --version`, with its output in `scratch`. Errc::unsupported,
// with what to install, when it is older than streams need.
Status check_jetstream_version(const std::string& program,
                               const std::filesystem::path& scratch);

}  // namespace reeve::bus
