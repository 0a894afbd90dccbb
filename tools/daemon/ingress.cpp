#include "tools/daemon/ingress.hpp"

#include <fmt/format.h>

#include <caf/send.hpp>

#include "actors/manager/messages.hpp"
#include "actors/system/messages.hpp"
#include "actors/system/traced.hpp"
#include "bus/retry.hpp"
#include "bus/subject.hpp"
#include "bus/verified.hpp"

namespace reeve::tools {
namespace {

using actors::FromBus;

std::uint64_t waiting(const caf::actor& actor) {
  auto* pointer = caf::actor_cast<caf::abstract_actor*>(actor);
  const auto& record = dynamic_cast<actors::TracedActor&>(*pointer).record();
  const std::uint64_t handled = record->handled;
  const std::uint64_t enqueued = record->enqueued;
  return enqueued > handled ? enqueued - handled : 0;
}

// Who asks, if an answer may go where it says.
std::optional<std::string> asker(const Ingress& ingress,
                                 const bus::Message& message) {
  auto principal = ingress.subjects.principal_of(message.subject);
  if (!principal) return std::nullopt;
  const bool agent = principal->rfind("agent-", 0) == 0;
  if (message.reply.empty() ||
      bus::Subjects::may_answer(*principal, message.reply) ||
      (agent &&
       bus::Subjects::may_answer(ingress.daemon_principal, message.reply)))
    return principal;
  return std::nullopt;
}

void refuse(const Ingress& ingress, const schema::Command& command,
            const bus::Message& message, const cluster::Rejection& why) {
  if (ingress.leads && !ingress.leads()) return;
  (void)ingress.answers.publish(message.reply,
                                manager::encode_rejection(*command.id(), why));
}

cluster::Rejection busy(std::uint64_t depth, std::uint64_t bound) {
  return {cluster::RejectCode::try_again, bus::unread_rule,
          fmt::format("{} messages wait for the manager and the bound is {}: "
                      "try again",
                      depth, bound),
          bound, depth};
}

cluster::Rejection too_long(const schema::Command& command, std::size_t bytes,
                            std::size_t bound) {
  return {cluster::RejectCode::over_limit, "short_command_bytes_max",
          fmt::format("{} has at most {} bytes, and this one has {}: shorten "
                      "its texts",
                      bus::command_kind(command), bound, bytes),
          bound, bytes};
}

void on_command(const Ingress& ingress, const schema::Command& command,
                const bus::Message& message) {
  auto principal = asker(ingress, message);
  if (!principal) {
    ingress.quarantine.add("Command", message.subject, message.data,
                           "its answer would go to a foreign inbox");
    return;
  }
  const std::size_t bytes = message.data.size();
  const std::size_t bytes_max = command_bytes_max_of(command.body_type());
  if (bytes > bytes_max)
    return refuse(ingress, command, message,
                  too_long(command, bytes, bytes_max));
  const std::uint64_t depth = waiting(ingress.manager);
  const std::uint64_t bound =
      unread_max(command.body_type(), ingress.mailbox_messages_max);
  if (depth > bound)
    return refuse(ingress, command, message, busy(depth, bound));
  caf::anon_send(
      ingress.manager,
      FromBus{FromBus::Kind::command, std::move(*principal), message.hold()});
}

void on_query(const Ingress& ingress, const schema::Query&,
              const bus::Message& message) {
  auto principal = asker(ingress, message);
  if (!principal || waiting(ingress.manager) > ingress.mailbox_messages_max) {
    if (!principal)
      ingress.quarantine.add("Query", message.subject, message.data,
                             "its answer would go to a foreign inbox");
    return;  // the asker asks again
  }
  caf::anon_send(
      ingress.manager,
      FromBus{FromBus::Kind::query, std::move(*principal), message.hold()});
}

void on_log_read(const Ingress& ingress, const schema::LogRead&,
                 const bus::Message& message) {
  if (message.reply.rfind("_INBOX.", 0) != 0) return;
  if (!ingress.log_reads.enter()) return;  // the asker asks again
  caf::anon_send(ingress.log_reader,
                 FromBus{FromBus::Kind::log_read, {}, message.hold()});
}

// The server lets an agent publish under its own name alone, so the subject
// says who speaks. A real agent's node has its name.
bool speaks_for_itself(const Ingress& ingress, const bus::Message& message,
                       const char* kind, std::string_view agent,
                       std::string_view node) {
  if (message.subject == ingress.subjects.stat(agent) && node == agent)
    return true;
  ingress.quarantine.add(kind, message.subject, message.data,
                         fmt::format("it speaks for agent {} and node {}, "
                                     "which are not its sender's",
                                     agent, node));
  return false;
}

// Heartbeats, and the figures of GPUs, which do not concern the manager.
void on_stat(const Ingress& ingress, const bus::Message& message) {
  if (const auto* stats = schema::verified<schema::NodeStats>(message.data)) {
    if (ingress.on_node_stats &&
        speaks_for_itself(ingress, message, "NodeStats",
                          schema::text(stats->agent()),
                          schema::text(stats->node())))
      ingress.on_node_stats(message);
  } else if (const auto* beat =
                 schema::verified<schema::Heartbeat>(message.data)) {
    const std::string_view agent = schema::text(beat->agent());
    if (speaks_for_itself(ingress, message, "Heartbeat", agent, agent))
      caf::anon_send(ingress.manager,
                     FromBus{FromBus::Kind::heartbeat, {}, message.hold()});
  } else {
    bus::quarantine_message<schema::Heartbeat>(ingress.quarantine, message);
  }
}

}  // namespace

std::size_t command_bytes_max_of(schema::CommandBody kind) {
  switch (kind) {
    case schema::CommandBody::Join:
    case schema::CommandBody::Leave:
    case schema::CommandBody::QuarantineDevice:
    case schema::CommandBody::ReportTest: return short_command_bytes_max;
    default: return schema::command_bytes_max;
  }
}

std::uint64_t unread_max(schema::CommandBody kind,
                         std::uint64_t mailbox_messages_max) {
  const bool urgent = kind == schema::CommandBody::ReportFacts ||
                      kind == schema::CommandBody::CancelSession;
  return urgent ? urgent_room_max * mailbox_messages_max : mailbox_messages_max;
}

Status open_ingress(const Ingress& ingress) {
  const auto subscribe = [&]<class Table>(const std::string& pattern,
                                          auto handle, Table*) {
    return bus::subscribe_verified<Table>(
        ingress.requests, pattern, ingress.quarantine,
        [&ingress, handle](const Table& table, const bus::Message& message) {
          handle(ingress, table, message);
        });
  };
  const bus::Subjects& subjects = ingress.subjects;
  Status status = subscribe(subjects.commands(), on_command,
                            static_cast<schema::Command*>(nullptr));
  if (status)
    status = subscribe(subjects.queries(), on_query,
                       static_cast<schema::Query*>(nullptr));
  if (status)
    status = ingress.requests.subscribe(
        subjects.stats(),
        [&ingress](const bus::Message& m) { on_stat(ingress, m); });
  if (status)
    status = subscribe(subjects.log_read(), on_log_read,
                       static_cast<schema::LogRead*>(nullptr));
  if (status)
    status = subscribe(subjects.log_head(), on_log_read,
                       static_cast<schema::LogRead*>(nullptr));
  return status;
}

}  // namespace reeve::tools
