#include "bus/subject.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "schema/json.hpp"
#include "schema/wire.hpp"

namespace reeve::bus {
namespace {

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Calls fn(token, last) for each token until it returns false.
template <class Fn>
bool all_tokens(std::string_view subject, Fn&& fn) {
  for (;;) {
    const std::size_t dot = subject.find('.');
    const bool last = dot == std::string_view::npos;
    if (!fn(subject.substr(0, dot), last)) return false;
    if (last) return true;
    subject.remove_prefix(dot + 1);
  }
}

bool valid_token(std::string_view token) {
  if (token.empty()) return false;
  for (const char c : token)
    if (c <= ' ' || c >= 0x7F || c == '*' || c == '>') return false;
  return true;
}

// Kind names of a union in snake case, made once.
template <std::size_t count>
std::array<std::string, count> snake_names(const char* const* names) {
  std::array<std::string, count> all;
  for (std::size_t i = 1; i < count; ++i) all[i] = schema::snake_case(names[i]);
  return all;
}

std::string_view event_kind(schema::EventBody kind) {
  static const auto names =
      snake_names<static_cast<std::size_t>(schema::EventBody::MAX) + 1>(
          schema::EnumNamesEventBody());
  const auto index = static_cast<std::size_t>(kind);
  return index == 0 || index >= names.size() ? std::string_view("unknown")
                                             : names[index];
}

// What an event is about: the entity's word and its number.
struct Entity {
  std::string_view word;
  std::uint64_t id = 0;
};

Entity entity_of(const schema::Event& event) {
  using schema::EventBody;
  const auto session = [](const auto* body) {
    return Entity{"session", body->session()};
  };
  const auto node = [](const auto* body) {
    return Entity{"node", body->node()};
  };
  switch (event.body_type()) {
    case EventBody::NodeRegistered: return node(event.body_as_NodeRegistered());
    case EventBody::NodeLost: return node(event.body_as_NodeLost());
    case EventBody::NodeReturned: return node(event.body_as_NodeReturned());
    case EventBody::NodeDrained: return node(event.body_as_NodeDrained());
    case EventBody::NodeResumed: return node(event.body_as_NodeResumed());
    case EventBody::NodeRemoved: return node(event.body_as_NodeRemoved());
    case EventBody::DeviceQuarantined:
      return node(event.body_as_DeviceQuarantined());
    case EventBody::DeviceReleased: return node(event.body_as_DeviceReleased());
    case EventBody::DeviceTestRequested:
      return node(event.body_as_DeviceTestRequested());
    case EventBody::DeviceTested: return node(event.body_as_DeviceTested());
    case EventBody::SessionSubmitted:
      return session(event.body_as_SessionSubmitted());
    case EventBody::SessionPlaced:
      return session(event.body_as_SessionPlaced());
    case EventBody::TaskStarted: return session(event.body_as_TaskStarted());
    case EventBody::TaskExited: return session(event.body_as_TaskExited());
    case EventBody::DeadlinePassed:
      return session(event.body_as_DeadlinePassed());
    case EventBody::SessionStopping:
      return session(event.body_as_SessionStopping());
    case EventBody::SessionRequeued:
      return session(event.body_as_SessionRequeued());
    case EventBody::SessionWarned:
      return session(event.body_as_SessionWarned());
    case EventBody::SessionEnded: return session(event.body_as_SessionEnded());
    case EventBody::CellCreated:
    case EventBody::EpochStarted:
    case EventBody::GroupCreated:
    case EventBody::ProjectCreated:
    case EventBody::UserCreated:
    case EventBody::AccountChanged:
    case EventBody::AccountRemoved:
    case EventBody::QuotaSet:
    case EventBody::QuotaRemoved:
    case EventBody::ReservationSet:
    case EventBody::ReservationRemoved:
    case EventBody::TokenCreated:
    case EventBody::TokenRevoked:
    case EventBody::IdentityAdded:
    case EventBody::IdentityRemoved:
    case EventBody::LogHealed:
    case EventBody::NONE: break;
  }
  return {"cell", 0};
}

}  // namespace

std::string escape_token(std::string_view name) {
  if (name.empty()) return "=";
  std::string token;
  for (const char c : name) {
    if (plain(c)) {
      token += c;
    } else {
      fmt::format_to(std::back_inserter(token), "={:02x}",
                     static_cast<unsigned char>(c));
    }
  }
  return token;
}

std::optional<std::string> unescape_token(std::string_view token) {
  if (token == "=") return std::string();
  if (token.empty()) return std::nullopt;
  std::string name;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (plain(token[i])) {
      name += token[i];
      continue;
    }
    if (token[i] != '=' || i + 2 >= token.size()) return std::nullopt;
    const int high = hex_digit(token[i + 1]);
    const int low = hex_digit(token[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    const char c = static_cast<char>(high * 16 + low);
    if (plain(c)) return std::nullopt;
    name += c;
    i += 2;
  }
  return name;
}

bool valid_subject(std::string_view subject) {
  if (subject.size() > subject_bytes_max) return false;
  return all_tokens(
      subject, [](std::string_view token, bool) { return valid_token(token); });
}

bool valid_pattern(std::string_view pattern) {
  if (pattern.size() > subject_bytes_max) return false;
  return all_tokens(pattern, [](std::string_view token, bool last) {
    return token == "*" || (last && token == ">") || valid_token(token);
  });
}

std::string inbox_prefix(std::string_view principal) {
  return "_INBOX." + escape_token(principal);
}

std::string_view command_kind(const schema::Command& command) {
  static const auto names =
      snake_names<static_cast<std::size_t>(schema::CommandBody::MAX) + 1>(
          schema::EnumNamesCommandBody());
  const auto index = static_cast<std::size_t>(command.body_type());
  return index >= names.size() ? std::string_view() : names[index];
}

Subjects::Subjects(std::string_view cell)
    : prefix_("reeve." + escape_token(cell) + ".") {}

std::string Subjects::command(std::string_view principal,
                              std::string_view kind) const {
  return prefix_ + "cmd." + escape_token(principal) + "." + escape_token(kind);
}

std::string Subjects::query(std::string_view principal) const {
  return prefix_ + "qry." + escape_token(principal);
}

std::string Subjects::event(const schema::Event& event) const {
  const Entity entity = entity_of(event);
  return fmt::format("{}evt.{}.{}.{}", prefix_, entity.word, entity.id,
                     event_kind(event.body_type()));
}

std::string Subjects::agent(std::string_view agent,
                            std::string_view verb) const {
  return prefix_ + "agent." + escape_token(agent) + "." + escape_token(verb);
}

std::string Subjects::stat(std::string_view agent) const {
  return prefix_ + "stat." + escape_token(agent);
}

std::string Subjects::output(std::string_view agent, std::uint64_t session,
                             std::uint32_t rank) const {
  return fmt::format("{}out.{}.{}.{}", prefix_, escape_token(agent), session,
                     rank);
}

std::string Subjects::member(std::string_view manager,
                             std::string_view verb) const {
  return prefix_ + "member." + escape_token(manager) + "." + escape_token(verb);
}

std::string Subjects::members(std::string_view verb) const {
  return prefix_ + "member.*." + escape_token(verb);
}

std::string Subjects::standby(std::string_view principal) const {
  return prefix_ + "standby." + escape_token(principal);
}
std::string Subjects::standbys() const {
  return prefix_ + "standby.*";
}

std::string Subjects::log() const {
  return prefix_ + "log";
}
std::string Subjects::log_read() const {
  return prefix_ + "log.read";
}
std::string Subjects::log_head() const {
  return prefix_ + "log.head";
}
std::string Subjects::commands() const {
  return prefix_ + "cmd.*.*";
}
std::string Subjects::queries() const {
  return prefix_ + "qry.*";
}
std::string Subjects::events() const {
  return prefix_ + "evt.>";
}
std::string Subjects::outputs() const {
  return prefix_ + "out.>";
}
std::string Subjects::stats() const {
  return prefix_ + "stat.*";
}
std::string Subjects::everything() const {
  return prefix_ + ">";
}

std::string Subjects::events_of_session(std::uint64_t session) const {
  return fmt::format("{}evt.session.{}.>", prefix_, session);
}

std::string Subjects::commands_of(std::string_view principal) const {
  return prefix_ + "cmd." + escape_token(principal) + ".*";
}

std::string Subjects::agent_verbs(std::string_view agent) const {
  return prefix_ + "agent." + escape_token(agent) + ".*";
}

std::string Subjects::agents(std::string_view verb) const {
  return prefix_ + "agent.*." + escape_token(verb);
}

std::string Subjects::outputs_of_session(std::uint64_t session) const {
  return fmt::format("{}out.*.{}.*", prefix_, session);
}

std::string Subjects::outputs_of_agent(std::string_view agent) const {
  return prefix_ + "out." + escape_token(agent) + ".>";
}

std::optional<std::string> Subjects::principal_of(
    std::string_view subject) const {
  if (subject.substr(0, prefix_.size()) != prefix_) return std::nullopt;
  subject.remove_prefix(prefix_.size());
  const std::string_view kind = subject.substr(0, subject.find('.'));
  if (kind != "cmd" && kind != "qry" && kind != "standby") return std::nullopt;
  subject.remove_prefix(std::min(kind.size() + 1, subject.size()));
  const std::size_t dot = subject.find('.');
  if ((dot == std::string_view::npos) != (kind != "cmd")) return std::nullopt;
  return unescape_token(subject.substr(0, dot));
}

std::optional<std::string> Subjects::agent_of_output(
    std::string_view subject) const {
  const std::string prefix = prefix_ + "out.";
  if (!subject.starts_with(prefix)) return std::nullopt;
  subject.remove_prefix(prefix.size());
  return unescape_token(subject.substr(0, subject.find('.')));
}

bool Subjects::may_answer(std::string_view principal, std::string_view reply) {
  const std::string prefix = inbox_prefix(principal) + ".";
  return reply.substr(0, prefix.size()) == prefix && valid_subject(reply);
}

}  // namespace reeve::bus
