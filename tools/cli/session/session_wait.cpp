// wait, cancel.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "bus/ordered_events.hpp"
#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "tools/args/exit_code.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/session/outcome.hpp"

namespace reeve::tools {
namespace {

// Above it, one subscription to all ends is cheaper than one for each.
constexpr std::size_t own_subscriptions_max = 16;
// Events may be lost; who has not ended is asked again this often.
constexpr int look_every_ms = 5'000;
// A cell that answers gets to, however short the time is that is waited.
constexpr std::uint64_t answer_ms = 500;
constexpr std::uint64_t million = 1'000'000;

std::uint64_t left_ms(std::uint64_t deadline_ns) {
  const std::uint64_t now = monotonic_ns();
  return now >= deadline_ns ? 0 : (deadline_ns - now) / million + 1;
}

Expected<std::vector<SessionId>> session_ids(const Arguments& arguments) {
  std::vector<SessionId> out;
  for (const auto& word : arguments.words) {
    const auto id = parse_session_id(word);
    if (!id) return tl::unexpected(id.error());
    if (std::find(out.begin(), out.end(), *id) == out.end()) out.push_back(*id);
  }
  return out;
}

// The ends that were seen so far. Any thread.
class Ends {
 public:
  void put(std::uint64_t session, Outcome outcome) {
    const std::lock_guard lock(mutex_);
    ends_.emplace(session, std::move(outcome));
  }
  bool has(std::uint64_t session) const {
    const std::lock_guard lock(mutex_);
    return ends_.count(session) != 0;
  }
  Outcome get(std::uint64_t session) const {
    const std::lock_guard lock(mutex_);
    return ends_.at(session);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Outcome> ends_;
};

class Waiter {
 public:
  Waiter(Cell& cell, Interrupts& interrupts, std::vector<SessionId> ids)
      : cell_(cell), interrupts_(interrupts), ids_(std::move(ids)) {}

  Status subscribe() {
    std::set<std::uint64_t> asked;
    for (const SessionId id : ids_) asked.insert(id.value);
    const auto handler = [ends = ends_, asked = std::move(asked),
                          &interrupts = interrupts_](const schema::Event& event,
                                                     const bus::Buffer&) {
      const auto* body = event.body_as_SessionEnded();
      if (body == nullptr || !asked.contains(body->session())) return;
      ends->put(body->session(),
                {body->state(), body->reason(), body->exit_code(),
                 body->signal(), std::string(schema::text(body->detail()))});
      interrupts.wake();
    };
    const auto listen = [&](const std::string& pattern) {
      return bus::subscribe_unordered_events(cell_.connection(), pattern,
                                             cell_.quarantine(), handler);
    };
    if (ids_.size() > own_subscriptions_max)
      return listen(cell_.subjects().events());
    for (const SessionId id : ids_) {
      auto good = listen(cell_.subjects().events_of_session(id.value));
      if (!good) return good;
    }
    return {};
  }

  // Asks for those whose end was not seen. Silence is told once and waited out.
  Status look(std::uint64_t deadline_ns) {
    for (const SessionId id : ids_) {
      if (ends_->has(id.value)) continue;
      const auto query_ms = static_cast<std::uint64_t>(query_timeout.count());
      const auto view =
          cell_.session(id, std::chrono::milliseconds(std::clamp(
                                left_ms(deadline_ns), answer_ms, query_ms)));
      if (!view && interrupt_pending()) return {};
      if (!view && view.error().code == Errc::unreachable) {
        if (!std::exchange(told_silence_, true))
          say("reeve: the cell does not answer; waiting for it");
        return {};
      }
      if (!view) return tl::unexpected(view.error());
      if (std::exchange(told_silence_, false))
        say("reeve: the cell answers again");
      if (has_ended((*view)->state()))
        ends_->put(id.value, {(*view)->state(), (*view)->reason(),
                              (*view)->exit_code(), (*view)->signal(),
                              std::string(schema::text((*view)->detail()))});
    }
    return {};
  }

