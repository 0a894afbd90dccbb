// The cell as a command sees it: one connection, questions and commands, with
// answers that are checked and errors for people.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/buffer.hpp"
#include "bus/connection.hpp"
#include "bus/subject.hpp"
#include "cluster/error.hpp"
#include "cluster/types.hpp"
#include "schema/wire.hpp"
#include "tools/cli/answers.hpp"
#include "tools/cli/context.hpp"

namespace reeve::bus {
class Client;
class Quarantine;
}  // namespace reeve::bus

namespace reeve::tools {

// A table inside the message it came in.
template <class Table>
class Held {
 public:
  Held(bus::Buffer buffer, const Table* table, std::uint64_t seq = 0)
      : buffer_(std::move(buffer)), table_(table), seq_(seq) {}
  const Table& operator*() const { return *table_; }
  const Table* operator->() const { return table_; }
  // The sequence that the answer holds for.
  std::uint64_t seq() const { return seq_; }

 private:
  bus::Buffer buffer_;
  const Table* table_;
  std::uint64_t seq_;
};

inline constexpr std::chrono::milliseconds query_timeout{10'000};
inline constexpr std::chrono::milliseconds command_timeout{60'000};

schema::Id128 random_id();

class Cell {
 public:
  // Errc::unreachable with what to do when the cell of this data directory
  // does not run. A bus that its living daemon starts anew is waited for.
  static Expected<std::unique_ptr<Cell>> connect(
      const Context& context,
      std::function<void(bus::State)> on_state = nullptr);
  // By other credentials than the directory's; tried once.
  static Expected<std::unique_ptr<Cell>> connect_by(
      const bus::Credentials& credentials,
      std::function<void(bus::State)> on_state = nullptr);
  ~Cell();

  // `body` is built in `builder`.
  Expected<Held<schema::Answer>> ask(
      flatbuffers::FlatBufferBuilder& builder, schema::QueryBody kind,
      flatbuffers::Offset<void> body,
      std::chrono::milliseconds timeout = query_timeout);

  Expected<Held<schema::SessionView>> session(
      SessionId id, std::chrono::milliseconds timeout = query_timeout);
  Expected<Held<schema::StatusAnswer>> status(
      std::chrono::milliseconds timeout = query_timeout);

  // Carries out a finished schema::Command. A rejection is an error.
  Expected<Held<schema::Reply>> command(std::span<const std::byte> bytes);
  Expected<Held<schema::Reply>> command(flatbuffers::FlatBufferBuilder& builder,
                                        schema::CommandBody kind,
                                        flatbuffers::Offset<void> body);

  // Calls visit(event) for the events of [from, to] in order until it says
  // false; `to` 0 is the head at the first answer. Returns the head.
  using EventVisitor =
      std::function<bool(const schema::Event&, const bus::Buffer&)>;
  Expected<std::uint64_t> read_log(std::uint64_t from, std::uint64_t to,
                                   const EventVisitor& visit);
  Expected<std::uint64_t> log_head();

  bus::Client& client() { return *client_; }
  bus::Connection& connection() { return *connection_; }
  bus::Quarantine& quarantine() { return *quarantine_; }
  const bus::Subjects& subjects() const;
  const std::string& name() const { return name_; }

 private:
  Cell() = default;
  static Expected<std::unique_ptr<Cell>> connect_once(
      const Context& context, std::function<void(bus::State)> on_state);
  std::string name_;
  // With the server that answers, the next command begins.
  void keep_server();
  // Of a host that runs no manager, and the first of the servers kept there.
  std::filesystem::path credentials_file_;
  std::string first_server_;
  bool told_standing_by_ = false;
  // In this order: the connection's end ends the handlers that use the rest.
  std::unique_ptr<bus::Quarantine> quarantine_;
  std::unique_ptr<bus::Connection> connection_;
  std::unique_ptr<bus::Client> client_;
};

// What a rejection says, as an error with its exit code.
Error rejection_error(const schema::Rejection& rejection);

// The running cell's answers; `cell` outlives them.
Answers answers_of(Cell& cell);

}  // namespace reeve::tools
