// The manager's messages, from state to bytes.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cluster/decide.hpp"
#include "cluster/state.hpp"
#include "schema/agent_generated.h"
#include "schema/command_generated.h"

namespace reeve::manager {

std::vector<std::byte> encode_reply(const schema::Id128& command,
                                    const cluster::CommandAnswer& answer,
                                    std::uint32_t sessions,
                                    std::uint64_t token = 0);
std::vector<std::byte> encode_rejection(const schema::Id128& command,
                                        const cluster::Rejection& rejection);

// What an order comes from: the leader, the state that it knows, and the newest
// heartbeat of the agent that it heard.
struct OrderStamp {
  Epoch epoch;
  Sequence seq;
  std::uint64_t heard = 0;
};

std::vector<std::byte> encode_heard(const OrderStamp& stamp);

std::vector<std::byte> encode_stop(const OrderStamp& stamp,
                                   std::span<const schema::TaskRef> tasks,
                                   std::uint64_t grace_ns);
std::vector<std::byte> encode_signal(const OrderStamp& stamp,
                                     std::span<const schema::TaskRef> tasks,
                                     std::uint8_t signal);
std::vector<std::byte> encode_probe(const OrderStamp& stamp,
                                    const cluster::DeviceTests& tests);
std::vector<std::byte> encode_reconcile(
    const OrderStamp& stamp, const schema::Id128& boot,
    std::span<const schema::TaskRef> started,
    std::span<const schema::TaskRef> unstarted,
    const std::vector<std::string>& managers);

// Gathers tasks into one LaunchOrder.
class LaunchBuilder {
 public:
  // An order is finished before it comes near the bus's bound of a message.
  static constexpr std::size_t launch_bytes_max = 256 << 10;

  void add(const cluster::State& state, const cluster::Session& session,
           const cluster::Spec& spec, std::uint32_t rank);
  std::size_t tasks() const { return tasks_.size(); }
  std::size_t bytes() const { return builder_.GetSize(); }
  // The message; the builder is empty again.
  std::vector<std::byte> finish(const OrderStamp& stamp);

 private:
  flatbuffers::FlatBufferBuilder builder_;
  std::vector<flatbuffers::Offset<schema::TaskOrder>> tasks_;
};

}  // namespace reeve::manager
