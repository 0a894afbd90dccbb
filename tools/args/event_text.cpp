#include "tools/args/event_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/accounts/quota.hpp"
#include "cluster/event_filter.hpp"
#include "cluster/printable.hpp"
#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "schema/wire.hpp"
#include "tools/args/exit_code.hpp"

namespace reeve::tools {
namespace {

using schema::Event;
using schema::EventBody;
using std::string;

string session_name(std::uint64_t id) {
  return to_text(SessionId{id});
}

string with_detail(string text, const flatbuffers::String* detail) {
  if (detail == nullptr || detail->size() == 0) return text;
  return fmt::format("{}: {}", text, detail->string_view());
}

string not_before(std::uint64_t time_at) {
  return time_at == 0 ? string() : ", not before " + schema::rfc3339(time_at);
}

// "s-1 by root for ann: 2 tasks of 1 CPU, not before ...".
string submitted(const schema::SessionSubmitted& body,
                 std::string_view principal) {
  const auto* spec = body.spec();
  const auto* request = spec->request();
  const std::string_view user = schema::text(spec->user());
  string out = fmt::format("{} by {}", session_name(body.session()),
                           principal.empty() || principal == user
                               ? string(user)
                               : fmt::format("{} for {}", principal, user));
  if (spec->name() != nullptr && spec->name()->size() > 0)
    out += fmt::format(" \"{}\"", spec->name()->string_view());
  out += fmt::format(": {} of {}", counted(spec->tasks(), "task"),
                     counted_milli(request->cpu_milli(), "CPU"));
  if (request->memory_bytes() != 0)
    out += ", " + format_bytes(request->memory_bytes());
  if (request->gpus() != 0)
    out += ", " +
           counted_milli(std::uint64_t{request->gpus()} * request->gpu_milli(),
                         "GPU");
  return out + not_before(spec->not_before_at());
}

string requeued(const schema::SessionRequeued& body) {
  return fmt::format("{} attempt {}: {}{}", session_name(body.session()),
                     body.attempt(), EnumNameEndReason(body.reason()),
                     not_before(body.not_before_at()));
}

string drained(const schema::NodeDrained& body) {
  string out = fmt::format("node {}", body.node());
  if (body.deadline_at() != 0)
    out += " until " + schema::rfc3339(body.deadline_at());
  return with_detail(std::move(out), body.reason());
}

string placed(const schema::SessionPlaced& body) {
  constexpr flatbuffers::uoffset_t nodes_shown = 4;
  string out = fmt::format("{} on node", session_name(body.session()));
  const auto& tasks = *body.tasks();
  for (flatbuffers::uoffset_t i = 0; i < tasks.size() && i < nodes_shown; ++i)
    out += fmt::format(" {}", tasks[i]->node());
  if (tasks.size() > nodes_shown)
    out += fmt::format(" and {} more", tasks.size() - nodes_shown);
  return out;
}

string exited(const schema::TaskExited& body) {
  string out =
      fmt::format("{} task {}", session_name(body.session()), body.rank());
  const auto* facts = body.facts();
  const auto code =
      facts ? task_exit_code(body.reason(), facts->exit_code(), facts->signal())
            : std::nullopt;
  if (facts == nullptr || (!code && facts->signal() == 0))
    return with_detail(out + ' ' + EnumNameEndReason(body.reason()),
                       body.detail());
  if (facts->signal() != 0)
    out += fmt::format(" signal {}", facts->signal());
  else
    out += fmt::format(" exit code {}", *code);
  if (body.reason() != schema::EndReason::exited)
    out += fmt::format(" ({})", EnumNameEndReason(body.reason()));
  if (facts->ended_at() >= facts->started_at() && facts->started_at() != 0)
    out += fmt::format(
        " after {}", format_duration(facts->ended_at() - facts->started_at()));
  return with_detail(out, body.detail());
}

string registered(const schema::NodeRegistered& body) {
  const auto* spec = body.spec();
  const std::string_view version = schema::text(body.version());
  return fmt::format(
      "node {} \"{}\"{}: {}, {}, {}{}{}", body.node(),
      schema::text(spec->name()), spec->simulated() ? " (simulated)" : "",
      counted_milli(spec->cpu_milli(), "CPU"),
      format_bytes(spec->memory_bytes()),
      counted(spec->devices() ? spec->devices()->size() : 0, "GPU"),
      version.empty() ? "" : ", reeve ", version);
}

string ended(const schema::SessionEnded& body) {
  string out = fmt::format("{} {}", session_name(body.session()),
                           EnumNameSessionState(body.state()));
  if (body.signal() != 0)
    out += fmt::format(", signal {}", body.signal());
  else if (const auto code =
               session_exit_code(body.state(), body.exit_code(), body.signal()))
    out += fmt::format(", exit code {}", *code);
  if (body.reason() != schema::EndReason::exited)
    out += fmt::format(" ({})", EnumNameEndReason(body.reason()));
  return with_detail(out, body.detail());
}

template <class Body>
string stopping(const Body& body) {
  return fmt::format("{} attempt {}: {}", session_name(body.session()),
                     body.attempt(), EnumNameEndReason(body.reason()));
}

template <class Body>
string account_name(const Body& body) {
  return fmt::format("{} {}", EnumNameAccountKind(body.kind()),
                     schema::text(body.name()));
}

string quota(const schema::QuotaSet& body) {
  return fmt::format("{}: {}", account_name(body),
                     cluster::to_text(cluster::quota_of(*body.limits())));
}

// "maintenance m1 on 3 nodes from ... to ..., every 1d".
string reservation(const schema::ReservationSpec& spec) {
  string out = fmt::format(
      "{} {} on {} from {} to {}", EnumNameReservationKind(spec.kind()),
      schema::text(spec.name()), counted(spec.nodes()->size(), "node"),
      schema::rfc3339(spec.from_at()), schema::rfc3339(spec.to_at()));
  if (spec.every_ns() != 0)
    out += ", every " + format_duration(spec.every_ns());
  return with_detail(out, spec.reason());
}

string epoch_started(const Event& event, const schema::EpochStarted& body) {
  string out = fmt::format("epoch {} of manager {}", event.epoch(),
                           schema::text(body.manager()));
  if (body.first_session() != 0)
    out += fmt::format(
        "; {} knows more than this log, which is an older copy: sessions go on "
        "at s-{}",
        schema::text(event.principal()), body.first_session());
  return out;
}

string node_name(std::uint32_t node) {
  return fmt::format("node {}", node);
}

// "GPU 3 of node 1 (GPU-...)".
template <class Body>
string device_name(const Body& body) {
  return fmt::format("GPU {} of {} ({})", body.device(), node_name(body.node()),
                     schema::text(body.uuid()));
}

// The same, ", by its agent".
template <class Body>
string device(const Body& body) {
  return device_name(body) + (body.by_agent() ? ", by its agent" : "");
}

string tested(const schema::DeviceTested& body) {
  return with_detail(
      fmt::format("{}: {}", device_name(body), verdict_text(body.verdict())),
      body.text());
}

// "token 7: role agent, 1 use, until ..., for n3 alone".
string token_created(const schema::TokenCreated& body) {
  string out = fmt::format("token {}: role {}, {}, until {}", body.token(),
                           EnumNameIdentityRole(body.role()),
                           counted(body.uses(), "use"),
                           schema::rfc3339(body.expires_at()));
  if (const auto name = schema::text(body.name()); !name.empty())
    out += fmt::format(", for {} alone", name);
  return out;
}

// "agent-n3 by token 7, at 10.0.0.3:7000".
string identity_added(const schema::IdentityAdded& body) {
  string out = fmt::format("{} by token {}", schema::text(body.principal()),
                           body.token());
  if (const auto address = schema::text(body.address()); !address.empty())
    out += fmt::format(", at {}", address);
  return out;
}

// "event 7", "the events 7 to 9".
string events_text(std::uint64_t first, std::uint64_t last) {
  return first == last ? fmt::format("event {}", first)
                       : fmt::format("the events {} to {}", first, last);
}

}  // namespace

string healing_text(const schema::HealingSpec& healing) {
  const auto manager = schema::text(healing.manager());
  const string events = events_text(healing.first(), healing.last());
  switch (healing.kind()) {
    case schema::HealingKind::tail_published:
      return fmt::format(
          "{} began to lead and put {} of epoch {}, which it alone had, into "
          "the cell's log",
          manager, events, healing.epoch());
    case schema::HealingKind::suffix_set_aside:
      return fmt::format(
          "{} set {} of epoch {} aside, which it alone had, in {}; the cell's "
          "log goes on there in epoch {}",
          manager, events, healing.epoch(), schema::text(healing.file()),
          healing.other_epoch());
    case schema::HealingKind::lead_refused:
      return fmt::format(
          "{} did not lead: its log ended at epoch {}, event {}, and {} knew "
          "of epoch {}, event {}",
          manager, healing.epoch(), healing.last(),
          schema::text(healing.other()), healing.other_epoch(),
          healing.other_last());
  }
  return fmt::format("{}: in a way that this program does not know", manager);
}

string verdict_text(schema::DeviceVerdict verdict) {
  string text = EnumNameDeviceVerdict(verdict);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

string event_sentence(const Event& event) {
  const auto text = [](const flatbuffers::String* value) {
    return string(schema::text(value));
  };
  switch (event.body_type()) {
    case EventBody::CellCreated:
      return "cell " + text(event.body_as_CellCreated()->cell());
    case EventBody::EpochStarted:
      return epoch_started(event, *event.body_as_EpochStarted());
    case EventBody::GroupCreated:
      return "group " + text(event.body_as_GroupCreated()->name());
    case EventBody::ProjectCreated:
      return "project " + text(event.body_as_ProjectCreated()->name());
    case EventBody::UserCreated:
      return "user " + text(event.body_as_UserCreated()->name());
    case EventBody::NodeRegistered:
      return registered(*event.body_as_NodeRegistered());
    case EventBody::NodeLost:
      return fmt::format(
          "{}, silent for {}", node_name(event.body_as_NodeLost()->node()),
          format_duration(event.body_as_NodeLost()->silent_ns()));
    case EventBody::NodeReturned:
      return node_name(event.body_as_NodeReturned()->node());
    case EventBody::NodeDrained: return drained(*event.body_as_NodeDrained());
    case EventBody::NodeResumed:
      return node_name(event.body_as_NodeResumed()->node());
    case EventBody::NodeRemoved:
      return node_name(event.body_as_NodeRemoved()->node());
    case EventBody::SessionSubmitted:
      return submitted(*event.body_as_SessionSubmitted(),
                       schema::text(event.principal()));
    case EventBody::SessionPlaced:
      return placed(*event.body_as_SessionPlaced());
    case EventBody::TaskStarted: {
      const auto* body = event.body_as_TaskStarted();
      return with_detail(
          fmt::format("{} task {} pid {}", session_name(body->session()),
                      body->rank(), body->pid()),
          body->detail());
    }
    case EventBody::TaskExited: return exited(*event.body_as_TaskExited());
    case EventBody::DeadlinePassed:
      return fmt::format(
          "{} while {}", session_name(session_of(event)),
          EnumNameSessionState(event.body_as_DeadlinePassed()->state()));
    case EventBody::SessionStopping:
      return with_detail(stopping(*event.body_as_SessionStopping()),
                         event.body_as_SessionStopping()->detail());
    case EventBody::SessionRequeued:
      return requeued(*event.body_as_SessionRequeued());
    case EventBody::SessionEnded: return ended(*event.body_as_SessionEnded());
    case EventBody::AccountChanged:
      return account_name(*event.body_as_AccountChanged()->account());
    case EventBody::AccountRemoved:
      return account_name(*event.body_as_AccountRemoved());
    case EventBody::QuotaSet: return quota(*event.body_as_QuotaSet());
    case EventBody::QuotaRemoved:
      return account_name(*event.body_as_QuotaRemoved());
    case EventBody::SessionWarned:
      return fmt::format("{} attempt {}: signal {}",
                         session_name(session_of(event)),
                         event.body_as_SessionWarned()->attempt(),
                         event.body_as_SessionWarned()->signal());
    case EventBody::ReservationSet:
      return reservation(*event.body_as_ReservationSet()->reservation());
    case EventBody::ReservationRemoved:
      return "reservation " + text(event.body_as_ReservationRemoved()->name());
    case EventBody::DeviceQuarantined:
      return with_detail(device(*event.body_as_DeviceQuarantined()),
                         event.body_as_DeviceQuarantined()->reason());
    case EventBody::DeviceReleased:
      return device(*event.body_as_DeviceReleased()) +
             (event.body_as_DeviceReleased()->forced() ? ", forced" : "");
    case EventBody::TokenCreated:
      return token_created(*event.body_as_TokenCreated());
    case EventBody::TokenRevoked:
      return fmt::format("token {}", event.body_as_TokenRevoked()->token());
    case EventBody::IdentityAdded:
      return identity_added(*event.body_as_IdentityAdded());
    case EventBody::IdentityRemoved:
      return with_detail(text(event.body_as_IdentityRemoved()->principal()),
                         event.body_as_IdentityRemoved()->reason());
    case EventBody::DeviceTestRequested:
      return fmt::format(
          "{}: {}", device(*event.body_as_DeviceTestRequested()),
          event.body_as_DeviceTestRequested()->full() ? "full" : "quick");
    case EventBody::DeviceTested: return tested(*event.body_as_DeviceTested());
    case EventBody::LogHealed:
      return healing_text(*event.body_as_LogHealed()->healing());
    case EventBody::NONE: break;
  }
  return "an event that this program does not know";
}

string event_line(const Event& event, std::int64_t utc_offset_s) {
  const string cause =
      event.cause() == 0 ? string() : fmt::format("  (from {})", event.cause());
  return fmt::format("{:>8}  {}.{:03}  {:<17}  {}{}\n", event.seq(),
                     format_time(event.time_at(), utc_offset_s),
                     event.time_at() / 1'000'000 % 1'000, kind_of(event),
                     printable(event_sentence(event)), cause);
}

}  // namespace reeve::tools
