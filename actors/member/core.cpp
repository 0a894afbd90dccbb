#include "actors/member/core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/member/core_time.hpp"
#include "cluster/check.hpp"

namespace reeve::member {
std::string text_of(const Position& position) {
  return fmt::format("epoch {}, event {}", position.epoch.value,
                     position.sequence.value);
}

int replicas_of(std::size_t managers) {
  if (managers >= 5) return 5;
  return static_cast<int>(std::clamp<std::size_t>(managers, 1, 3));
}

std::string_view text_of(Role role) {
  switch (role) {
    case Role::following: return "following";
    case Role::candidate: return "candidate";
    case Role::refusing: return "refusing";
    case Role::leading: return "leading";
    case Role::deposed: return "deposed";
  }
  return "unknown";
}

Core::Core(std::string name, Position log, std::uint64_t jitter_ns, Time now,
           cluster::Program program)
    : name_(std::move(name)),
      log_(log),
      jitter_ns_(std::min(jitter_ns, second_ns)),
      program_(std::move(program)),
      started_(now),
      read_due_(now),
      ping_due_(now) {}

// Who leads was a manager when it took over, and nobody takes out who leads.
void Core::on_barred(bool barred) {
  barred_ = barred;
}

void Core::on_managers(
    std::optional<std::set<std::string, std::less<>>> managers) {
  managers_ = std::move(managers);
  if (managers_)
    std::erase_if(heard_, [&](const auto& one) {
      return !managers_->contains(one.first);
    });
}

// ---- the lease of another

void Core::on_lease_read(const LeaseRead& read, Time now) {
  reading_ = false;
  // What was read before a write says nothing of it.
  if (role_ == Role::deposed || writing_ != Writing::nothing) return;
  if (holding_) {
    const bool handed =
        hand_over_ && hand_over_->named && read.revision > lease_.revision;
    if (doubt_ || handed) on_doubt(read, now);
    return;
  }
  if (!lease_known_ || read.revision != lease_.revision) {
    if (read.lease.holder != lease_.lease.holder) hears_ = false;
    lease_known_ = true;
    changed_ = now;
    unheard_.clear();
    gone_ = false;
  }
  see(read);
  consider(now);
}

void Core::on_lease_unread(Time) {
  reading_ = false;
}

void Core::consider(Time now) {
  const std::string why = why_free(now);
  if (role_ == Role::following) {
    if (!why.empty() && !barred_) stand(why, now);
  } else if (why.empty() || barred_) {
    follow();
  }
}

// One that the bus servers lost was never written, as they say now. What it
// said counts on.
void Core::see(const LeaseRead& read) {
  const Lease before = std::exchange(lease_, read).lease;
  Lease& lease = lease_.lease;
  lease.epoch = std::max(lease.epoch, before.epoch);
  lease.kept = std::max(lease.kept, before.kept);
}

// Empty: it is held. Time alone does not free it: only what was read just now
// does, and shows that it was not renewed meanwhile.
std::string Core::why_free(Time now) const {
  const Lease& lease = lease_.lease;
  if (lease.holder.empty()) return "nobody holds the lease";
  if (lease.next == name_)
    return fmt::format("{} hands over to {}", lease.holder, name_);
  if (lease.holder == name_ && lease.next.empty())
    return fmt::format("{} led the cell when its process ended", name_);
  if (gone_ && nobody_hears_it(now))
    return fmt::format("the process of {}, which led in epoch {}, is gone",
                       lease.holder, lease.epoch.value);
  if (since(changed_, now) >= silent_ns_max)
    return fmt::format(
        "{}, which leads in epoch {}, has not renewed its lease "
        "for {} s",
        lease.holder, lease.epoch.value, since(changed_, now) / second_ns);
  return {};
}

// A link that is down between two hosts leaves the others between them.
bool Core::nobody_hears_it(Time now) const {
  bool asked = false;
  for (const auto& [member, beat] : living(now)) {
    if (member == lease_.lease.holder) continue;
    if (beat.hears_leader) return false;
    asked = true;
  }
  return asked || since(changed_, now) >= unrenewed_ns_max;
}

void Core::on_ping_heard(std::string_view member) {
  if (member != lease_.lease.holder) return;
  unheard_.clear();
  gone_ = false;
  hears_ = true;
}

void Core::on_ping_unheard(std::string_view member, Time now) {
  if (role_ != Role::following || member != lease_.lease.holder) return;
  hears_ = false;
  std::erase_if(unheard_,
                [&](Time at) { return since(at, now) > unheard_ns_max; });
  unheard_.push_back(now);
  if (unheard_.size() < unheard_pings_max) return;
  unheard_.clear();
  gone_ = true;
  // It may have been renewed just before.
  read_lease(now);
}

// ---- standing for leader

void Core::stand(const std::string& why, Time now) {
  role_ = Role::candidate;
  step_ = Step::waiting;
  stood_at_ = now;
  // Whom it was handed to waits for nobody.
  const bool asked = lease_.lease.next == name_;
  const std::uint64_t jitter_ns =
      gone_ ? jitter_ns_ / gone_jitter_parts : jitter_ns_;
  const std::uint64_t wait_ns =
      asked ? 0 : jitter_ns + (newer(now) ? newer_first_ns : 0);
  due_ = std::max(after(now, wait_ns), after(started_, listen_ns));
  say(fmt::format("{}: {} stands for leader", why, name_));
}

void Core::follow() {
  role_ = Role::following;
  step_ = Step::waiting;
  holding_ = doubt_ = false;
  refused_.clear();
}

void Core::refuse(const Better& better, Time now) {
  role_ = Role::refusing;
  step_ = Step::waiting;
  holding_ = doubt_ = false;
  due_ = after(now, retry_ns);
  if (std::exchange(refused_, better.why) == better.why) return;
  say(fmt::format("{} does not lead: {}", name_, better.why));
  if (better.who.empty()) return;
  effects_.push_back(Report{{name_,
                             cluster::HealingKind::lead_refused,
                             0,
                             log_.sequence.value,
                             log_.epoch.value,
                             better.who,
                             better.seen.epoch.value,
                             better.seen.sequence.value,
                             {}}});
}

std::optional<Core::Better> Core::better(Time now) const {
  if (auto longer = longer_log(now)) return longer;
  if (auto beyond = lease_beyond()) return beyond;
  if (auto other = roomier(now)) return other;
  return newer_program();
}

// Of whoever was heard since the start, living or not: what it wrote may mean
// what this program does not know.
std::optional<Core::Better> Core::newer_program() const {
  for (const auto& [member, heard] : heard_) {
    const cluster::Program& other = heard.beat.program;
    if (other.protocol.oldest() <= program_.protocol.number()) continue;
    return Better{{},
                  {},
                  fmt::format("{} understands no protocol below {}, and {} "
                              "speaks {}: install the "
                              "version of {} here, or start this manager anew "
                              "when no such one is to "
                              "come back",
                              cluster::with_version(member, other.version),
                              other.protocol.oldest(),
                              cluster::with_version(name_, program_.version),
                              program_.protocol.number(), member)};
  }
  return std::nullopt;
}

const std::pair<const std::string, Core::Heard>* Core::newer(Time now) const {
  const std::pair<const std::string, Heard>* newest = nullptr;
  std::uint32_t number = program_.protocol.number();
  for (const auto& one : heard_) {
    const auto& protocol = one.second.beat.program.protocol;
    if (since(one.second.at, now) > beat_ns_max || protocol.number() <= number)
      continue;
    number = protocol.number();
    newest = &one;
  }
  return newest;
}

// Nothing: nobody that lives.
std::optional<Core::Better> Core::longer_log(Time now) const {
  const std::pair<const std::string, Heard>* longest = nullptr;
  for (const auto& one : heard_)
    if (since(one.second.at, now) <= beat_ns_max &&
        one.second.beat.head > log_ &&
        (!longest || one.second.beat.head > longest->second.beat.head))
      longest = &one;
  if (longest)
    return Better{
        longest->first, longest->second.beat.head,
        fmt::format(
            "{} has the longer log ({}; here it ends at {}), so {} is to lead",
            longest->first, text_of(longest->second.beat.head), text_of(log_),
            longest->first)};
  return furthest_witness(now);
}

std::optional<Core::Better> Core::furthest_witness(Time now) const {
  const std::pair<const std::string, Witness>* furthest = nullptr;
  for (const auto& one : witnesses_)
    if (since(one.second.at, now) <= beat_ns_max && one.second.seen > log_ &&
        (!furthest || one.second.seen > furthest->second.seen))
      furthest = &one;
  if (!furthest) return std::nullopt;
  const std::string who = fmt::format("agent {}", furthest->first);
  return Better{
      who, furthest->second.seen,
      fmt::format(
          "{} has seen {}, and the log here ends at {}: start the manager "
          "that has the rest, or restore its log; where that is gone for good "
          "or the agent is wrong, stop that agent",
          who, text_of(furthest->second.seen), text_of(log_))};
}

bool Core::credible(Position seen) const {
  const Lease& lease = lease_.lease;
  const Epoch epoch = std::max({log_.epoch, lease.kept.epoch, lease.epoch});
  const Sequence sequence = std::max(log_.sequence, lease.kept.sequence);
  const auto beyond = [](std::uint64_t said, std::uint64_t known) {
    return said > known && said - known > witness_ahead_max;
  };
  return !beyond(seen.epoch.value, epoch.value) &&
         !beyond(seen.sequence.value, sequence.value);
}

// The stream keeps a week: after that it does not tell that a log is old, and
// whoever has the rest may be away.
std::optional<Core::Better> Core::lease_beyond() const {
  const Lease& lease = lease_.lease;
  if (lease.kept <= log_) return std::nullopt;
  const std::string who = lease.holder.empty()
                              ? "the lease that was lost"
                              : fmt::format("the lease of {}", lease.holder);
  return Better{
      who, lease.kept,
      fmt::format("the cell has kept {}, as {} says, and the log "
                  "here ends at {}: start the manager that has the rest; where "
                  "that is gone for good, begin the cell anew with the longest "
                  "log (docs/disaster.md, \"Most managers\")",
                  text_of(lease.kept), who, text_of(log_))};
}

// One that has all that is here, and could keep more.
std::optional<Core::Better> Core::roomier(Time now) const {
  if (room_ == Room::enough) return std::nullopt;
  for (const auto& [member, beat] : living(now))
    if (!beat.lacks_room && beat.head >= log_ && beat.role != Role::refusing)
      return Better{{},
                    {},
                    fmt::format("the disk below its log is full, and {} has "
                                "room: free some space here",
                                member)};
  return std::nullopt;
}

void Core::on_log(Position log) {
  log_ = log;
}

void Core::on_stream_read(Position log, Time now) {
  log_ = log;
  if (role_ == Role::deposed) return;
  if (step_ == Step::confirming) return confirm(now);
  if (step_ != Step::reading) return;
  if (const auto found = better(now)) return refuse(*found, now);
  take(now);
}

void Core::on_stream_unread(Time now) {
  if (step_ != Step::reading && step_ != Step::confirming) return;
  step_ = Step::waiting;
  due_ = after(now, retry_ns);
}

// An epoch that nobody who took the lease before has had, so that no record of
// another leader has the id of one of ours.
void Core::take(Time now) {
  // A renewal from before it gave the lease up is not answered yet.
  if (writing_ != Writing::nothing) return on_stream_unread(now);
  role_ = Role::candidate;
  step_ = Step::taking;
  epoch_ = Epoch{std::max(lease_.lease.epoch, log_.epoch).value + 1};
  renewed_ = now;
  write(Writing::take, {name_, epoch_, kept(), {}});
}

// What a candidate alone has may be lost with it: nobody is to wait for that.
Position Core::kept() const {
  return role_ == Role::leading ? log_ : lease_.lease.kept;
}

// It holds the lease and has read the stream to its end after that.
void Core::confirm(Time now) {
  if (const auto found = better(now)) return refuse(*found, now);
  if (log_.epoch < epoch_) return extend();
  step_ = Step::raising;
  epoch_ = Epoch{log_.epoch.value + 1};
  renew(now);
}

void Core::extend() {
  step_ = Step::extending;
  effects_.push_back(Lead{epoch_});
}

void Core::on_led(Position log, Time now) {
  if (role_ != Role::candidate || step_ != Step::extending) return;
  role_ = Role::leading;
  step_ = Step::waiting;
  log_ = log;
  refused_.clear();
  say(fmt::format("{} leads the cell: {}", name_, text_of(log)));
  if (const auto* one = newer(now))
    say(fmt::format(
        "{}, which is newer than {}, stands by: upgrade this manager, or hand "
        "over (reeve lead {})",
        cluster::with_version(one->first, one->second.beat.program.version),
        cluster::with_version(name_, program_.version), one->first));
}

void Core::on_stream_moved(Time) {
  if (role_ == Role::candidate && step_ == Step::extending) read_stream();
}

void Core::on_fenced(std::string_view by, Time) {
  if (role_ == Role::leading || step_ == Step::extending)
    step_down(
        fmt::format("{} extends the stream in the place of {}", by, name_));
}

// Who leads next puts what it lost into it again.
void Core::on_shortened() {
  if (role_ == Role::leading || step_ == Step::extending)
    step_down(
        fmt::format("the bus servers lost the end of the log that {} "
                    "had put there",
                    name_));
}

// ---- the lease of its own

void Core::write(Writing what, Lease lease) {
  REEVE_CHECK(writing_ == Writing::nothing, "the lease is being written");
  writing_ = what;
  written_ = std::move(lease);
  effects_.push_back(WriteLease{lease_.revision, written_});
}

void Core::renew(Time now) {
  if (writing_ != Writing::nothing || doubt_) return;
  renewed_ = now;
  const bool hand = hand_over_ && hand_over_->drained;
  if (hand) may_be_named_ = true;
  write(Writing::renewal,
        {name_, epoch_, kept(), hand ? hand_over_->to : std::string()});
}

void Core::on_lease_written(std::uint64_t revision, Time now) {
  const Writing what = std::exchange(writing_, Writing::nothing);
  if (role_ == Role::deposed || what == Writing::nothing) return;
  lease_ = {revision, written_};
  changed_ = now;
  sure_at_ = wrote_at_ = renewed_;
  if (written_.next.empty()) may_be_named_ = false;
  if (what == Writing::take) {
    holding_ = true;
    read_stream();
  } else if (holding_) {
    on_held(now);
  }
}

// The lease, as last written or read, is this one's.
void Core::on_held(Time now) {
  if (hand_over_ && hand_over_->drained) {
    if (lease_.lease.next != hand_over_->to) return renew(now);
    if (!std::exchange(hand_over_->named, true)) read_due_ = now;
    return;
  }
  if (role_ != Role::candidate || step_ != Step::raising) return;
  if (lease_.lease.epoch == epoch_) return extend();
  renew(now);
}

void Core::on_lease_conflict(Time now) {
  const Writing what = std::exchange(writing_, Writing::nothing);
  if (role_ == Role::deposed || what == Writing::nothing) return;
  if (what == Writing::take) follow();
  // A renewal that was not answered may be what is in the way.
  doubt_ = holding_;
  read_lease(now);
}

void Core::on_lease_unknown(Time now, Asked asked) {
  const Writing what = std::exchange(writing_, Writing::nothing);
  if (role_ == Role::deposed || what == Writing::nothing) return;
  if (asked == Asked::servers) sure_at_ = renewed_;
  // Where it was taken after all, it is found to be this one's, and is taken
  // once more with a later epoch.
  if (what == Writing::take) follow();
  read_due_ = after(now, retry_ns);
}

Time Core::answers_until() const {
  return role_ == Role::leading && !doubt_ && !may_be_named_
             ? after(sure_at_, silent_ns_max)
             : Time{};
}

Time Core::leads_until() const {
  return role_ == Role::leading ? extends_until() : Time{};
}

Time Core::extends_until() const {
  return holding_ && !doubt_ && !may_be_named_ ? after(wrote_at_, silent_ns_max)
                                               : Time{};
}

void Core::on_doubt(const LeaseRead& read, Time now) {
  const Lease& lease = read.lease;
  // A replica may be behind.
  if (!lease.holder.empty() && read.revision < lease_.revision) return;
  const bool ours =
      lease.holder == name_ &&
      (lease.epoch == epoch_ || lease.epoch == lease_.lease.epoch);
  doubt_ = false;
  see(read);
  changed_ = now;
  if (ours) {
    on_held(now);
    if (!hand_over_ || !hand_over_->named) renew(now);
    return;
  }
  if (hand_over_ && lease.holder == hand_over_->to)
    return step_down(
        fmt::format("{} handed over to {}", name_, hand_over_->to));
  const std::string who = lease.holder.empty()
                              ? std::string("the lease is gone")
                              : fmt::format("{} took the lease with epoch {}",
                                            lease.holder, lease.epoch.value);
  if (role_ == Role::leading || step_ == Step::extending) return step_down(who);
  follow();
}

void Core::step_down(std::string why) {
  role_ = Role::deposed;
  holding_ = doubt_ = false;
  hand_over_.reset();
  say(fmt::format("{} leads no more: {}", name_, why));
  effects_.push_back(StepDown{std::move(why)});
}

// ---- other members

bool Core::on_beat(std::string_view member, const Beat& beat, Time now) {
  if (member == name_ || (managers_ && !managers_->contains(member)))
    return false;
  if (const auto known = heard_.find(member); known != heard_.end()) {
    // All whom it was waited for say now that they do not hear it either.
    const bool heard = gone_ && known->second.beat.hears_leader;
    known->second = {beat, now};
    if (heard && !beat.hears_leader && role_ == Role::following)
      read_lease(now);
    return true;
  }
  if (heard_.size() >= members_max)
    std::erase_if(heard_, [&](const auto& one) {
      return since(one.second.at, now) > beat_ns_max;
    });
  if (heard_.size() >= members_max) return false;
  heard_.emplace(member, Heard{beat, now});
  return true;
}

void Core::on_witness(std::string_view agent, Position seen, Time now) {
  const auto known = witnesses_.find(agent);
  if (seen <= log_) {
    if (known != witnesses_.end()) witnesses_.erase(known);
    return;
  }
  if (!credible(seen)) {
    if (!std::exchange(disbelief_said_, true))
      say(fmt::format(
          "agent {} says that it has seen {}, and nothing above "
          "{} is known here: it is not believed",
          agent, text_of(seen), text_of(std::max(log_, lease_.lease.kept))));
    return;
  }
  // Another one led since, or leads; the lease says so, and an agent that lies
  // costs a look at it.
  if (role_ == Role::leading && seen.epoch > log_.epoch && !doubt_ &&
      writing_ == Writing::nothing) {
    doubt_ = true;
    read_lease(now);
  }
  if (known != witnesses_.end()) {
    known->second = {seen, now};
    return;
  }
  if (witnesses_.size() >= witnesses_max)
    std::erase_if(witnesses_, [&](const auto& one) {
      return since(one.second.at, now) > beat_ns_max || one.second.seen <= log_;
    });
  if (witnesses_.size() < witnesses_max)
    witnesses_.emplace(agent, Witness{seen, now});
}

std::map<std::string, Beat> Core::living(Time now) const {
  std::map<std::string, Beat> out;
  for (const auto& [member, heard] : heard_)
    if (since(heard.at, now) <= beat_ns_max) out.emplace(member, heard.beat);
  return out;
}

// ---- time

void Core::on_tick(Time now) {
  if (role_ == Role::deposed) return;
  check_room(now);
  check_hand_over(now);
  if (holding_ && !doubt_) {
    const bool named = hand_over_ && hand_over_->named;
    if (since(renewed_, now) >= (named ? named_renew_ns : renew_ns)) renew(now);
    if (named) watch_next(now);
  } else if (now >= read_due_) {
    read_lease(now);
  }
  if (role_ == Role::following) ping(now);
  const bool stands = role_ == Role::candidate || role_ == Role::refusing;
  if (stands && step_ == Step::waiting && now >= due_ && may_begin(now))
    read_stream();
}

bool Core::hears_majority(Time now) const {
  if (!managers_) return true;
  const auto heard = living(now);
  const auto present = std::count_if(
      managers_->begin(), managers_->end(), [&](const std::string& one) {
        return one == name_ || heard.contains(one);
      });
  return 2 * static_cast<std::size_t>(present) > managers_->size();
}

// When bus servers lost the end of the stream, the others' logs alone tell of
// it.
bool Core::may_begin(Time now) const {
  return holding_ || lease_.lease.next == name_ || hears_majority(now) ||
         since(stood_at_, now) >= hear_others_ns;
}

void Core::read_lease(Time now) {
  read_due_ = after(now, renew_ns);
  if (std::exchange(reading_, true)) return;
  effects_.push_back(ReadLease{});
}

void Core::ping(Time now) {
  const Lease& lease = lease_.lease;
  if (now < ping_due_ || lease.holder.empty() || lease.holder == name_ ||
      !lease.next.empty())
    return;
  ping_due_ = after(now, ping_ns);
  effects_.push_back(Ping{lease.holder});
}

void Core::read_stream() {
  step_ = holding_ ? Step::confirming : Step::reading;
  effects_.push_back(ReadStream{});
}

std::vector<Effect> Core::take_effects() {
  return std::exchange(effects_, {});
}

void Core::say(std::string text) {
  effects_.push_back(Say{std::move(text)});
}

}  // namespace reeve::member
