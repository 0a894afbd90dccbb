// A daemon's connections to the bus: one for each flow, so that none waits
// behind another. A node has the first two alone: thousands of them share one
// bus, which pays for each connection in memory and, when it comes again, in
// time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "bus/connection.hpp"
#include "bus/credentials.hpp"
#include "cluster/error.hpp"

namespace reeve::tools {

struct Links {
  std::unique_ptr<bus::Connection> events;    // events and live output, out
  std::unique_ptr<bus::Connection> answers;   // answers and orders, at once
  std::unique_ptr<bus::Connection> requests;  // what comes in, of a cell
  // Between managers: the log's stream, the lease, who lives. Of several alone,
  // and theirs to take.
  std::unique_ptr<bus::Connection> members;

  static Expected<Links> open(const bus::Credentials& credentials);
  // Of a node. `on_sent_away`: a server does not know the key any more, and
  // one of these is closed for good. From a thread of the bus library.
  static Expected<Links> open_node(const bus::Credentials& credentials,
                                   std::function<void()> on_sent_away);
  // The one for members, too.
  Status open_members(const bus::Credentials& credentials);

  // Nothing comes in any more.
  void close_requests();
  // What was said last may still leave.
  void close();

 private:
  std::shared_ptr<std::atomic<bool>> leaving_ =
      std::make_shared<std::atomic<bool>>(false);
};

}  // namespace reeve::tools
