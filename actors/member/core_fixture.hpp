// The second of three managers, to which the tests of the core speak.
#pragma once

#include <fmt/format.h>

#include <string>

#include "actors/member/core.hpp"

namespace reeve::member {

inline constexpr std::uint64_t ms = second_ns / 1000;

inline Position at(std::uint64_t epoch, std::uint64_t sequence) {
  return {Epoch{epoch}, Sequence{sequence}};
}

inline std::string text_of(const Effect& effect) {
  if (std::holds_alternative<ReadLease>(effect)) return "read lease";
  if (std::holds_alternative<ReadStream>(effect)) return "read stream";
  if (std::holds_alternative<EndAdmission>(effect)) return "end admission";
  if (std::holds_alternative<Admit>(effect)) return "admit";
  if (const auto* lead = std::get_if<Lead>(&effect))
    return fmt::format("lead {}", lead->epoch.value);
  if (const auto* report = std::get_if<Report>(&effect))
    return fmt::format("report {} {} {} of {}", report->healing.other,
                       report->healing.other_epoch, report->healing.other_last,
                       report->healing.last);
  if (const auto* ping = std::get_if<Ping>(&effect))
    return "ping " + ping->member;
  if (const auto* down = std::get_if<StepDown>(&effect))
    return "step down: " + down->why;
  if (const auto* write = std::get_if<WriteLease>(&effect))
    return fmt::format("write {}: {} {} {} {}", write->revision,
                       write->lease.holder, write->lease.epoch.value,
                       write->lease.kept.sequence.value,
                       write->lease.next.empty() ? "-" : write->lease.next);
  return {};
}

// The manager m2, whose log ends at epoch 7, event 100, and who has listened
// long enough. m1 leads in epoch 7.
struct Second {
  Time now{1'000 * second_ns};
  Core core{"m2", at(7, 100), 300 * ms, now};
  std::string said;

  Second() {
    effects();
    pass(listen_ns);
  }

  // What it wants since the last call; what it says is in `said`.
  std::string effects() {
    std::string text;
    said.clear();
    for (const Effect& effect : core.take_effects())
      if (const auto* say = std::get_if<Say>(&effect)) {
        said += (said.empty() ? "" : "; ") + say->text;
      } else {
        text += (text.empty() ? "" : "; ") + text_of(effect);
      }
    return text;
  }
  void pass(std::uint64_t ns) { now.value += ns; }
  std::string tick(std::uint64_t after_ns) {
    pass(after_ns);
    core.on_tick(now);
    return effects();
  }
  std::string lease(std::uint64_t revision, std::string holder,
                    std::uint64_t epoch, std::string next = {},
                    Position kept = at(7, 90)) {
    core.on_lease_read(
        {revision, {std::move(holder), Epoch{epoch}, kept, std::move(next)}},
        now);
    return effects();
  }
  std::string stream(Position log) {
    core.on_stream_read(log, now);
    return effects();
  }
  std::string written(std::uint64_t revision) {
    core.on_lease_written(revision, now);
    return effects();
  }
  void beat(std::string_view member, Position head) {
    core.on_beat(member, {Role::following, head}, now);
  }
  Role role() const { return core.role(); }

  // m1's lease is not renewed: candidate, the stream is being read.
  void stand() {
    tick(0);
    lease(50, "m1", 7);
    pass(silent_ns_max);
    lease(50, "m1", 7);
    BOOST_REQUIRE_EQUAL(tick(300 * ms), "read lease; read stream");
    BOOST_REQUIRE_EQUAL(lease(50, "m1", 7), "");
  }
  void lead() {
    stand();
    stream(at(7, 100));
    written(51);
    BOOST_REQUIRE_EQUAL(stream(at(7, 100)), "lead 8");
    core.on_led(at(8, 101), now);
    effects();
    BOOST_REQUIRE((role() == Role::leading));
  }
};

}  // namespace reeve::member
