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
                                  flatbuffers::Offset<Body> body) {
  builder.Finish(schema::CreateCommand(
      builder, &id, schema::CommandBodyTraits<Body>::enum_value, body.Union()));
  return *flatbuffers::GetRoot<schema::Command>(builder.GetBufferPointer());
}

flatbuffers::Offset<schema::RegisterNodes> build_register(
    Builder& builder, std::string_view agent, const schema::Id128& boot,
    const std::vector<NodeOptions>& nodes, bool reconciled);

class Harness {
 public:
  explicit Harness(Options options = {});

  // The process ends and another begins with what was committed.
  void restart();

  cluster::State replayed() const;

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
  // Registered and reconciled.
  void join(const NodeOptions& node);
  void place(std::uint64_t session, const std::vector<std::string>& nodes);
  void start(std::uint64_t session, std::uint32_t rank = 0);

  void tick(std::uint64_t after_ns);

  // "accepted s-3", "forbidden owner_only", or "none" without an answer.
  std::string verdict(const schema::Id128& id) const;
  std::uint64_t session_of(const schema::Id128& id) const;

  // The orders since the last call, as text: "n0 launch 1.1.0; n0 stop 1.1.0".
  std::string orders();

  template <class Body>
  const schema::Answer* ask(
      const std::function<flatbuffers::Offset<Body>(Builder&)>& make) {
    Builder builder;
    const auto body = make(builder);
    builder.Finish(schema::CreateQuery(
        builder, schema::QueryBodyTraits<Body>::enum_value, body.Union()));
    replies.erase("q");
    asked = core->on_query(
        *flatbuffers::GetRoot<schema::Query>(builder.GetBufferPointer()),
        "root", "q");
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
  std::vector<Batch> log;
  std::optional<Batch> in_flight;
  bool for_scheduler = false;
  std::optional<ForScheduler> asked;  // the last question, if it is for it

 private:
  Options options_;
  std::uint64_t ids_ = 0;
};

// Each event of a batch.
void for_each(const Batch& batch,
              const std::function<void(const schema::Event&)>& visit);

std::string text_of(const schema::Id128& id);
std::string text_of(const schema::AgentOrder& order);

}  // namespace reeve::manager::testing
