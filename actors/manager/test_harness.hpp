// For tests: a manager's core with a log of its own in memory, and what it
// sends by the place it goes to.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/manager/core.hpp"
#include "cluster/testing.hpp"

namespace reeve::manager::testing {

using Builder = flatbuffers::FlatBufferBuilder;
using cluster::testing::FactOptions;
using cluster::testing::NodeOptions;
using Bytes = std::vector<std::byte>;

struct Sent {
  std::string agent;
  Bytes bytes;
  const schema::AgentOrder& order() const {
    return *flatbuffers::GetRoot<schema::AgentOrder>(bytes.data());
  }
};

// A verified command; lives as long as `builder`.
template <class Body>
const schema::Command& command_of(Builder& builder, const schema::Id128& id,
                                  flatbuffers::Offset<Body> body,
                                  const schema::Protocol* protocol = nullptr) {
  builder.Finish(schema::CreateCommand(
      builder, &id, schema::CommandBodyTraits<Body>::enum_value, body.Union(),
      protocol));
  return *flatbuffers::GetRoot<schema::Command>(builder.GetBufferPointer());
}

flatbuffers::Offset<schema::RegisterNodes> build_register(
    Builder& builder, std::string_view agent, const schema::Id128& boot,
    const std::vector<NodeOptions>& nodes, bool reconciled,
    bool tests_devices = false, std::string_view version = {},
    std::uint64_t followed = 0, Epoch epoch_seen = {});

class Harness {
 public:
  explicit Harness(Options options = {});

  // The process ends and another begins with what was committed.
  void restart();
  void begin_again(const Options& options) {
    options_ = options;
    restart();
  }

  // Of what was committed, the first so many commits.
  cluster::State replayed(std::size_t commits = ~std::size_t{0}) const;
  // What a process does that begins with the log: its events and orders, now
  // and as the deadlines pass. It has followed the log from so many commits on,
  // or was opened from all of it.
  std::string life_after(std::size_t commits, Core::Beginning beginning) const;

  // All up to now decided: to the log, synced, and what waited leaves.
  void commit();
  // Decided and on its way to the disk; `finish_commit` is the sync.
  void begin_commit();
  void finish_commit();

  schema::Id128 next_id() { return {9, ++ids_}; }
  // The reply goes to the text of the id, see `verdict`.
  schema::Id128 submit(const cluster::Spec& spec,
                       std::string_view principal = "root",
                       std::optional<schema::Id128> id = {});
  schema::Id128 cancel(std::uint64_t session,
                       std::string_view principal = "root",
                       std::optional<schema::Id128> id = {});
  schema::Id128 register_nodes(std::string_view agent,
                               const std::vector<NodeOptions>& nodes,
                               bool reconciled = false,
                               std::string_view principal = {});
  // One message of it alone.
  schema::Id128 send_registration(std::string_view agent,
                                  const std::vector<NodeOptions>& nodes,
                                  bool reconciled = false,
                                  std::string_view principal = {});
  schema::Id128 report(std::string_view agent, std::uint64_t session,
                       const FactOptions& fact,
                       std::string_view principal = {});
  schema::Id128 drain(std::string_view node, std::uint64_t deadline_ns,
                      std::string_view principal = "root");
  schema::Id128 resume(std::string_view node);
  schema::Id128 quarantine(std::string_view node, std::string_view device,
                           std::string_view principal = "root");
  schema::Id128 release(std::string_view node, std::string_view device,
                        std::string_view principal = "root",
                        bool force = false);
  schema::Id128 create_token(const cluster::testing::TokenOptions& token,
                             std::string_view principal = "root",
                             std::optional<schema::Id128> id = {});
  schema::Id128 join_by_token(const cluster::testing::JoinOptions& options,
                              std::optional<schema::Id128> id = {});
  schema::Id128 leave(std::string_view principal, bool force = false);
  schema::Id128 remove_identity(std::string_view identity,
                                std::string_view principal = "root");
  schema::Id128 test(std::string_view node, std::string_view device,
                     bool full = true, std::string_view principal = "root");
  // By the node's agent, of the test that waits.
  schema::Id128 tested(std::string_view node, const std::string& uuid,
                       schema::DeviceVerdict verdict);
  // Registered and reconciled.
  void join(const NodeOptions& node);
  void place(std::uint64_t session, const std::vector<std::string>& nodes);
  void start(std::uint64_t session, std::uint32_t rank = 0);