  std::size_t left() const {
    return static_cast<std::size_t>(
        std::count_if(ids_.begin(), ids_.end(),
                      [&](SessionId id) { return !ends_->has(id.value); }));
  }

  const std::vector<SessionId>& ids() const { return ids_; }
  Outcome outcome(SessionId id) const { return ends_->get(id.value); }

 private:
  Cell& cell_;
  Interrupts& interrupts_;
  std::vector<SessionId> ids_;
  std::shared_ptr<Ends> ends_ = std::make_shared<Ends>();
  bool told_silence_ = false;
};

int tell_ends(const Context& context, const Waiter& waiter) {
  int code = 0;
  for (const SessionId id : waiter.ids()) {
    const Outcome outcome = waiter.outcome(id);
    code = std::max(code, exit_code_of(outcome));
    const std::string state = EnumNameSessionState(outcome.state);
    if (context.json) {
      print(JsonObject()
                .text("session_id", to_text(id))
                .text("state", state)
                .text("reason", EnumNameEndReason(outcome.reason))
                .integer("exit_code",
                         session_exit_code(outcome.state, outcome.exit_code,
                                           outcome.signal))
                .integer("signal", outcome.signal)
                .done() +
            '\n');
    } else if (!context.quiet) {
      const std::string why = explain(outcome) + note_of(outcome);
      say(fmt::format("{} {}{}{}", to_text(id), state, why.empty() ? "" : ": ",
                      why));
    }
  }
  return code;
}

}  // namespace

Result command_wait(const Context& context, const Arguments& arguments) {
  Interrupts interrupts;
  auto ids = session_ids(arguments);
  if (!ids) return tl::unexpected(ids.error());
  std::uint64_t deadline_ns = UINT64_MAX;
  if (const auto text = arguments.find("--timeout")) {
    const auto timeout = parse_duration(*text);
    if (!timeout)
      return fail(Errc::usage,
                  fmt::format("--timeout: {}", timeout.error().text));
    deadline_ns = monotonic_ns() + *timeout;
  }
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  Waiter waiter(**cell, interrupts, std::move(*ids));
  if (auto good = waiter.subscribe(); !good)
    return tl::unexpected(good.error());
  if (auto good = waiter.look(deadline_ns); !good)
    return tl::unexpected(good.error());
  std::uint64_t looked_ns = monotonic_ns();
  while (waiter.left() > 0) {
    const std::uint64_t left = left_ms(deadline_ns);
    if (left == 0) {
      say(fmt::format("reeve: {} of {} did not end in time", waiter.left(),
                      counted(waiter.ids().size(), "session")));
      return 1;
    }
    const int signal = interrupts.wait(
        static_cast<int>(std::min<std::uint64_t>(left, look_every_ms)));
    if (signal != 0) return 128 + signal;
    if (monotonic_ns() - looked_ns < look_every_ms * million) continue;
    if (auto good = waiter.look(deadline_ns); !good)
      return tl::unexpected(good.error());
    looked_ns = monotonic_ns();
  }
  return tell_ends(context, waiter);
}

Result command_cancel(const Context& context, const Arguments& arguments) {
  const auto ids = session_ids(arguments);
  if (!ids) return tl::unexpected(ids.error());
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  const bool array = arguments.has("--array");
  int code = 0;
  for (const SessionId id : *ids) {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto body = schema::CreateCancelSession(builder, id.value, array);
    const auto reply = (*cell)->command(
        builder, schema::CommandBody::CancelSession, body.Union());
    if (!reply) {
      code = report(reply.error(), context.json);
    } else if (context.json) {
      print(JsonObject()
                .text("session_id", to_text(id))
                .number("seq", (*reply)->seq())
                .number("sessions", array ? (*reply)->sessions() : 1)
                .done() +
            '\n');
    } else if (!context.quiet && array) {
      say(fmt::format("the array {} of {} is told to end", to_text(id),
                      counted((*reply)->sessions(), "session")));
    } else if (!context.quiet) {
      say(fmt::format("{} is told to end", to_text(id)));
    }
  }
  return code;
}

}  // namespace reeve::tools
