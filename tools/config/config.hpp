// The settings of one node: one TOML file, each key documented in one table
// that gives parsing, the checks, the sample file and the explanation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::tools {

struct Config {
  std::string data;  // empty: from the command line
  std::uint32_t port = 0;
  std::string cell = "main";

  struct Manager {
    std::uint64_t queue_sessions_max = 1'000'000;
    std::uint64_t mailbox_messages_max = 65'536;
    std::uint32_t schedulers = 1;
  } manager;

  struct Agent {
    bool enabled = true;
    std::string name;                // empty: the host's name
    std::string group;               // empty: the default one
    std::uint32_t cpu_milli = 0;     // 0: all that the host has
    std::uint64_t memory_bytes = 0;  // 0: all that the host has
    std::string runtime_dir;         // empty: <data>/node
    std::uint64_t output_bytes_max = 64ull << 20;
    std::uint64_t kept_output_bytes_max = 8ull << 30;
    std::vector<std::pair<std::string, std::string>> labels;
  } agent;

  struct Log {
    std::uint64_t floor_bytes = 64ull << 20;
    std::uint64_t snapshot_every_events = 125'000;
    std::uint64_t snapshots_bytes_max = 1ull << 30;
  } log;

  struct Metrics {
    std::string listen;  // "127.0.0.1:9400"; empty: nowhere
  } metrics;
};

inline constexpr std::size_t config_bytes_max = 1 << 20;

// `file` names the text in errors, which tell the line. An unknown key is
// refused with the nearest known one.
Expected<Config> parse_config(std::string_view text, std::string_view file);
Expected<Config> load_config(const std::filesystem::path& file);

// Every key with its meaning and its default, as a file that parses.
std::string sample_config();

// The settings in force, one "key = value" per line, for people.
std::string explain_config(const Config& config);

}  // namespace reeve::tools
