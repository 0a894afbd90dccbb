// The cell's nats-server: started as a process of its own on loopback, with
// generated credentials, and kept alive. It outlives a daemon that crashes:
// clients stay connected, and the next daemon of the same data directory
// adopts it. Files, all mode 0600, in <data>/bus/: server.conf, server.json
// (pid, start time, port), server.log, and the credentials reeved.json and
// client.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "bus/credentials.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

struct ServerOptions {
  std::filesystem::path data_directory;
  std::string cell;
  int port = 0;  // 0: the one used before, or any free one
  std::string program = "nats-server";
  std::string principal = "local";  // whom client.json names
  // Told from a thread of the server's: it died, it is back.
  std::function<void(const std::string&)> on_event;
};

enum class Role {
  daemon,  // everything of the cell
  user,    // what the command line needs
};

class Server {
 public:
  // Adopts the living server of this data directory if it is ours and has the
  // same settings, else starts one. It answers on return. Exactly one process
  // per data directory may hold a Server: the caller has locked it.
  static Expected<std::unique_ptr<Server>> start_or_adopt(
      const ServerOptions& options);

  // Ends the server that a dead daemon of this directory left; the caller has
  // locked it or knows that no daemon lives. Returns its pid; 0: none lived.
  static int end_orphan(const std::filesystem::path& data_directory);

  // Stops the server, unless released.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url() const;
  int port() const;
  int pid() const;  // of the server now; changes when it was restarted
  bool adopted() const;
  std::uint64_t restarts() const;
  Credentials credentials(Role role) const;

  // Ends the server for good: SIGTERM, SIGKILL after 5 s.
  void stop();
  // Stops watching and lets the server run for the next daemon.
  void release();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reeve::bus
