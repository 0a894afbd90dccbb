// Real nats-servers with JetStream for tests, on free loopback ports: one, or
// several that are one cluster. They sync before they acknowledge.
#pragma once

#include <boost/json/object.hpp>
#include <boost/test/tree/decorator.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/child.hpp"
#include "bus/connection.hpp"
#include "bus/nkey.hpp"
#include "bus/test_support.hpp"

namespace reeve::bus::testing {

// A decorator of suites and cases that need such servers: they are skipped
// where there is no nats-server of the version, with a sentence. The program
// is REEVE_NATS_SERVER, else the one that a cell would run.
boost::unit_test::decorator::precondition needs_jetstream();

class JetStreamServers {
 public:
  // They answer, and the stream API has a leader, on return.
  explicit JetStreamServers(int count);
  ~JetStreamServers();

  int count() const { return static_cast<int>(servers_.size()); }
  // To server `first`, or to the next ones when it is away. As a manager.
  std::unique_ptr<Connection> connect(int first = 0) const;

  void start(int server);
  void signal(int server, int number);
  void kill(int server);  // SIGKILL; it has ended on return
  void remove(const std::string& stream) const;

  // The server that leads this stream; -1: none at the moment.
  int leader_of(const std::string& stream) const;
  // Whether all servers have what its leader has.
  bool whole(const std::string& stream) const;
  // Makes the leader give that up.
  void step_down(const std::string& stream) const;

 private:
  struct One {
    int port = 0;
    int route_port = 0;
    Child process;
  };
  std::optional<boost::json::object> cluster_of(
      const std::string& stream) const;
  std::filesystem::path folder(int server) const;
  void write_config(int server) const;
  bool try_to_start();
  bool await_leader();
  bool await_peers() const;

  TemporaryDirectory directory_;
  std::string program_;
  UserKey key_ = make_user_key();
  std::vector<One> servers_;
};

}  // namespace reeve::bus::testing
