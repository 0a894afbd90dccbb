// Answers to questions, built from the state. Pure.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/decide.hpp"
#include "cluster/scheduling/queue.hpp"
#include "cluster/state.hpp"
#include "schema/query_generated.h"

namespace reeve::manager {

// A page of a list ends before the answer comes near the bus's bound.
inline constexpr std::size_t answer_bytes_max = 600 << 10;
inline constexpr std::uint32_t answer_rows_max = 1000;
// Beyond this the last tasks of a session and the last holders of a device
// are left out.
inline constexpr std::size_t answer_detail_bytes_max = 700 << 10;

// "s-1 to succeed, s-2 to end", of those that it waits for still.
std::string awaited_text(const std::vector<SessionId>& waits_for,
                         const cluster::Spec& spec);

// The manager that answers, where it may not know the newest: it stands by, or
// leads and is not answered by the others.
struct Unsure {
  std::string manager;  // empty: it leads for sure
  std::uint64_t behind_ns = 0;
  bool leader_unheard = false;
  bool leads_alone = false;
};

class AnswerWriter {
 public:
  using Builder = flatbuffers::FlatBufferBuilder;

  // The answers say what is not sure of them.
  explicit AnswerWriter(const cluster::State& state, Unsure unsure = {})
      : state_(state), unsure_(std::move(unsure)) {}

  std::vector<std::byte> sessions(const schema::SessionsQuery& query);
  std::vector<std::byte> session(const schema::SessionQuery& query);
  std::vector<std::byte> nodes(const schema::NodesQuery& query);
  // What they used counts up to `now`.
  std::vector<std::byte> accounts(const schema::AccountsQuery& query, Time now);
  std::vector<std::byte> reservations();
  std::vector<std::byte> handed_over(std::string_view to);
  // Tokens, or who joined by them.
  std::vector<std::byte> identities(const schema::IdentitiesQuery& query);
  std::vector<std::byte> queue(std::string_view group,
                               const cluster::Queue& queue);
  std::vector<std::byte> dry_run_refused(const cluster::Rejection& rejection);
  // Of so many sessions like this one.
  std::vector<std::byte> dry_run(const cluster::DryRun& run,
                                 std::uint32_t sessions,
                                 const cluster::Spec& spec, Time now);
  std::vector<std::byte> digest();
  // Of a session that does not wait: why it is where it is. `given_up_at`: when
  // its tasks on lost nodes are; 0: not known, or it has none.
  std::vector<std::byte> why_settled(const cluster::Session& session,
                                     Time given_up_at);
  // Of one that waits, from the pass that refused it.
  std::vector<std::byte> why_waiting(const cluster::Session& session,
                                     const cluster::Why& why, Time now);
  std::vector<std::byte> not_found(std::string_view text);
  std::vector<std::byte> failed(std::string_view text);

  // The frame of any answer, for bodies built elsewhere.
  Builder& builder() { return builder_; }
  template <class Body>
  std::vector<std::byte> finish(flatbuffers::Offset<Body> body) {
    return finish(schema::AnswerBodyTraits<Body>::enum_value, body.Union(), {},
                  false);
  }

 private:
  std::vector<std::byte> finish(schema::AnswerBody type,
                                flatbuffers::Offset<void> body,
                                std::string_view error, bool not_found);
  flatbuffers::Offset<schema::WhyAnswer> why(SessionId id,
                                             schema::SessionState state,
                                             const cluster::Why& why,
                                             const cluster::Spec& spec,
                                             Time now);
  flatbuffers::Offset<schema::SessionView> view(
      const cluster::Session& session);
  flatbuffers::Offset<schema::TaskView> view(const cluster::Session& session,
                                             std::uint32_t rank);
  flatbuffers::Offset<schema::NodeView> view(const cluster::Node& node);
  flatbuffers::Offset<schema::DeviceView> view(const cluster::Node& node,
                                               std::uint32_t device);

  const cluster::State& state_;
  const Unsure unsure_;
  Builder builder_;
};

}  // namespace reeve::manager
