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
#include "cluster/identities/managers.hpp"
#include "cluster/limits.hpp"

namespace reeve::tools {

struct Config {
  std::string data;  // empty: from the command line
  // What is here: a cell with all its parts, a node of a cell that another
  // host leads, or a user's way to one.
  enum class Role { cell, agent, user } role = Role::cell;
  std::uint32_t port = 0;
  std::string cell = "main";

  struct Bus {
    // "10.0.0.1:4222"; empty: on loopback alone, on `port`.
    std::string listen;
    // Names and addresses that other hosts reach this one by.
    std::vector<std::string> advertise;
    std::uint32_t cluster_port = 6222;  // for the servers of other managers
  } bus;

  struct Manager {
    std::uint64_t queue_sessions_max = 1'000'000;
    std::uint64_t mailbox_messages_max = 65'536;
    std::uint32_t schedulers = 1;
    std::uint64_t node_lost_after_ns = cluster::node_lost_after_ns_default;
    std::string name;  // of this one among the members
    // The managers that the cell begins with, by name, with where the others
    // reach them: 1, 3 or 5. Empty: this one alone, as ever. Once the log names
    // managers, these are only where to look for them.
    std::vector<std::pair<std::string, std::string>> members;
    // The token by which this one came into a cell that was there; 0: none.
    std::uint64_t joined_by = 0;
  } manager;

  struct Agent {
    bool enabled = true;
    std::string name;                // empty: the host's name
    std::string group;               // empty: the default one
    std::uint32_t cpu_milli = 0;     // 0: all that the host has
    std::uint64_t memory_bytes = 0;  // 0: all that the host has
    std::string runtime_dir;         // empty: <data>/node
    std::string cdi_directory;       // empty: <runtime_dir>/cdi
    std::uint64_t output_bytes_max = 64ull << 20;
    std::uint64_t kept_output_bytes_max = 8ull << 30;
    std::vector<std::pair<std::string, std::string>> labels;
    std::string gpu_probe;      // empty: beside the programs
    std::string gpu_models;     // the site's own; empty: none
    std::string mps_directory;  // of the site's MPS; empty: none
    // GPUs that are tested without being asked to.
    bool test_new_gpus = true;
    bool test_quarantined_gpus = true;
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
// In bus.advertise, and the length of one.
inline constexpr std::size_t advertised_max = 16;
inline constexpr std::size_t advertised_bytes_max = 253;
using cluster::managers_max;
// Where they listen when bus.listen does not say.
inline constexpr int members_port = 4222;

// `file` names the text in errors, which tell the line. An unknown key is
// refused with the nearest known one.
Expected<Config> parse_config(std::string_view text, std::string_view file);
Expected<Config> load_config(const std::filesystem::path& file);

// Every key with its meaning and its default, as a file that parses.
std::string sample_config();

// The settings in force, one "key = value" per line, for people.
std::string explain_config(const Config& config);

}  // namespace reeve::tools
