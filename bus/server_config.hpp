// The configuration of the cell's nats-server, and who may do what on it.
// Pure text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/address.hpp"

namespace reeve::bus {

// The daemon's own connections: everything of the cell.
inline constexpr std::string_view daemon_principal = "reeved";
// And the one by which it tells the servers of a cluster which of them are
// gone (bus/cluster_servers.hpp).
inline constexpr std::string_view system_principal = "reeved-system";

// Two of each node, and three of each manager: far more than members.
inline constexpr int server_connections_max = 32'768;
// What may wait in the server for one slow connection before it is closed.
inline constexpr std::size_t server_pending_bytes_max = 64 << 20;
inline constexpr std::size_t server_log_bytes_max = 4 << 20;
// Principals that a server knows, its own two not counted.
inline constexpr std::size_t server_users_max = 20'000;
// Answers that one request to an agent may get, and how long after it.
inline constexpr int responses_max = 1;
inline constexpr int response_seconds_max = 120;

enum class Role {
  daemon,   // this server's manager: everything of the cell
  manager,  // one of another host: the same
  user,     // what the command line needs
  agent,    // its own node: orders, facts, figures, output
  token,    // to join, and nothing else
};

// The commands that an agent sends (bus/subject.hpp, command_kind).
inline constexpr std::string_view agent_commands[] = {
    "register_nodes", "report_facts", "report_test", "quarantine_device",
    "leave"};

struct ServerUser {
  std::string principal;  // a valid_name
  Role role = Role::user;
  std::string public_key;  // its nkey, U...
  // Of an agent: its name, which its subjects carry; else empty.
  std::string agent;

  bool operator==(const ServerUser&) const = default;
};

struct Permissions {
  std::vector<std::string> publish;
  std::vector<std::string> subscribe;
  bool responses = false;  // may answer who asks it
};

// `jetstream`: the server keeps streams, which managers use.
Permissions permissions_of(std::string_view cell, const ServerUser& user,
                           bool jetstream);

// A principal or cell name that may stand in the configuration:
// [A-Za-z0-9._@-], 1 to 64 of them.
bool valid_name(std::string_view name);

struct TlsFiles {
  std::filesystem::path authorities;  // ca.pem
  std::filesystem::path certificate;  // server.pem
  std::filesystem::path key;          // server.key
};

// Several servers that are one bus. Each shows its certificate to the others.
struct ClusterOptions {
  Address listen;
  std::vector<Address> routes;  // the other servers
};

// What the server keeps of streams; each answer to one follows its sync.
struct JetStreamOptions {
  std::uint64_t memory_bytes_max = 64u << 20;
  std::uint64_t file_bytes_max = 8ull << 30;
};

struct ServerConfig {
  std::string cell;
  std::string server_name;  // unique among the servers of a cluster
  Address listen;
  std::filesystem::path log_file;
  std::vector<ServerUser> users;
  std::string system_key;       // of the system account; empty: nobody has it
  std::optional<TlsFiles> tls;  // none: only on loopback
  std::optional<ClusterOptions> cluster;
  std::optional<JetStreamOptions> jetstream;
  std::filesystem::path jetstream_directory;
};

std::string server_config(const ServerConfig& config);

}  // namespace reeve::bus
