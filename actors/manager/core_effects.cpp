// What leaves the core: gated by its commit, refused where there is no room.
#include <fmt/format.h>

#include "actors/manager/core.hpp"
#include "actors/manager/messages.hpp"
#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::manager {

using cluster::Rejection;

void Core::gate(Effect effect) {
  if (durable_ >= state_.last_sequence()) {
    effects_.push_back(std::move(effect));
  } else {
    gated_.push_back({state_.last_sequence(), std::move(effect)});
    if (!no_room_.empty()) refuse_gated();
  }
}

void Core::reply(std::string_view reply_to, std::vector<std::byte> bytes) {
  if (reply_to.empty()) return;
  gate(SendReply{std::string(reply_to), std::move(bytes)});
}

void Core::set_no_room(std::string_view why) {
  no_room_ = why;
  alone_ = false;
  if (!no_room_.empty()) refuse_gated();
}

void Core::set_alone(std::string_view why) {
  no_room_ = why;
  alone_ = !why.empty();
  if (!no_room_.empty()) refuse_gated();
}

std::string Core::why_alone() const {
  std::string missing;
  for (const ManagerSeen& one : membership_.managers)
    if (one.name != manager_ &&
        (!one.heard || one.silent_ns > manager_silent_ns_max))
      missing += (missing.empty() ? "" : ", ") + one.name;
  return missing.empty() ? no_room_
                         : fmt::format("{} (not heard: {})", no_room_, missing);
}

// What is decided takes effect with its commit, whenever that can be. Orders
// and the answers to questions wait for it; who sent a command is told.
void Core::refuse_gated() {
  for (auto gated = gated_.begin(); gated != gated_.end();) {
    auto* waiting = std::get_if<SendReply>(&gated->effect);
    const auto* answer =
        waiting ? schema::verified<schema::Reply>(waiting->bytes) : nullptr;
    if (!answer || !answer->command_id()) {
      ++gated;
      continue;
    }
    waiting->bytes = encode_rejection(
        *answer->command_id(),
        alone_ ? Rejection{schema::RejectCode::try_again, schema::not_kept_rule,
                           "it is decided, but not kept: " + why_alone() +
                               ". It takes effect when they answer, unless "
                               "another leads by then",
                           0, 0}
               : Rejection{schema::RejectCode::no_space, schema::not_kept_rule,
                           "it is decided, but cannot be kept: " + no_room_ +
                               ". It takes effect when there is room, if the "
                               "daemon lives on",
                           0, 0});
    effects_.push_back(std::move(gated->effect));
    gated = gated_.erase(gated);
  }
}

// Facts are taken: they come again until they are kept.
bool Core::refuse_without_room(const schema::Command& command,
                               std::string_view reply_to) {
  using schema::CommandBody;
  if (no_room_.empty() || command.body_type() == CommandBody::ReportFacts ||
      command.body_type() == CommandBody::RegisterNodes)
    return false;
  ++counters_.rejections;
  // Alone it cannot know whether another leads by now, who heard it, too.
  const bool unsure = may_lead_no_more();
  auto answer = encode_rejection(
      *command.id(),
      unsure ? Rejection{schema::RejectCode::try_again, schema::not_kept_rule,
                         "nothing was changed here: " + why_alone() +
                             ". If another leads by now, it may have done it",
                         0, 0}
             : Rejection{schema::RejectCode::no_space, "no_room",
                         "nothing was changed: " + no_room_, 0, 0});
  // It may come again, to be done then.
  if (!unsure) rejections_.add(*command.id(), answer);
  if (!reply_to.empty())
    effects_.push_back(SendReply{std::string(reply_to), std::move(answer)});
  return true;
}

void Core::reply_read(std::string_view reply_to, std::vector<std::byte> bytes) {
  if (admission_.open && no_room_.empty())
    return reply(reply_to, std::move(bytes));
  if (reply_to.empty()) return;
  effects_.push_back(SendReply{std::string(reply_to), std::move(bytes)});
}

// A list is made of what is decided and leaves when that is on disk. Made once
// for each commit, many who join at once cost no more than one.
void Core::tell_identities() {
  for (;;) {
    if (!identities_ && !std::exchange(identities_changed_, false)) return;
    if (!identities_)
      identities_ =
          Gated{state_.last_sequence(),
                SetBusIdentities{state_.identities().for_bus(),
                                 cluster::managers_of(state_.identities())}};
    if (identities_->after > durable_) return;
    effects_.push_back(std::move(identities_->effect));
    identities_.reset();
  }
}

Batch Core::take_batch() {
  flush_orders();
  tell_identities();
  auto taken = writer_.take(options_.batch_bytes_max);
  absorbed_ -= taken.bytes.size();
  return {taken.first, taken.count, writer_.epoch(), std::move(taken.bytes)};
}

void Core::committed(Sequence sequence) {
  durable_ = std::max(durable_, sequence);
  if (durable_ >= state_.last_sequence()) settled_at_ = now_;
  tell_identities();
  while (!gated_.empty() && gated_.front().after <= durable_) {
    effects_.push_back(std::move(gated_.front().effect));
    gated_.pop_front();
  }
}

std::vector<Effect> Core::take_effects() {
  // A manager that follows has a bus of its own, with the same who may connect.
  if (!started_) tell_identities();
  return std::exchange(effects_, {});
}

std::vector<std::string> Core::take_messages() {
  return std::exchange(messages_, {});
}

void Core::set_membership(Membership membership) {
  membership_ = std::move(membership);
  if (!started_) manager_ = membership_.name;
}

void Core::set_counter(std::string_view name, std::uint64_t value) {
  const auto found = outside_counters_.find(name);
  if (found != outside_counters_.end()) {
    found->second = value;
  } else {
    outside_counters_.emplace(name, value);
  }
}

}  // namespace reeve::manager
