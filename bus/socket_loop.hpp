// The thread at the socket of one connection, in the place of the library's
// own two, of which the writing one waits a millisecond before each write.
//
// What is published on a thread between `begin` and `end` of a Writing leaves
// with one write of that thread; all else is written by this one.
#pragma once

#include <functional>
#include <memory>

typedef struct __natsConnection natsConnection;
typedef struct __natsOptions natsOptions;

namespace reeve::bus {

class SocketLoop {
 public:
  // `after_round` is called on the loop's thread when it has read and parsed
  // what came, and after `wake`.
  explicit SocketLoop(std::function<void()> after_round);
  // The connection is closed, and not yet destroyed.
  ~SocketLoop();
  SocketLoop(const SocketLoop&) = delete;
  SocketLoop& operator=(const SocketLoop&) = delete;

  // Before the connection is made.
  void attach_to(natsOptions* options);

  // While one lives, what its thread publishes waits for `write`.
  class Writing {
   public:
    Writing();
    ~Writing();
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
  };
  // Writes what is waiting. What the kernel does not take follows by itself.
  void write();
  // Until the kernel takes more; false when there is no connection.
  bool await_room() const;
  void wake() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve::bus
