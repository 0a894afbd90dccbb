// What the tests of this folder share: a private directory, a server in it,
// and small messages.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "bus/buffer.hpp"
#include "bus/connection.hpp"
#include "bus/server.hpp"
#include "bus/subject.hpp"

namespace reeve::bus::testing {

// Long enough for a machine that is busy with other things.
inline constexpr std::chrono::milliseconds patience{60'000};

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Asks `condition` until it holds; false when patience ends.
bool eventually(const std::function<bool()>& condition);

// A cell "c" with the user "local", in a directory of its own.
struct Cell {
  explicit Cell(const std::function<void(ServerOptions&)>& change = {});
  std::unique_ptr<Connection> connect(Role role, bool low_latency = true);
  ConnectionOptions options(Role role, bool low_latency = true) const;
  // Adds someone to those who may connect; the server knows it on return.
  Credentials admit(const std::string& principal, Role role,
                    const std::string& agent = {});
  // Until the server has taken it.
  void set_users(const std::vector<ServerUser>& users);

  TemporaryDirectory directory;
  std::unique_ptr<Server> server;
  std::vector<ServerUser> users;
  Subjects subjects{"c"};
};

Bytes bytes_of(std::string_view text);
std::string text_of(Bytes bytes);

Buffer make_command(std::uint64_t id, std::uint64_t session = 7);
Buffer make_reply(std::uint64_t id, std::uint64_t sequence);
// Size-prefixed, as the log has it.
Buffer make_event(std::uint64_t sequence, std::uint64_t session = 7);
Buffer make_log_chunk(std::uint64_t head, std::uint64_t from, std::uint64_t to);

}  // namespace reeve::bus::testing
