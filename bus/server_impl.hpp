// What a Server is inside, shared by its two sources: server.cpp adopts or
// starts, server_watch.cpp keeps it alive and tells it what is new.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bus/child.hpp"
#include "bus/ended_streams.hpp"
#include "bus/server.hpp"
#include "bus/server_files.hpp"

namespace reeve::bus {

// SIGKILL follows SIGTERM after it.
inline constexpr std::chrono::milliseconds server_stop_grace{5'000};

struct Server::Impl {
  explicit Impl(const ServerOptions& given)
      : options(given),
        directory(std::filesystem::absolute(given.data_directory) / "bus"),
        tls(!is_loopback(given.host)),
        stop_event(::eventfd(0, EFD_CLOEXEC)),
        work_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        routes(given.cluster ? given.cluster->routes : std::vector<Address>()) {
  }
  ~Impl() {
    ::close(stop_event);
    ::close(work_event);
  }

  Status check_options() const;
  Status prepare();
  // Returns the public key.
  Expected<std::string> load_or_make(std::string_view principal,
                                     const char* file,
                                     Credentials& credentials);
  std::vector<std::string> certificate_names() const;
  Expected<bool> keep_certificate(bool anew);
  void set_urls();
  std::string config_text() const;
  Expected<bool> adopt(const ServerRecord& record);
  Status start();
  Status start_on_some_port(int port_before);
  Status launch();
  Status launch_once();
  Status wait_ready();
  Status answers(std::chrono::milliseconds timeout) const;
  Status save();
  void watch();
  std::chrono::milliseconds next_look() const;
  void watch_streams();
  void end_child();
  void restart();
  struct Work {
    std::optional<std::vector<ServerUser>> users;
    std::optional<std::vector<Address>> routes;
    bool certificate = false;
  };
  Work take_work();
  void put_back(Work work);
  void keep_up();
  Status perform(const Work& work);
  Status write_config();
  Status reload();
  bool stop_requested(std::chrono::milliseconds timeout) const;
  void end_watch();
  void prune_logs() const;
  void tell(const std::string& text) const {
    if (options.on_event) options.on_event(text);
  }

  const ServerOptions options;
  const std::filesystem::path directory;
  const bool tls;
  const int stop_event;
  const int work_event;
  std::string program;
  int port = 0;
  Credentials daemon;
  Credentials user;
  Credentials system;
  std::string system_key;
  std::vector<ServerUser> own_users;
  bool adopted = false;

  // The watcher's, while there is one.
  Child child;
  std::vector<ServerUser> users;
  std::vector<Address> routes;
  bool unread = false;  // the files say what the server has not read
  std::atomic<bool> anew_wanted{false};
  std::uintmax_t log_seen = 0;  // bytes of the server's log
  EndedStreams ended_streams;

  std::mutex mutex;
  Work wanted;  // guarded by `mutex`
  std::atomic<int> pid{0};
  std::atomic<std::uint64_t> restarts{0};
  std::atomic<std::uint64_t> reloads{0};
  std::thread watcher;
};

}  // namespace reeve::bus
