// The files by which a host is of a cell that it joined, as text: settings and
// a systemd unit. Pure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/config/config.hpp"

namespace reeve::tools {

struct JoinedHost {
  Config::Role role = Config::Role::agent;
  std::string cell;
  std::string name;   // of the node or user
  std::string group;  // of a node; empty: the default one
  std::vector<std::pair<std::string, std::string>> labels;
  // Of a manager (role cell): all of them, and where they listen.
  std::vector<std::pair<std::string, std::string>> members;
  std::uint64_t joined_by = 0;  // the token
  std::uint32_t port = 0;
  std::uint32_t cluster_port = 0;
};

// Parses to what it was made of (tools/config).
std::string joined_settings(const JoinedHost& host);

// deploy/systemd/reeved.service, for the daemon of this directory.
std::string unit_text(const std::filesystem::path& data,
                      const std::filesystem::path& reeved);

// As in the source tree: see reeve_embed in CMakeLists.txt.
extern const std::string_view sample_unit;

}  // namespace reeve::tools