  void tick(std::uint64_t after_ns);

  // "accepted s-3", "accepted token 7", "forbidden owner_only", or "none"
  // without an answer.
  std::string verdict(const schema::Id128& id) const;
  std::uint64_t session_of(const schema::Id128& id) const;

  // The orders since the last call, as text: "n0 launch 1.1.0; n0 stop 1.1.0".
  std::string orders();

  template <class Body>
  const schema::Answer* ask(
      const std::function<flatbuffers::Offset<Body>(Builder&)>& make) {
    Builder builder;
    const auto body = make(builder);
    builder.Finish(
        schema::CreateQuery(builder, schema::QueryBodyTraits<Body>::enum_value,
                            body.Union(), protocol()));
    replies.erase("q");
    asked = core->on_query(
        *flatbuffers::GetRoot<schema::Query>(builder.GetBufferPointer()),
        asks_as, "q");
    for_scheduler = asked.has_value();
    collect();
    const auto found = replies.find("q");
    return found == replies.end()
               ? nullptr
               : flatbuffers::GetRoot<schema::Answer>(found->second.data());
  }

  void collect();

  Time now{1'000 * second_ns};
  std::optional<Core> core;
  std::map<std::string, Bytes> replies;
  std::vector<Sent> sent;
  // Each list of who may connect, as it left.
  std::vector<std::vector<cluster::BusIdentity>> bus_identities;
  std::vector<Batch> log;
  std::optional<Batch> in_flight;
  std::string asks_as = "root";
  bool for_scheduler = false;
  bool tests_devices = false;  // agents test by themselves
  // Of agents that register: the newest list that they follow, and the newest
  // epoch where it is not the manager's.
  std::uint64_t followed_list = 0;
  std::optional<Epoch> epoch_seen;
  // Of who registers, reports, submits, drains, resumes or asks; else it tells
  // none.
  std::optional<cluster::Program> program;
  const schema::Protocol* protocol() const {
    return program ? &program->protocol : nullptr;
  }
  std::optional<ForScheduler> asked;  // the last question, if it is for it

 private:
  Options options_;
  std::uint64_t ids_ = 0;
};

// A cell with nodes n0, with two devices, and n1, each with its agent.
struct TwoNodes : Harness {
  TwoNodes() {
    commit();
    join({.name = "n0", .devices = 2});
    join({.name = "n1"});
    orders();
  }

  const cluster::State& state() const { return core->state(); }
  schema::SessionState state_of(std::uint64_t session) const {
    return state().session(SessionId{session})->state;
  }
  std::uint64_t submitted(const cluster::Spec& spec) {
    const auto id = submit(spec);
    commit();
    BOOST_REQUIRE(session_of(id) != 0);
    return session_of(id);
  }
  // Placed on n0 and started.
  std::uint64_t running(const cluster::Spec& spec) {
    const std::uint64_t session = submitted(spec);
    place(session, std::vector<std::string>(spec.tasks, "n0"));
    for (std::uint32_t rank = 0; rank < spec.tasks; ++rank)
      start(session, rank);
    commit();
    orders();
    return session;
  }
  // Time goes on and both agents are heard.
  void wait(std::uint64_t duration_ns) {
    for (std::uint64_t at = 0; at < duration_ns; at += second_ns) {
      core->on_heartbeat("n0", now);
      core->on_heartbeat("n1", now);
      tick(std::min(second_ns, duration_ns - at));
      commit();
    }
  }
};

// Each event of a batch.
void for_each(const Batch& batch,
              const std::function<void(const schema::Event&)>& visit);

std::string text_of(const schema::Id128& id);
std::string text_of(const schema::AgentOrder& order);

}  // namespace reeve::manager::testing
