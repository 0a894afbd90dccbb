// The configuration of the cell's nats-server, and who may do what on it.
// Pure text.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace reeve::bus {

// The daemon's own connections: everything of the cell.
inline constexpr std::string_view daemon_principal = "reeved";

inline constexpr int server_connections_max = 4'096;
// What may wait in the server for one slow connection before it is closed.
inline constexpr std::size_t server_pending_bytes_max = 64 << 20;
inline constexpr std::size_t server_log_bytes_max = 4 << 20;

struct ServerUser {
  std::string principal;
  std::string password;
  std::vector<std::string> may_publish;
  std::vector<std::string> may_subscribe;
};

ServerUser daemon_user(std::string_view cell, std::string password);
// Sends its own commands and queries, reads the log and outputs; receives
// events, live output and its own answers.
ServerUser plain_user(std::string_view cell, std::string_view principal,
                      std::string password);

// A principal or cell name that may stand in the configuration:
// [A-Za-z0-9._@-], 1 to 64 of them.
bool valid_name(std::string_view name);

std::string server_config(std::string_view cell, int port,
                          const std::filesystem::path& log_file,
                          const std::vector<ServerUser>& users);

}  // namespace reeve::bus
