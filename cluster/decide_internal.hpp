// Shared by the decisions about facts, nodes, devices, sessions and accounts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cluster/decide.hpp"

namespace reeve::cluster {

struct TaskEnd {
  std::uint32_t rank = 0;
  EndReason reason = EndReason::exited;
  schema::ExitFacts facts;
  std::string detail;
};

// The task's end, and what follows from it for its session: the next attempt,
// the end, or the end of its peers. `writer` has begun.
void write_exit(const Session& session, const TaskEnd& end,
                const Origin& origin, Sequence cause, EventWriter& writer);

Rejection unknown_node(const State& state, std::string_view name);

// What a command names: a device, or the card that some are parts of.
struct NamedDevice {
  std::uint32_t device = 0;  // of several, the first
  std::string uuid;
};
tl::expected<NamedDevice, Rejection> find_device(const Node& node,
                                                 std::string_view word);
// "device 1 of node n0 (GPU-...)".
std::string device_text(const Node& node, const NamedDevice& named);

// Admins, and who sees the device: the agent of its node.
struct Asked {
  const Node* node = nullptr;
  bool by_agent = false;
};
tl::expected<Asked, Rejection> asked_by(const State& state,
                                        std::string_view node,
                                        const Origin& origin);

// Names stand in subjects, commands and tables: letters, digits and -_., the
// first no -.
bool is_plain_name(std::string_view name);
// The same of `what` with at most so many bytes, as a refusal by this rule.
std::optional<Rejection> check_name(std::string_view name, const char* rule,
                                    std::string_view what,
                                    std::size_t bytes_max);

// Ends the membership of that principal, if it has one. `writer` has begun.
void write_identity_removed(const State& state, std::string_view principal,
                            std::string_view reason, Sequence cause,
                            EventWriter& writer);

// Whether there may be one more account, and of this name.
std::optional<Rejection> check_new_account(const State& state,
                                           std::string_view name);

}  // namespace reeve::cluster
