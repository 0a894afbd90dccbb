// One manager among several, without its framework: who leads the cell, and
// when this one stands for it. The lease says who should lead and is for
// liveness only; the fence is the stream, which only one of two leaders can
// extend. Inputs come with the time; effects are carried out by the shell, in
// order.
//
// Times are of the host's monotonic clock, from any moment on. Nothing here is
// random: what candidates wait for each other comes in as a number.
//
//   following --(the lease is free)--> candidate --(longest log, lease taken,
//   stream read to its end, extended with an epoch of its own)--> leading
//   candidate --(another has the longer log)--> refusing --> candidate again
//   leading, or a candidate that began to extend the stream --> deposed, the
//   end: the process starts anew as a follower
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/healing.hpp"
#include "cluster/program.hpp"
#include "cluster/types.hpp"

namespace reeve::member {

// How often the leader renews the lease, and the others read it.
inline constexpr std::uint64_t renew_ns = second_ns;
// A lease that was not renewed for so long is free.
inline constexpr std::uint64_t silent_ns_max = 5 * second_ns;
// And so is one whose holder's process is gone: so many pings of it in a row
// found nobody who answers, the last within so long of the first. That may be
// for want of a link between two hosts alone: no other manager may hear it, or,
// where none is there to say so, it was not renewed for so long.
inline constexpr std::uint32_t unheard_pings_max = 3;
inline constexpr std::uint64_t unheard_ns_max = second_ns;
inline constexpr std::uint64_t ping_ns = second_ns / 4;
inline constexpr std::uint64_t unrenewed_ns_max = 2 * renew_ns;
// A member whose beat is older does not count as living.
inline constexpr std::uint64_t beat_ns_max = 5 * second_ns;
// Whoever has listened for less does not know yet who has which log.
inline constexpr std::uint64_t listen_ns = 2 * second_ns;
// So long a candidate waits to hear a majority of the managers, itself among
// them: one that lives and is not heard yet may have the longer log.
inline constexpr std::uint64_t hear_others_ns = 5 * second_ns;
// A candidate that could not read the stream, or refused, looks again.
inline constexpr std::uint64_t retry_ns = second_ns;
// Of its time to let others go first, a candidate waits one part in so many
// where the holder's process is gone: all find that out at moments of their
// own, and one of two that take the lease at once has to read it again.
inline constexpr std::uint64_t gone_jitter_parts = 5;
// So much longer a candidate lets those go first whose programs are newer: it
// could not read what they will write.
inline constexpr std::uint64_t newer_first_ns = second_ns;
// A hand-over that is not done by then is given up.
inline constexpr std::uint64_t hand_over_ns_max = 10 * second_ns;
// A lease that names the next one is renewed rarely: it takes it as it has read
// it. Below silent_ns_max: the others wait meanwhile.
inline constexpr std::uint64_t named_renew_ns = 3 * second_ns;
// A leader hands over that has had too little room for its log for so long,
// while another one has room; or that does not reach the servers of the stream
// for as long, where another one may: a link between two hosts is down.
inline constexpr std::uint64_t no_room_ns_max = 5 * second_ns;
// After a hand-over that was not taken, so much later.
inline constexpr std::uint64_t room_again_ns = 60 * second_ns;
// A manager keeps up whose log is no further behind the leader's.
inline constexpr std::uint64_t behind_events_max = 10'000;
// Beats of more members are not looked at.
inline constexpr std::size_t members_max = 32;
// Agents that have seen more than the log here has: one is enough to refuse.
inline constexpr std::size_t witnesses_max = 64;
// An agent that says it has seen what is so many epochs or events further than
// all that is known here is wrong, or it lies.
inline constexpr std::uint64_t witness_ahead_max = 10'000'000;

// Where a log ends. Of two logs of a cell the one with the later epoch has
// more of what was promised, and of one epoch the one with more events.
struct Position {
  Epoch epoch;
  Sequence sequence;
  auto operator<=>(const Position&) const = default;
};

// "epoch 7, event 1200".
std::string text_of(const Position& position);

// On how many servers each commit is, where so many managers keep up: on all of
// up to three, on five of five. A fourth copy would raise the majority, and no
// more of them could fail.
int replicas_of(std::size_t managers);

enum class Role { following, candidate, refusing, leading, deposed };
std::string_view text_of(Role role);

// For commits: on the disk below the log of this one, and with the servers that
// keep the stream.
enum class Room {
  enough,
  scarce,      // new work is not admitted
  none,        // a commit waits for the disk
  unreachable  // one waits for the servers, while the lease may be renewed
};

// What is in the bucket under its key. `epoch` grows with every taking: it is
// the epoch that the holder leads with, or will.
struct Lease {
  std::string holder;
  Epoch epoch;
  // How far the cell's log is known to be kept: whose log ends before it does
  // not lead. Epoch 0, below any, in the lease of a program that told none.
  Position kept;
  std::string next;  // who is to take it over; empty: nobody
  friend bool operator==(const Lease&, const Lease&) = default;
};
struct LeaseRead {
  std::uint64_t revision = 0;  // 0: it was never written
  Lease lease;
};

// What another manager says of itself each second.
struct Beat {
  Role role = Role::following;
  Position head;
  cluster::Program program = {};
  bool lacks_room = false;
  bool hears_leader =
      false;  // it follows, and who leads answered its last ping
};

// ---- effects. Those about the lease are carried out one after another.

// Answered by on_lease_read or on_lease_unread.
struct ReadLease {};
// Writes the lease if it still has this revision (0: if there is none).
// Answered once, by on_lease_written, on_lease_conflict or on_lease_unknown.
struct WriteLease {
  std::uint64_t revision = 0;
  Lease lease;
};
// Answered by on_ping_heard or on_ping_unheard; not at all when it is not
// known whether there is somebody.
struct Ping {
  std::string member;
};
// Follow the stream to its end, heal the log where they differ, then
// on_stream_read or on_stream_unread.
struct ReadStream {};
// Publish what the log has beyond the stream, then the beginning of this
// epoch, behind what was read. Answered by on_led, on_stream_moved (another
// record was first: nothing of ours is there) or on_fenced.
struct Lead {
  Epoch epoch;
};
// A hand-over begins: admit nothing more, finish the commit, then on_drained.
struct EndAdmission {};
// It was given up: go on.
struct Admit {};
// End at once without an answer to anybody, and start anew as a follower.
struct StepDown {
  std::string why;
};
// What is to be told of this one's log, by whoever leads.
struct Report {
  cluster::Healing healing;
};
// For the daemon's log.
struct Say {
  std::string text;
};
using Effect = std::variant<ReadLease, WriteLease, Ping, ReadStream, Lead,
                            EndAdmission, Admit, StepDown, Report, Say>;

class Core {
 public:
  // `jitter_ns`: how long this one lets others go first, below a second.
  Core(std::string name, Position log, std::uint64_t jitter_ns, Time now,
       cluster::Program program = {});

