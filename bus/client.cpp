#include "bus/client.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bus/connection.hpp"
#include "bus/retry.hpp"
#include "schema/wire.hpp"

namespace reeve::bus {
namespace {

template <class Table>
bool is(Bytes bytes, int) {
  return schema::verified<Table>(bytes) != nullptr;
}

}  // namespace

Client::Client(Connection& connection, Subjects subjects, std::string principal,
               RetryOptions retry)
    : connection_(connection),
      subjects_(std::move(subjects)),
      principal_(std::move(principal)),
      retry_(retry) {}

Expected<Buffer> Client::command(Bytes command,
                                 std::chrono::milliseconds timeout) {
  const Buffer aligned = Buffer::copy(command);
  const auto* parsed = schema::verified<schema::Command>(aligned);
  if (parsed == nullptr || command_kind(*parsed).empty())
    return fail(Errc::usage,
                fmt::format("{} bytes that are no command (at most {})",
                            command.size(), schema::command_bytes_max));
  return this->command(aligned, command_kind(*parsed), timeout);
}

Expected<Buffer> Client::command(Bytes command, std::string_view kind,
                                 std::chrono::milliseconds timeout) {
  const Buffer aligned = Buffer::copy(command);
  const auto* parsed = schema::verified<schema::Command>(aligned);
  if (parsed == nullptr)
    return fail(Errc::usage,
                fmt::format("{} bytes that are no command (at most {})",
                            command.size(), schema::command_bytes_max));
  const auto acceptable = [id = *parsed->id()](Bytes bytes, int sendings) {
    const auto* reply = schema::verified<schema::Reply>(bytes);
    return reply != nullptr && reply->command_id() != nullptr &&
           reply->command_id()->high() == id.high() &&
           reply->command_id()->low() == id.low() &&
           speaks_for_all(*reply, sendings);
  };
  return request_until_answered(connection_,
                                subjects_.command(principal_, kind), aligned,
                                timeout, retry_, acceptable);
}

Expected<Buffer> Client::query(Bytes query, std::chrono::milliseconds timeout) {
  const auto first = std::min(timeout, leader_wait);
  auto answer =
      request_until_answered(connection_, subjects_.query(principal_), query,
                             first, retry_, is<schema::Answer>);
  if (answer || answer.error().code != Errc::unreachable || first == timeout)
    return answer;
  auto other =
      request_until_answered(connection_, subjects_.standby(principal_), query,
                             timeout - first, retry_, is<schema::Answer>);
  if (!other) answer.error().text += " (nor does another manager)";
  return other ? other : answer;
}

Expected<Buffer> Client::log_read(Bytes read,
                                  std::chrono::milliseconds timeout) {
  return request_until_answered(connection_, subjects_.log_read(), read,
                                timeout, retry_, is<schema::LogChunk>);
}

Expected<Buffer> Client::log_head(std::chrono::milliseconds timeout) {
  flatbuffers::FlatBufferBuilder builder;
  const Bytes read =
      schema::finish(builder, schema::LogReadBuilder(builder).Finish());
  return request_until_answered(connection_, subjects_.log_head(), read,
                                timeout, retry_, is<schema::LogChunk>);
}

Expected<Buffer> Client::output(std::string_view agent, Bytes read,
                                std::chrono::milliseconds timeout) {
  return request_until_answered(connection_, subjects_.agent(agent, "output"),
                                read, timeout, retry_, is<schema::OutputChunk>);
}

}  // namespace reeve::bus
