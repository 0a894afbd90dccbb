// A manager of now hears what an earlier release's agents and clients said, and
// decides what theirs did. Where it would place a session is the scheduler's:
// that is taken from the kept log.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <set>

#include "actors/manager/core.hpp"
#include "tests/traffic/kept.hpp"

namespace reeve::traffic::managers_test {
namespace {

using SessionAttempt = std::pair<std::uint64_t, std::uint32_t>;

std::string text_of(const schema::Id128& id) {
  return fmt::format("{:x}.{:x}", id.high(), id.low());
}

struct Verdict {
  bool accepted = false;
  std::string rule;
  std::uint64_t session = 0;
};
std::ostream& operator<<(std::ostream& out, const Verdict& verdict) {
  return out << (verdict.accepted ? "accepted s-" : "refused ")
             << verdict.session << verdict.rule;
}

Verdict verdict_of(const schema::Reply& reply) {
  return {reply.rejection() == nullptr,
          reply.rejection() ? reply.rejection()->rule()->str() : "",
          reply.session()};
}

class Today {
 public:
  explicit Today(const Kept& kept) : kept_(kept) {
    kept.each_event([this](const schema::Event& event) {
      if (const auto* placed = event.body_as_SessionPlaced())
        placements_[{placed->session(), placed->attempt()}] = proposal(*placed);
    });
  }

  void hear(const Message& message) {
    if (message.kind() == "evt") return hear_event(message);
    if (!core_) return;
    if (message.kind() == "cmd") {
      const auto* command = message.as<schema::Command>();
      BOOST_REQUIRE(command != nullptr);
      if (const auto* report = command->body_as_ReportFacts())
        for (const auto* fact : *report->facts())
          place({fact->session(), fact->attempt()});
      // Principals of the recorded cell are written as they are.
      const std::string principal(message.token(1));
      core_->on_command(*command, principal, text_of(*command->id()), now_);
    } else if (message.kind() == "qry") {
      const auto* query = message.as<schema::Query>();
      BOOST_REQUIRE(query != nullptr);
      ++asked_;
      answered_ += core_->on_query(*query, "root", "q") ? 1 : 0;
    } else if (message.kind() == "stat") {
      if (const auto* beat = message.as<schema::Heartbeat>())
        core_->on_heartbeat(schema::text(beat->agent()), now_);
    }
    commit();
  }

  const cluster::State& state() const { return core_->state(); }
  const std::map<std::string, Verdict>& verdicts() const { return verdicts_; }
  const std::set<SessionAttempt>& launched() const { return launched_; }
  std::size_t asked() const { return asked_; }
  std::size_t answered() const { return answered_; }
  std::uint64_t foreign() const { return core_->counters().facts_foreign; }
  bool started() const { return core_.has_value(); }

 private:
  static cluster::Proposal proposal(const schema::SessionPlaced& placed) {
    cluster::Proposal out;
    out.session = SessionId{placed.session()};
    out.attempt = placed.attempt();
    for (const auto* task : *placed.tasks()) {
      auto& one = out.tasks.emplace_back();
      one.node = NodeId{task->node()};
      if (task->devices())
        for (const auto* share : *task->devices())
          one.devices.push_back(
              {share->device(), share->milli(), share->memory_bytes()});
    }
    return out;
  }

  void hear_event(const Message& message) {
    const schema::Event& event = schema::event_of(message.bytes());
    now_ = std::max(now_, Time{event.time_at()});
    if (event.body_as_EpochStarted()) return begin(event);
    if (!core_) return;
    core_->on_tick(now_);
    if (const auto* placed = event.body_as_SessionPlaced())
      place({placed->session(), placed->attempt()});
    commit();
  }

  // A daemon started: one of now goes on with what was decided.
  void begin(const schema::Event& event) {
    const cluster::State known =
        core_
            ? cluster::State::decode_snapshot(core_->state().encode_snapshot())
                  .value()
            : kept_.state_before(event.seq());
    core_.emplace(
        cluster::State::decode_snapshot(known.encode_snapshot()).value(),
        manager::Options{});
    core_->start("kept", known.owner(), 0, "main", now_);
    commit();
  }

  void place(const SessionAttempt& which) {
    const auto found = placements_.find(which);
    const auto* session = core_->state().session(SessionId{which.first});
    if (found == placements_.end() || !session ||
        session->state != schema::SessionState::pending)
      return;
    BOOST_TEST(core_->on_proposals({found->second}, now_).empty());
  }

  void commit() {
    for (;;) {
      const auto batch = core_->take_batch();
      if (batch.count == 0) break;
      core_->committed(Sequence{batch.first.value + batch.count - 1});
    }
    for (const auto& effect : core_->take_effects()) {
      if (const auto* reply = std::get_if<manager::SendReply>(&effect))
        take_reply(*reply);
      if (const auto* order = std::get_if<manager::SendOrder>(&effect))
        take_order(*order);
    }
  }