  // It may not lead while it is no manager of the cell, as far as its log says.
  void on_barred(bool barred);
  // Of others than these no beat counts; nothing: of nobody is it known that he
  // is none.
  void on_managers(std::optional<std::set<std::string, std::less<>>> managers);

  // ---- what the lease says
  void on_lease_read(const LeaseRead& read, Time now);
  void on_lease_unread(Time now);
  void on_lease_written(std::uint64_t revision, Time now);
  void on_lease_conflict(Time now);
  // It may be written or not, or be so later.
  enum class Asked { servers, nobody };  // nobody: there is no connection
  void on_lease_unknown(Time now, Asked asked = Asked::servers);
  void on_ping_heard(std::string_view member);
  void on_ping_unheard(std::string_view member, Time now);

  // ---- how far the logs reach
  // Of this one, as it follows the stream or leads.
  void on_log(Position log);
  void on_stream_read(Position log, Time now);
  void on_stream_unread(Time now);
  // Whether it counts.
  bool on_beat(std::string_view member, const Beat& beat, Time now);
  // What an agent has seen: an order that it obeyed was stamped so. It counts
  // while the agent's heartbeats come, as a beat does, and if it can be so.
  void on_witness(std::string_view agent, Position seen, Time now);

  void on_room(Room room, Time now);

  // ---- leading
  void on_led(Position log, Time now);
  void on_stream_moved(Time now);
  // A publish was refused for what another has put into the stream.
  void on_fenced(std::string_view by, Time now);
  // The stream lost messages that it had acknowledged.
  void on_shortened();
  // To this member, or to the one with the longest log (empty): one that keeps
  // up. The error is for whoever asked. Where it is not taken in time, this one
  // leads on.
  Expected<std::string> hand_over(std::string_view to, Time now);
  void on_drained(Position log, Time now);

  void on_tick(Time now);

  std::vector<Effect> take_effects();

