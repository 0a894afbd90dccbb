// Who leads gives way: because it is asked to, or cannot keep what is decided
// while another one may.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "actors/member/core.hpp"
#include "actors/member/core_time.hpp"

namespace reeve::member {
namespace {

bool keeps_up(const Beat& beat, const Position& log) {
  return beat.head.sequence.value + behind_events_max >= log.sequence.value;
}

}  // namespace

std::size_t Core::keeping_up(Time now) const {
  std::size_t count = 1;
  for (const auto& [member, beat] : living(now)) count += keeps_up(beat, log_);
  return count;
}

Expected<std::string> Core::hand_over(std::string_view to, Time now) {
  if (role_ != Role::leading)
    return fail(Errc::rejected,
                leader().empty() || leader() == name_
                    ? fmt::format("{} does not lead the cell, and nobody does "
                                  "at the moment: try again",
                                  name_)
                    : fmt::format("{} does not lead the cell: ask {}", name_,
                                  leader()));
  if (to == name_) return name_;
  if (hand_over_) {
    if (to.empty() || to == hand_over_->to) return hand_over_->to;
    return fail(Errc::rejected, fmt::format("{} hands over to {} already",
                                            name_, hand_over_->to));
  }
  const auto others = living(now);
  if (others.empty())
    return fail(Errc::rejected,
                fmt::format("{} hears of no other manager that could lead: "
                            "start one (\"reeve members\" lists them)",
                            name_));
  auto chosen = others.find(std::string(to));
  if (to.empty())
    chosen = std::ranges::max_element(others, {}, [&](const auto& one) {
      return std::tuple(keeps_up(one.second, log_), !one.second.lacks_room,
                        one.second.program.protocol.number(), one.second.head);
    });
  if (chosen == others.end()) return tl::unexpected(why_not_to(to, now));
  if (const cluster::Program& other = chosen->second.program;
      !cluster::understand(other.protocol, program_.protocol))
    return fail(
        Errc::rejected,
        fmt::format("{} and {} do not understand each other (protocols {} and "
                    "{}): install the version of {} there first",
                    cluster::with_version(chosen->first, other.version),
                    cluster::with_version(name_, program_.version),
                    other.protocol.number(), program_.protocol.number(),
                    name_));
  if (!keeps_up(chosen->second, log_))
    return fail(Errc::rejected,
                fmt::format("the log of {} ends at event {}, more than {} "
                            "events before that of {}: wait until it has "
                            "copied the rest (\"reeve members\" tells)",
                            chosen->first, chosen->second.head.sequence.value,
                            behind_events_max, name_));
  if (chosen->second.lacks_room && room_ == Room::enough)
    return fail(Errc::rejected,
                fmt::format("the disk below the log of {} is full: free some "
                            "space there first",
                            chosen->first));
  begin_hand_over(chosen->first, now);
  return chosen->first;
}

// Of one that does not live.
Error Core::why_not_to(std::string_view to, Time now) const {
  std::string names;
  for (const auto& [member, beat] : living(now))
    names += (names.empty() ? "" : ", ") + member;
  const auto last = heard_.find(to);
  const bool is_manager =
      managers_ ? managers_->contains(to) : last != heard_.end();
  if (!is_manager)
    return {Errc::not_found,
            fmt::format("there is no manager {} that lives; there are: {}", to,
                        names)};
  const std::string silent =
      last == heard_.end()
          ? fmt::format("since {} started", name_)
          : fmt::format("for {} s", since(last->second.at, now) / second_ns);
  return {Errc::rejected,
          fmt::format("{} is a manager of the cell and was not heard {}: see "
                      "that its daemon runs (\"reeve up\" on its host) and "
                      "that its host and that of {} reach each other; there "
                      "are: {}",
                      to, silent, name_, names)};
}

void Core::begin_hand_over(const std::string& to, Time now) {
  hand_over_ = HandOver{to, now};
  say(fmt::format("{} hands over to {}", name_, to));
  effects_.push_back(EndAdmission{});
}

void Core::on_room(Room room, Time now) {
  if (room == Room::enough || room_ == Room::enough) room_since_ = now;
  room_ = room;
}

// With the others the cell has room.
void Core::check_room(Time now) {
  if (role_ != Role::leading || hand_over_ || room_ == Room::enough ||
      since(room_since_, now) < no_room_ns_max)
    return;
  room_since_ = now;
  const std::pair<const std::string, Heard>* best = nullptr;
  for (const auto& one : heard_) {
    const Beat& beat = one.second.beat;
    if (since(one.second.at, now) <= beat_ns_max && !beat.lacks_room &&
        beat.role != Role::refusing && one.first != not_taken_by_ &&
        keeps_up(beat, log_) &&
        cluster::understand(beat.program.protocol, program_.protocol) &&
        (!best || beat.head > best->second.beat.head))
      best = &one;
  }
  if (!best) return;
  say(room_ == Room::unreachable
          ? fmt::format("{} does not reach the bus servers that lead the "
                        "stream, and {} may",
                        name_, best->first)
          : fmt::format("the disk below the log of {} is full, and {} has room",
                        name_, best->first));
  begin_hand_over(best->first, now);
  // What is under way cannot be finished here. Where the stream has it, the
  // next leader goes on from there.
  if (room_ != Room::none && room_ != Room::unreachable) return;
  hand_over_->drained = true;
  renew(now);
}

void Core::on_drained(Position log, Time now) {
  if (role_ != Role::leading || !hand_over_) return;
  log_ = log;
  hand_over_->drained = true;
  renew(now);
}

// Until the next one has taken the lease, it can be taken back.
void Core::check_hand_over(Time now) {
  if (!hand_over_) return;
  const std::string why = why_given_up(now);
  if (why.empty()) return;
  // Not again and again: nobody is served meanwhile.
  not_taken_by_ = hand_over_->to;
  room_since_ = after(now, room_again_ns);
  hand_over_.reset();
  say(fmt::format("{}: {} leads on", why, name_));
  effects_.push_back(Admit{});
  if (may_be_named_) renew(now);
}

// Whether it took the lease.
void Core::watch_next(Time now) {
  if (now < read_due_) return;
  read_lease(now);
  read_due_ = after(now, ping_ns);
}

std::string Core::why_given_up(Time now) const {
  const HandOver& hand = *hand_over_;
  const auto heard = heard_.find(hand.to);
  if (heard == heard_.end() || since(heard->second.at, now) > beat_ns_max)
    return fmt::format("{} is silent", hand.to);
  if (since(hand.begun, now) <= hand_over_ns_max) return {};
  return fmt::format("the hand-over to {} was not done within {} s", hand.to,
                     hand_over_ns_max / second_ns);
}

}  // namespace reeve::member
