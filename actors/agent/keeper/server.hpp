// The keeper's loop: one thread, one epoll, the supervisor and its clients.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/error.hpp"

namespace reeve::keeper {

inline constexpr const char* socket_name = "keeper.sock";
inline constexpr const char* lock_name = "keeper.lock";
inline constexpr std::size_t clients_max = 16;
// A client that has this much unread gets no live output until it caught up;
// the files have it all.
inline constexpr std::size_t live_backlog_bytes_max = 1u << 20;
// A client that lets this much pile up is cut off: it connects and lists anew.
inline constexpr std::size_t client_backlog_bytes_max = 64u << 20;
constexpr bool hears_live_output(std::size_t backlog_bytes) {
  return backlog_bytes <= live_backlog_bytes_max;
}
constexpr bool is_cut_off(std::size_t backlog_bytes) {
  return backlog_bytes > client_backlog_bytes_max;
}
// How long tasks get to stop when the keeper is told to end by SIGTERM.
inline constexpr unsigned terminate_grace_ms = 5000;

struct ServerConfig {
  std::string directory;            // made if needed, 0700
  std::vector<std::string> hidden;  // directories tasks must not see
  int daemon_pid = 0;               // of the agent that starts this keeper
};

// Serves until a client orders a shutdown or SIGTERM comes, and all tasks have
// ended. `ready` is called once, when clients can connect. `busy` when a
// keeper of this directory lives already.
Status serve(ServerConfig config, const std::function<void()>& ready);

}  // namespace reeve::keeper