  const std::string& name() const { return name_; }
  Role role() const { return role_; }
  // Who leads or should, as the lease said last; empty: nobody.
  const std::string& leader() const { return lease_.lease.holder; }
  Position log() const { return log_; }
  struct Heard {
    Beat beat;
    Time at;
  };
  // Of the others, the last beat of each: by name.
  const std::map<std::string, Heard, std::less<>>& heard() const {
    return heard_;
  }
  // Those of them that live.
  std::map<std::string, Beat> living(Time now) const;
  // How many have nearly all of its log: itself, and of those that live.
  std::size_t keeping_up(Time now) const;
  // A leader may answer until then: nobody else can have found its lease
  // silent. After it, or in doubt, it finds out first. Where no majority of the
  // servers answers, nobody it can reach leads.
  Time answers_until() const;
  // Until then nobody else can have found it silent, whoever can be reached;
  // but for one to whom its process seems to be gone.
  Time leads_until() const;
  // Until then, by the same reckoning, it may extend the stream: as one that
  // leads, or as a candidate that holds the lease. The fence alone does not do
  // when bus servers lose what another has put there.
  Time extends_until() const;
  // What a beat of this one says.
  Beat beat() const {
    return {role_, log_, program_, room_ != Room::enough, hears_leader()};
  }
  // The others are told at once when it does not any more.
  bool hears_leader() const { return role_ == Role::following && hears_; }

 private:
  // Of a candidate.
  enum class Step {
    waiting,     // for others, until due_
    reading,     // the stream, before it takes the lease
    taking,      // the lease
    confirming,  // the stream again, now that it holds the lease
    raising,     // the epoch in the lease: the stream has a later one
    extending    // the stream, see Lead
  };
  enum class Writing { nothing, take, renewal };
  struct HandOver {
    std::string to;
    Time begun;
    bool drained = false;
    bool named = false;  // in the lease
  };

  void see(const LeaseRead& read);
  void consider(Time now);
  std::string why_free(Time now) const;
  bool nobody_hears_it(Time now) const;
  void stand(const std::string& why, Time now);
  void follow();
  // Who knows of more than the log here has; without `who` the reason is not
  // its log.
  struct Better {
    std::string who;
    Position seen;
    std::string why;
  };
  void refuse(const Better& better, Time now);
  std::optional<Better> better(Time now) const;
  std::optional<Better> longer_log(Time now) const;
  std::optional<Better> furthest_witness(Time now) const;
  bool credible(Position seen) const;
  std::optional<Better> lease_beyond() const;
  std::optional<Better> roomier(Time now) const;
  std::optional<Better> newer_program() const;
  // Of those that live; null: nobody's is.
  const std::pair<const std::string, Heard>* newer(Time now) const;
  Position kept() const;
  void take(Time now);
  void renew(Time now);
  void write(Writing what, Lease lease);
  void on_held(Time now);
  void on_doubt(const LeaseRead& read, Time now);
  void confirm(Time now);
  void extend();
  bool hears_majority(Time now) const;
  bool may_begin(Time now) const;
  void read_stream();
  void read_lease(Time now);
  void ping(Time now);
  void step_down(std::string why);
  void check_room(Time now);
  Error why_not_to(std::string_view to, Time now) const;
  void begin_hand_over(const std::string& to, Time now);
  void check_hand_over(Time now);
  std::string why_given_up(Time now) const;
  void watch_next(Time now);
  void say(std::string text);

  std::string name_;
  Position log_;
  std::uint64_t jitter_ns_;
  cluster::Program program_;
  Time started_;
  Role role_ = Role::following;
  bool barred_ = false;
  std::optional<std::set<std::string, std::less<>>> managers_;
  Room room_ = Room::enough;
  Time room_since_;
  std::string not_taken_by_;  // the last hand-over
  Step step_ = Step::waiting;
  Time due_;  // of the next look at the stream
  Time stood_at_;

  LeaseRead lease_;  // as last seen, or written
  bool lease_known_ = false;
  Time changed_;  // when it was first seen so
  bool reading_ = false;
  Time read_due_;
  Writing writing_ = Writing::nothing;
  Time sure_at_;   // when it was known that nobody else has the lease
  Time wrote_at_;  // when what was written of it last was asked for
  Lease written_;  // by the write that is under way, or was last
  bool holding_ = false;
  bool doubt_ = false;  // whether it still holds it
  Epoch epoch_;         // that it leads with, or will
  Time renewed_;

  Time ping_due_;
  std::vector<Time> unheard_;  // pings in a row that found nobody
  bool gone_ = false;          // the holder's process
  bool hears_ = false;         // it answered the last ping

  std::map<std::string, Heard, std::less<>> heard_;
  struct Witness {
    Position seen;
    Time at;
  };
  // Of those that have seen more than the log had then: by agent.
  std::map<std::string, Witness, std::less<>> witnesses_;
  bool disbelief_said_ = false;
  std::string refused_;  // what was said last
  std::optional<HandOver> hand_over_;
  // The lease may name the next one, who may lead at any moment.
  bool may_be_named_ = false;
  std::vector<Effect> effects_;
};

}  // namespace reeve::member
