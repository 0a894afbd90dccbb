// What the agent's tests share: orders as a manager makes them, answers, and
// an ear for what the agent sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "actors/agent/core.hpp"

namespace reeve::agent::testing {

// Orders of one epoch: { RANK=9 GIVEN=1 } is in the environment, rank and
// local rank are those of the key, of two tasks on node n1, with device GPU-a.
class Orders {
 public:
  explicit Orders(std::uint64_t epoch) : epoch_(epoch) {}
  // Up to where they know the log; else 1.
  Orders& at(std::uint64_t seq);
  // That heartbeat was heard.
  Orders& heard(std::uint64_t sent);
  Orders& cut_off(std::uint64_t cut_off_ns);
  Orders& with_cpus(std::uint32_t milli);
  Orders& on_master(std::string node);
  Orders& with_device(std::string uuid);
  Orders& with_devices(std::vector<std::string> uuids);
  // Else ann, 1000.
  Orders& of_user(std::string name, std::uint32_t uid);
  // Of each device, instead of all of it.
  Orders& with_share(std::uint32_t milli, std::uint64_t memory_bytes);
  Orders& with_env(std::string key, std::string value);
  // Instead of `true`, without a device and as the user of this process.
  Orders& command(std::vector<std::string> argv);

  std::vector<std::byte> launch(const std::vector<TaskKey>& keys) const;
  std::vector<std::byte> launch_simulated(const std::vector<TaskKey>& keys,
                                          std::uint64_t duration_ns,
                                          std::uint64_t started_at = 0) const;
  std::vector<std::byte> nothing_else() const;
  std::vector<std::byte> stop(const std::vector<TaskKey>& keys,
                              std::uint64_t grace_ns = second_ns) const;
  std::vector<std::byte> signal(const std::vector<TaskKey>& keys,
                                std::uint8_t signo) const;
  struct Probe {
    std::string uuid;
    std::uint64_t test = 0;
    bool full = false;
  };
  std::vector<std::byte> probe(const std::vector<Probe>& devices) const;
  std::vector<std::byte> list(
      const schema::Id128& boot, const std::vector<TaskKey>& started,
      const std::vector<TaskKey>& unstarted = {},
      const std::vector<std::string>& managers = {}) const;

 private:
  std::vector<std::byte> make(const std::vector<TaskKey>& keys, bool simulated,
                              std::uint64_t duration_ns,
                              std::uint64_t started_at) const;
  std::uint64_t epoch_;
  std::uint64_t seq_ = 1;
  std::uint64_t heard_ = 0;
  std::uint64_t cut_off_ns_ = 0;
  std::uint32_t cpu_milli_ = 1500;
  std::string master_ = "n1";
  std::string user_ = "ann";
  std::vector<std::string> devices_ = {"GPU-a"};
  std::uint32_t milli_ = 1000;
  std::uint64_t gpu_memory_bytes_ = 80;
  std::vector<std::pair<std::string, std::string>> env_ = {{"RANK", "9"},
                                                           {"GIVEN", "1"}};
  std::vector<std::string> argv_ = {"true"};
  std::uint32_t uid_ = 1000;
  std::uint32_t gid_ = 1000;
};

std::vector<std::byte> make_reply(const schema::Id128& id, bool accepted);
std::vector<std::byte> make_refusal(const schema::Id128& id,
                                    schema::RejectCode code, const char* rule);

// Verified; ends the program otherwise: these are called on threads of the bus
// too, where Boost.Test must not be.
const schema::AgentOrder& order_of(const std::vector<std::byte>& bytes);
const schema::Reply& reply_of(const std::vector<std::byte>& bytes);
const schema::Command& command_of(const std::vector<std::byte>& bytes);

struct HeardFact {
  schema::FactKind kind;
  std::uint64_t session;
  std::uint32_t attempt;
  std::uint32_t rank;
  int pid;
  schema::EndReason reason;
  std::uint64_t started_at;
  std::uint64_t ended_at;
  int exit_code;
  std::string detail;
  TaskKey key() const { return {session, attempt, rank}; }
};

struct HeardQuarantine {
  std::string node;
  std::string device;
  std::string reason;
};

struct HeardTest {
  std::string node;
  std::string device;
  std::uint64_t test = 0;
  schema::DeviceVerdict verdict{};
  std::string text;
  std::size_t figures = 0;
};

struct Heard {
  // A report sent again adds no facts.
  void take(const SendCommand& command);

  int reports = 0;
  int registrations = 0;
  schema::Id128 report_id;
  schema::Id128 registration_id;
  schema::Id128 boot;
  bool reconciled = false;
  std::uint64_t list = 0;
  std::uint64_t newest_epoch = 0;
  std::uint64_t newest_session = 0;
  std::string node;
  std::vector<std::string> devices;
  std::vector<std::string> limits;
  std::string labels;
  schema::Id128 quarantine_id;
  std::vector<HeardQuarantine> quarantines;  // as often as they are sent
  schema::Id128 test_id;
  std::vector<HeardTest> tests;  // as often as they are sent
  bool test_new = false;         // of the last registration
  bool test_quarantined = false;
  std::string kinds;  // of all commands, in order: "quarantine report "
  std::vector<HeardFact> facts;
};

}  // namespace reeve::agent::testing
