#include "bus/client.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bus/connection.hpp"
#include "schema/wire.hpp"

namespace reeve::bus {
namespace {

template <class Table>
bool is(Bytes bytes, int) {
  return schema::verified<Table>(bytes) != nullptr;
}

}  // namespace

Client::Client(Connection& connection, Subjects subjects, std::string principal,
               RetryOptions retry, GivenUp is_given_up)
    : connection_(connection),
      subjects_(std::move(subjects)),
      principal_(std::move(principal)),
      retry_(retry),
      is_given_up_(is_given_up) {}

Expected<Buffer> Client::ask(
    std::string_view subject, Bytes data, std::chrono::milliseconds timeout,
    const std::function<bool(Bytes, int)>& acceptable) {
  return request_until_answered(connection_, subject, data, timeout, retry_,
                                acceptable, is_given_up_);
}

Expected<Buffer> Client::command(Bytes command,
                                 std::chrono::milliseconds timeout,
                                 Before before) {
  const Buffer aligned = Buffer::copy(command);
  const auto* parsed = schema::verified<schema::Command>(aligned);
  if (parsed == nullptr || command_kind(*parsed).empty())
    return fail(Errc::usage,
                fmt::format("{} bytes that are no command (at most {})",
                            command.size(), schema::command_bytes_max));
  return this->command(aligned, command_kind(*parsed), timeout, before);
}

Expected<Buffer> Client::command(Bytes command, std::string_view kind,
                                 std::chrono::milliseconds timeout,
                                 Before before) {
  const Buffer aligned = Buffer::copy(command);
  const auto* parsed = schema::verified<schema::Command>(aligned);
  if (parsed == nullptr)
    return fail(Errc::usage,
                fmt::format("{} bytes that are no command (at most {})",
                            command.size(), schema::command_bytes_max));
  const int sent = before == Before::sent ? 1 : 0;
  const auto acceptable = [id = *parsed->id(), sent](Bytes bytes,
                                                     int sendings) {
    const auto* reply = schema::verified<schema::Reply>(bytes);
    return reply != nullptr && reply->command_id() != nullptr &&
           reply->command_id()->high() == id.high() &&
           reply->command_id()->low() == id.low() &&
           speaks_for_all(*reply, sent + sendings);
  };
  return ask(subjects_.command(principal_, kind), aligned, timeout, acceptable);
}

Expected<Buffer> Client::query(Bytes query, std::chrono::milliseconds timeout) {
  const auto first = std::min(timeout, leader_wait);
  auto answer =
      ask(subjects_.query(principal_), query, first, is<schema::Answer>);
  if (answer || answer.error().code != Errc::unreachable || first == timeout ||
      (is_given_up_ != nullptr && is_given_up_()))
    return answer;
  auto other = ask(subjects_.standby(principal_), query, timeout - first,
                   is<schema::Answer>);
  if (!other) answer.error().text += " (nor does another manager)";
  return other ? other : answer;
}

Expected<Buffer> Client::log_read(Bytes read,
                                  std::chrono::milliseconds timeout) {
  return ask(subjects_.log_read(), read, timeout, is<schema::LogChunk>);
}

Expected<Buffer> Client::log_head(std::chrono::milliseconds timeout) {
  flatbuffers::FlatBufferBuilder builder;
  const Bytes read =
      schema::finish(builder, schema::LogReadBuilder(builder).Finish());
  return ask(subjects_.log_head(), read, timeout, is<schema::LogChunk>);
}

Expected<Buffer> Client::output(std::string_view agent, Bytes read,
                                std::chrono::milliseconds timeout) {
  return ask(subjects_.agent(agent, "output"), read, timeout,
             is<schema::OutputChunk>);
}

}  // namespace reeve::bus
