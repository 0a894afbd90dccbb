// The thread at the socket of one connection, in the place of the library's
// own two, of which the writing one waits a millisecond before each write.
//
// What is published on a thread between `begin` and `end` of a Writing leaves
// with one write of that thread; all else is written by this one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

typedef struct __natsConnection natsConnection;
typedef struct __natsOptions natsOptions;

namespace reeve::bus {

class SocketLoop {
 public:
  // With `tls` one thread at a time is at the socket, and this loop ends a
  // connection whose peer is gone: the library's timer, which must send pings
  // without a bound, would free what is in use. Gone is who neither says a word
  // nor takes one for `silence`.
  // `after_round` is called on the loop's thread when it has read and parsed
  // what came, and after `wake`.
  SocketLoop(bool tls, std::chrono::milliseconds silence,
             std::function<void()> after_round);
  // The connection is closed, and not yet destroyed.
  ~SocketLoop();
  SocketLoop(const SocketLoop&) = delete;
  SocketLoop& operator=(const SocketLoop&) = delete;

  // Before the connection is made, once.
  void attach_to(natsOptions* options);
  // With TLS, before the connection is closed: writes what is waiting and
  // keeps this loop from the socket for good.
  void leave();

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
  // The same, after whoever is at the socket.
  void write_in_turn();
  // Until the kernel takes more; false when there is no connection.
  bool await_room() const;
  void wake() const;
  // The library finds the server gone, and connects anew.
  void break_off();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve::bus
