// The cell's nats-server: started as a process of its own, kept alive, told
// who may connect. On loopback it speaks plainly; where it listens beyond,
// every link is TLS. It outlives a daemon that crashes: clients stay
// connected, and the next daemon of the same data directory adopts it.
//
// Files, all mode 0600, in <data>/bus/: server.conf, server.json (pid, start
// time, port), users.json (who may connect, as last set), server.log, the
// credentials reeved.json, system.json and client.json; with TLS the
// certificates ca.pem, ca.key, server.pem, server.key; with JetStream the
// folder jetstream/.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/credentials.hpp"
#include "bus/server_config.hpp"
#include "cluster/error.hpp"

namespace reeve::bus {

struct ServerOptions {
  std::filesystem::path data_directory;
  std::string cell;
  // A loopback address, or the one to listen at with TLS; 0.0.0.0: all.
  std::string host = "127.0.0.1";
  int port = 0;  // 0: the one used before, or any free one
  // Names and addresses by which other hosts reach this server: they are in
  // its certificate, and client.json tells them.
  std::vector<std::string> advertised;
  std::string server_name;  // empty: reeve-<cell>; unique in a cluster
  std::string program = "nats-server";
  std::string principal = "local";        // whom client.json names
  std::optional<ClusterOptions> cluster;  // with TLS only
  std::optional<JetStreamOptions> jetstream;
  // How often old logs and the certificate's age are looked at.
  std::chrono::milliseconds check_interval{60'000};
  // Told from a thread of the server's: it died, it is back, it did not take
  // new users or a new certificate.
  std::function<void(const std::string&)> on_event;
};

class Server {
 public:
  // Adopts the living server of this data directory if it is ours and has the
  // same settings, else starts one. It answers on return, and knows the users
  // that it was told last. Exactly one process per data directory may hold a
  // Server: the caller has locked it.
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
  bool tls() const;
  std::uint64_t restarts() const;
  // Of Role::daemon (its url is the local one) or Role::user (client.json, as
  // it was at the start).
  Credentials credentials(Role role) const;
  // Of the system account, at the local url; with JetStream only.
  Credentials system_credentials() const;

  // Who may connect, beside the daemon and the user of client.json: the whole
  // list. Whoever is not in it any more is disconnected. Returns at once, from
  // any thread; the server's own thread makes it so. Errc::usage for a list
  // that cannot stand in the configuration, of which nothing is done then.
  Status set_users(std::vector<ServerUser> users);
  // Where the other servers of a cluster listen for servers: this one keeps a
  // route to each. Returns at once, from any thread.
  void set_routes(std::vector<Address> routes);
  // Makes the server's certificate anew, as it does by itself when a third of
  // its life is left. Returns at once, from any thread.
  void renew_certificate();
  // Ends the server, to be started again at once. Returns at once, from any
  // thread.
  void start_anew();
  // Times that the server has taken what it was told by these three.
  std::uint64_t reloads() const;

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
