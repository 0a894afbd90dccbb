// A cell for tests: makes events, feeds them to a scheduler, and keeps the
// clock. Names follow the log's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/scheduling/scheduler.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster {

inline constexpr std::uint64_t gib = std::uint64_t{1} << 30;

struct TestNode {
  std::uint32_t number = 0;
  std::uint32_t cpu_milli = 64000;
  std::uint64_t memory_bytes = 256 * gib;
  std::vector<std::string> models{};  // of its devices, in order
  std::uint64_t device_memory_bytes = 80 * gib;
  std::string group{};
  bool simulated = false;
  std::vector<std::pair<std::string, std::string>> labels{};
  std::uint32_t joined = 0;  // so many neighbours by NVLink, the rest worse
};

struct TestSession {
  std::uint32_t cpu_milli = 1000;
  std::uint64_t memory_bytes = gib;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 1000;
  std::uint64_t gpu_memory_bytes = 0;
  std::vector<std::string> gpu_models{};
  std::uint32_t tasks = 1;
  std::uint32_t nodes = 0;
  std::int32_t priority = 0;
  std::string group{};
  std::string project{};
  std::string user{};
  std::string on_node{};
  bool simulated = false;
  std::uint64_t time_limit_ns = 0;
  std::uint64_t not_before_at = 0;
  std::vector<schema::Dependency> after{};
  std::string constraint{};
  std::vector<std::string> prefer{};
  std::string together{};
  std::string apart{};
  std::string within{};
  std::string reservation{};
  std::uint64_t array_session = 0;
  std::uint32_t array_running_max = 0;
  std::string name{};
};

// The default policy but for the packing.
inline Policy policy_of(Packing packing) {
  Policy policy;
  policy.packing = packing;
  return policy;
}

std::vector<std::string> devices(std::uint32_t count, std::string model = "A");
std::string uuid_of(std::uint32_t node, std::size_t device);

class TestCell {
 public:
  Scheduler scheduler;
  Time now{1'000 * second_ns};
  // Where events go; the scheduler when not set.
  std::function<void(const schema::Event&)> deliver;

  void add(const TestNode& node);
  void lost(std::uint32_t node);
  void returned(std::uint32_t node);
  void drained(std::uint32_t node);
  void resumed(std::uint32_t node);
  void removed(std::uint32_t node);
  // The device with this index in the node as it was added.
  void quarantined(std::uint32_t node, std::uint32_t device);
  void released(std::uint32_t node, std::uint32_t device);
  void tested(std::uint32_t node, std::uint32_t device,
              schema::DeviceVerdict verdict);
  // The setting of a group that has this policy.
  void shared_by(const std::string& group, schema::GpuSharing setting,
                 const Policy& policy = {});

  std::uint64_t submit(const TestSession& session);
  void confirm(const Proposal& proposal);
  void exit(std::uint64_t session, std::uint32_t attempt, std::uint32_t rank);
  void requeue(std::uint64_t session, std::uint32_t attempt,
               std::uint64_t not_before_at = 0);
  void end(std::uint64_t session,
           schema::SessionState state = schema::SessionState::succeeded);

  std::vector<Proposal> propose(std::size_t max = 1'000'000) {
    return scheduler.propose(now, max);
  }
  // Proposes and confirms everything.
  std::vector<Proposal> pass();
  // The sessions that a pass starts, in its order.
  std::vector<std::uint64_t> started();

  // An event of any kind: `make` builds its body.
  using Builder = flatbuffers::FlatBufferBuilder;
  void event(schema::EventBody type,
             const std::function<flatbuffers::Offset<void>(Builder&)>& make);

 private:
  std::uint64_t sequence_ = 0;
  std::uint64_t last_session_ = 0;
};

flatbuffers::Offset<schema::NodeSpec> node_spec(TestCell::Builder& builder,
                                                const TestNode& node);
flatbuffers::Offset<schema::SessionSpec> session_spec(
    TestCell::Builder& builder, const TestSession& session);

}  // namespace reeve::cluster