  void take_reply(const manager::SendReply& sent) {
    if (sent.reply_to == "q") {
      const auto* answer = schema::verified<schema::Answer>(sent.bytes);
      BOOST_REQUIRE(answer != nullptr);
      ++answered_;
      return;
    }
    const auto* reply = schema::verified<schema::Reply>(sent.bytes);
    BOOST_REQUIRE(reply != nullptr);
    verdicts_[sent.reply_to] = verdict_of(*reply);
  }

  void take_order(const manager::SendOrder& sent) {
    const auto* order = schema::verified<schema::AgentOrder>(sent.bytes);
    BOOST_REQUIRE(order != nullptr);
    if (const auto* launch = order->body_as_LaunchOrder())
      for (const auto* task : *launch->tasks())
        launched_.insert({task->session(), task->attempt()});
  }

  const Kept& kept_;
  std::map<SessionAttempt, cluster::Proposal> placements_;
  std::optional<manager::Core> core_;
  Time now_;
  std::map<std::string, Verdict> verdicts_;
  std::set<SessionAttempt> launched_;
  std::size_t asked_ = 0;
  std::size_t answered_ = 0;
};

// What people see of a session, in one line.
std::string text_of(const cluster::Session& session) {
  return fmt::format("{} {} attempt {} exit {} signal {} tasks {}",
                     schema::EnumNameSessionState(session.state),
                     schema::EnumNameEndReason(session.reason), session.attempt,
                     session.exit_code, session.signal, session.tasks.size());
}

std::string text_of(const cluster::Node& node) {
  return fmt::format("{} of {}: {} devices, {} holders, {}", node.name,
                     node.agent, node.devices.size(), node.holders.size(),
                     node.offered() ? "offered" : "not offered");
}

BOOST_AUTO_TEST_SUITE(managers_of_now)

BOOST_AUTO_TEST_CASE(they_decide_what_was_decided_then) {
  for (const Kept& kept : all_kept()) {
    Today today(kept);
    for (const Message& message : kept.messages) today.hear(message);
    BOOST_REQUIRE(today.started());
    const cluster::State then = kept.state_before(UINT64_MAX);
    const cluster::State& now = today.state();
    BOOST_TEST(now.check_invariants().has_value(), kept);
    BOOST_TEST(now.next_session().value == then.next_session().value);
    std::size_t sessions = 0;
    then.visit_sessions(SessionId{}, [&](const cluster::Session& session) {
      const auto* other = now.session(session.id);
      BOOST_REQUIRE_MESSAGE(other, kept << ": s-" << session.id.value);
      BOOST_TEST(text_of(*other) == text_of(session));
      ++sessions;
      return true;
    });
    BOOST_TEST(sessions > 5u);
    BOOST_REQUIRE(now.nodes().size() == then.nodes().size());
    for (std::size_t i = 0; i < then.nodes().size(); ++i)
      BOOST_TEST(text_of(now.nodes()[i]) == text_of(then.nodes()[i]));
    BOOST_TEST(today.foreign() == 0u);
    BOOST_TEST(today.asked() > 10u);
    BOOST_TEST(today.answered() == today.asked());
  }
}

BOOST_AUTO_TEST_CASE(who_asks_gets_the_verdict_of_then) {
  for (const Kept& kept : all_kept()) {
    Today today(kept);
    std::size_t compared = 0;
    for (const Message& message : kept.messages) today.hear(message);
    for (const Message& message : kept.messages) {
      if (message.kind() != "reply") continue;
      const auto* reply = message.as<schema::Reply>();
      BOOST_REQUIRE(reply != nullptr);
      const auto found = today.verdicts().find(text_of(*reply->command_id()));
      if (found == today.verdicts().end()) continue;  // from before the start
      const Verdict then = verdict_of(*reply);
      BOOST_TEST(found->second.accepted == then.accepted, found->second);
      BOOST_TEST(found->second.rule == then.rule);
      BOOST_TEST(found->second.session == then.session);
      ++compared;
    }
    BOOST_TEST(compared > 10u);
  }
}

BOOST_AUTO_TEST_CASE(they_order_the_launches_that_were_ordered) {
  for (const Kept& kept : all_kept()) {
    Today today(kept);
    std::set<SessionAttempt> then;
    for (const Message& message : kept.messages) {
      today.hear(message);
      if (message.kind() != "agent") continue;
      const auto* order = message.as<schema::AgentOrder>();
      if (!order || !order->body_as_LaunchOrder()) continue;
      for (const auto* task : *order->body_as_LaunchOrder()->tasks())
        then.insert({task->session(), task->attempt()});
    }
    BOOST_TEST((today.launched() == then), kept);
    BOOST_TEST(then.size() > 5u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::traffic::managers_test
