// Several managers' cores around a model of the stream and of the lease, on a
// virtual clock. Fault model: processes die, at any time, and come back with
// the log they had; they pause; they are cut off from the bus; each message is
// late or lost, and what was reported as unanswered may still arrive. Then a
// healthy phase. What must hold:
//   - what the stream takes follows what it has: no two leaders extend it
//   - what a leader was told is in the stream is what it sent
//   - no two managers ever lead, or try to, in one epoch
//   - none leads while it knows of a living one with a longer log
//   - none leads with a log that ends before what the lease says is kept
//   - healthy, the cell has one leader within a bound, and keeps it
// Repeat one seed with REEVE_SEED=<n>; the number of runs is REEVE_RUNS.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>

#include "actors/member/core.hpp"

namespace core_model_test {

using namespace reeve;
using namespace reeve::member;

namespace {

using Random = std::mt19937_64;
constexpr std::uint64_t ms = second_ns / 1000;
constexpr std::uint64_t faulty_ns = 120 * second_ns;
// From the end of the faults to a leader: the lease is silent, the candidates
// have listened and waited for each other, twice, since one of them may refuse.
constexpr std::uint64_t leader_ns_max =
    2 * (silent_ns_max + listen_ns + 2 * second_ns);
constexpr std::uint64_t answer_ns_max = 2 * second_ns;

// One commit. Two with the same id may differ: that is what must not be.
struct Record {
  Epoch epoch;
  Sequence last;
  std::uint64_t uid = 0;     // of this very commit
  std::uint64_t parent = 0;  // the uid before it, as its writer knows
};
using Records = std::vector<Record>;

Position end_of(const Records& records) {
  if (records.empty()) return {};
  return {records.back().epoch, records.back().last};
}
std::uint64_t uid_of(const Records& records) {
  return records.empty() ? 0 : records.back().uid;
}

// As JetStream: each publish says how long the stream is.
struct Stream {
  Records records;

  enum class Answer { stored, fenced };

  // Sent again, it is known by what stands in its place.
  Answer publish(const Record& record, std::size_t behind) {
    for (const Record& known : records)
      BOOST_REQUIRE_MESSAGE(
          known.epoch != record.epoch || known.last != record.last ||
              known.uid == record.uid,
          "another commit has the id " << record.epoch.value << "-"
                                       << record.last.value);
    if (behind < records.size())
      return records[behind].uid == record.uid ? Answer::stored
                                               : Answer::fenced;
    BOOST_REQUIRE_MESSAGE(
        record.parent == uid_of(records),
        "a commit of epoch " << record.epoch.value << " does not follow");
    records.push_back(record);
    return Answer::stored;
  }
};

class Cell {
 public:
  Cell(std::uint64_t seed, std::size_t members) : random_(seed) {
    for (std::size_t i = 0; i < members; ++i) {
      members_.emplace_back();
      members_[i].name = fmt::format("m{}", i + 1);
      start(i);
    }
  }

  void go() {
    for (std::size_t i = 0; i < members_.size(); ++i) meddle(i);
    run_until(faulty_ns);
    healthy_ = true;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      members_[i].paused_until = members_[i].cut_until = now_;
      if (!members_[i].core) start(i);
    }
    // What is on its way still arrives late.
    const std::uint64_t healed = now_.value + 2 * answer_ns_max;
    run_until(healed + leader_ns_max);
    const std::size_t leader = the_leader();
    const std::size_t committed = stream_.records.size();
    run_until(now_.value + 10 * second_ns);
    BOOST_REQUIRE_EQUAL(the_leader(), leader);
    BOOST_REQUIRE(stream_.records.size() > committed);
    for (const Member& member : members_)
      BOOST_REQUIRE(
          member.core->role() ==
          (&member == &members_[leader] ? Role::leading : Role::following));
  }

  std::size_t leads() const { return epochs_.size(); }

  // After go(): all end, the stream keeps nothing by now, and all but one have
  // older copies of their logs. That one starts last.
  void go_on_from_old_logs() {
    for (Member& member : members_) {
      ++member.life;
      member.core.reset();
    }
    // What is on its way arrives.
    run_until(now_.value + 2 * answer_ns_max);
    kept_from_ = stream_.records.size();
    const std::size_t whole = below(members_.size());
    members_[whole].log = stream_.records;
    for (Member& member : members_)
      if (&member != &members_[whole])
        member.log.resize(below(member.log.size() / 2));
    for (std::size_t i = 0; i < members_.size(); ++i)
      if (i != whole) start(i);
    run_until(now_.value + 2 * leader_ns_max);
    for (const Member& member : members_)
      BOOST_REQUIRE(!member.core || member.core->role() == Role::refusing);
    start(whole);
    run_until(now_.value + leader_ns_max);
    BOOST_REQUIRE_EQUAL(the_leader(), whole);
  }

 private:
  struct Member {
    std::string name;
    Records log;
    std::optional<Core> core;
    std::uint64_t life = 0;  // of the process
    Time paused_until;
    Time cut_until;
    std::map<std::string, std::pair<Position, Time>> heard;
    // Of the shell, while it leads or begins to.
    std::size_t published = 0;  // how much of its log the stream has
    std::size_t read_to = 0;    // the stream's length at the last reading
    std::optional<Epoch> extending;
    bool draining = false;
    bool in_flight = false;
    Time lease_free;  // of what was asked before
  };
  struct Happening {
    Time at;
    std::uint64_t order;
    std::function<void()> run;
    bool operator>(const Happening& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool lost() { return !healthy_ && below(12) == 0; }
  std::uint64_t delay() {
    if (healthy_) return ms + below(20 * ms);
    return ms + below(below(10) == 0 ? 5 * second_ns : 60 * ms);
  }

  void later(std::uint64_t ns, std::function<void()> run) {
    happenings_.push({Time{now_.value + ns}, ++order_, std::move(run)});
  }
  // For a process: none that has died, and one that is paused when it goes on.
  void at_member(std::size_t i, std::uint64_t ns,
                 std::function<void(Member&)> run) {
    const std::uint64_t life = members_[i].life;
    later(ns, [this, i, life, run = std::move(run)] {
      Member& member = members_[i];
      if (member.life != life) return;
      if (member.paused_until > now_)
        return at_member(i, member.paused_until.value - now_.value, run);
      run(member);
      perform(i);
    });
  }
  bool reachable(std::size_t i) const { return members_[i].cut_until <= now_; }

  void run_until(std::uint64_t end) {
    while (!happenings_.empty() && happenings_.top().at.value <= end) {
      const Happening next = happenings_.top();
      happenings_.pop();
      now_ = next.at;
      next.run();
    }
    now_.value = end;
  }

  // ---- processes and faults

  void start(std::size_t i) {
    Member& member = members_[i];
    ++member.life;
    member.core.emplace(member.name, end_of(member.log), below(500 * ms), now_);
    member.heard.clear();
    member.extending.reset();
    member.draining = member.in_flight = false;
    member.lease_free = now_;
    tick(i);
    beat(i);
  }
  void kill(std::size_t i) {
    ++members_[i].life;
    members_[i].core.reset();
    const std::uint64_t life = members_[i].life;
    later(100 * ms + below(healthy_ ? ms : 10 * second_ns), [this, i, life] {
      if (members_[i].life == life) start(i);
    });
  }
  void meddle(std::size_t i) {
    later(second_ns + below(15 * second_ns), [this, i] {
      if (healthy_) return;
      Member& member = members_[i];
      switch (below(5)) {
        case 0: kill(i); break;
        case 1:
          member.paused_until.value = now_.value + below(20) * second_ns;
          break;
        case 2:
          member.cut_until.value = now_.value + below(20) * second_ns;
          break;
        case 3:
          if (!member.core) break;
          if (member.core->hand_over("", now_)) perform(i);
          break;
        default: break;
      }
      meddle(i);
    });
  }
  void tick(std::size_t i) {
    at_member(i, 50 * ms, [this, i](Member& member) {
      member.core->on_tick(now_);
      if (member.core->role() == Role::following && below(4) == 0) follow(i);
      tick(i);
    });
  }
  void beat(std::size_t i) {
    at_member(i, second_ns, [this, i](Member& member) {
      const Beat said = member.core->beat();
      for (std::size_t to = 0; to < members_.size(); ++to) {
        if (to == i || lost() || !reachable(i)) continue;
        if (!members_[to].core) continue;
        at_member(to, delay(),
                  [this, to, from = member.name, said](Member& other) {
                    if (!reachable(to)) return;
                    other.core->on_beat(from, said, now_);
                    other.heard[from] = {said.head, now_};
                  });
      }
      beat(i);
    });
  }

  // ---- a shell

  void perform(std::size_t i) {
    Member& member = members_[i];
    if (!member.core) return;
    for (const Effect& effect : member.core->take_effects()) {
      std::visit([&](const auto& one) { perform(i, one); }, effect);
      if (!member.core) return;
    }
  }
  void perform(std::size_t, const Say&) {}
  void perform(std::size_t, const Report&) {}
  void perform(std::size_t i, const ReadLease&) {
    at_member(i, in_turn(i, delay()), [this, i](Member& member) {
      if (!reachable(i) || lost()) return member.core->on_lease_unread(now_);
      member.core->on_lease_read(lease_, now_);
    });
  }
  // What concerns the lease is done one after another: when this one is.
  std::uint64_t in_turn(std::size_t i, std::uint64_t ns) {
    Time& free = members_[i].lease_free;
    free.value = std::max(free.value, now_.value) + ns;
    return free.value - now_.value;
  }
  // It arrives or not, and its answer does or not; late arrivals count.
  void perform(std::size_t i, const WriteLease& write) {
    const std::uint64_t go = delay();
    const std::uint64_t back = delay();
    const bool arrives = reachable(i) && !lost();
    const bool in_time = arrives && !lost() && go + back < answer_ns_max;
    const std::uint64_t done = in_turn(i, in_time ? go + back : answer_ns_max);
    const std::uint64_t there =
        done - (in_time ? go + back : answer_ns_max) + go;
    const auto outcome = std::make_shared<std::uint64_t>(0);
    if (arrives)
      later(there, [this, write, outcome] {
        if (write.revision != lease_.revision) return;
        lease_ = {++revisions_, write.lease};
        *outcome = lease_.revision;
      });
    at_member(i, done, [this, in_time, outcome](Member& member) {
      if (!in_time) return member.core->on_lease_unknown(now_);
      if (*outcome == 0) return member.core->on_lease_conflict(now_);
      member.core->on_lease_written(*outcome, now_);
    });
  }
  void perform(std::size_t i, const Ping& ping) {
    at_member(i, delay(), [this, i, to = ping.member](Member& member) {
      if (!reachable(i) || lost()) return;
      for (std::size_t other = 0; other < members_.size(); ++other) {
        if (members_[other].name != to) continue;
        // One that is paused is there and does not answer.
        if (members_[other].core && reachable(other)) {
          if (members_[other].paused_until <= now_)
            member.core->on_ping_heard(to);
        } else {
          member.core->on_ping_unheard(to, now_);
        }
      }
    });
  }
  // The log follows the stream; what differs is set aside, what goes on stays.
  void follow(std::size_t i) {
    Member& member = members_[i];
    if (!reachable(i)) return;
    std::size_t same = 0;
    while (same < member.log.size() && same < stream_.records.size() &&
           member.log[same].uid == stream_.records[same].uid)
      ++same;
    // What the stream no longer keeps, who leads has; nothing tells of it when
    // the stream is empty.
    const bool readable = same >= kept_from_ || somebody_leads();
    if (!readable && kept_from_ < stream_.records.size()) return;
    if (readable && same < stream_.records.size()) {
      member.log.resize(same);
      member.log.insert(
          member.log.end(),
          stream_.records.begin() + static_cast<std::ptrdiff_t>(same),
          stream_.records.end());
    }
    member.read_to = stream_.records.size();
    member.core->on_log(end_of(member.log));
  }
  void perform(std::size_t i, const ReadStream&) {
    at_member(i, delay(), [this, i](Member& member) {
      if (!reachable(i) || lost()) return member.core->on_stream_unread(now_);
      follow(i);
      member.core->on_stream_read(end_of(member.log), now_);
    });
  }
  void perform(std::size_t i, const Lead& lead) {
    Member& member = members_[i];
    // By this process alone; by another one never.
    const auto [known, fresh] =
        epochs_.try_emplace(lead.epoch, std::pair(i, member.life));
    BOOST_REQUIRE_MESSAGE((fresh || known->second == std::pair(i, member.life)),
                          "epoch " << lead.epoch.value << " is led twice");
    BOOST_REQUIRE(lead.epoch > end_of(member.log).epoch);
    BOOST_REQUIRE_MESSAGE(
        lease_.lease.kept <= end_of(member.log),
        member.name << " leads, and the lease tells of a longer log");
    for (const auto& [name, heard] : member.heard)
      BOOST_REQUIRE_MESSAGE(
          now_.value - heard.second.value > beat_ns_max ||
              heard.first <= end_of(member.log),
          member.name << " leads, and " << name << " has the longer log");
    member.extending = lead.epoch;
    member.published = member.read_to;
    Records all = member.log;
    all.push_back(next(member, lead.epoch));
    publish(i, std::move(all));
  }

  Record next(const Member& member, Epoch epoch) {
    const Position end = end_of(member.log);
    return {epoch, Sequence{end.sequence.value + 1 + below(4)}, ++uids_,
            uid_of(member.log)};
  }

  // The next of these that the stream does not have, again until it is
  // answered.
  void publish(std::size_t i, Records all) {
    Member& member = members_[i];
    const std::size_t at = member.published;
    if (at == all.size()) return;
    member.in_flight = true;
    if (member.core->extends_until() < now_)
      return at_member(i, 100 * ms,
                       [this, i, all = std::move(all)](Member&) mutable {
                         publish(i, std::move(all));
                       });
    const std::uint64_t there = delay();
    const bool arrives = reachable(i) && !lost();
    const bool answers = arrives && !lost();
    const auto answer = std::make_shared<std::optional<Stream::Answer>>();
    if (arrives)
      later(there, [this, record = all[at], at, answer] {
        *answer = stream_.publish(record, at);
      });
    at_member(
        i, answers ? there + delay() : answer_ns_max,
        [this, i, all = std::move(all), answers, answer](Member& self) mutable {
          self.in_flight = false;
          if (!answers || !*answer) return publish(i, std::move(all));
          answered(i, std::move(all), **answer);
        });
  }
  void answered(std::size_t i, Records all, Stream::Answer answer) {
    Member& member = members_[i];
    if (answer == Stream::Answer::fenced) {
      // Before the first of them is there, another one may try again.
      if (member.extending && member.published == member.read_to) {
        member.extending.reset();
        return member.core->on_stream_moved(now_);
      }
      return member.core->on_fenced("another", now_);
    }
    ++member.published;
    // What was answered is there, as it was sent, and all before it.
    BOOST_REQUIRE(stream_.records.size() >= member.published);
    BOOST_REQUIRE_EQUAL(stream_.records[member.published - 1].uid,
                        all[member.published - 1].uid);
    if (member.published < all.size()) return publish(i, std::move(all));
    member.log = std::move(all);
    if (member.extending) {
      member.extending.reset();
      member.core->on_led(end_of(member.log), now_);
      commit(i);
    }
    member.core->on_log(end_of(member.log));
    if (member.draining) member.core->on_drained(end_of(member.log), now_);
  }

  // Commits, one after the other: in its own log at once.
  void commit(std::size_t i) {
    at_member(i, 100 * ms + below(400 * ms), [this, i](Member& member) {
      if (member.core->role() != Role::leading) return;
      if (!member.in_flight && !member.draining) {
        member.log.push_back(next(member, epoch_of(member)));
        publish(i, member.log);
      }
      commit(i);
    });
  }
  static Epoch epoch_of(const Member& member) {
    return member.log.back().epoch;
  }

  void perform(std::size_t i, const EndAdmission&) {
    Member& member = members_[i];
    member.draining = true;
    if (!member.in_flight) member.core->on_drained(end_of(member.log), now_);
  }
  void perform(std::size_t i, const Admit&) { members_[i].draining = false; }
  void perform(std::size_t i, const StepDown&) { kill(i); }

  bool somebody_leads() const {
    return std::any_of(members_.begin(), members_.end(), [](const auto& one) {
      return one.core && one.core->role() == Role::leading;
    });
  }

  std::size_t the_leader() {
    std::vector<std::size_t> leaders;
    std::string roles;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const auto& core = members_[i].core;
      roles += fmt::format(" {} {}", members_[i].name,
                           core ? text_of(core->role()) : "dead");
      if (core && core->role() == Role::leading) leaders.push_back(i);
    }
    BOOST_REQUIRE_MESSAGE(leaders.size() == 1, "no one leader:" << roles);
    return leaders.front();
  }

  Random random_;
  bool healthy_ = false;
  Time now_;
  std::uint64_t order_ = 0;
  std::uint64_t uids_ = 0;
  std::uint64_t revisions_ = 0;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>>
      happenings_;
  Stream stream_;
  std::size_t kept_from_ = 0;  // what came before, the stream has dropped
  LeaseRead lease_;
  std::vector<Member> members_;
  // Who leads, or tries to, in which epoch.
  std::map<Epoch, std::pair<std::size_t, std::uint64_t>> epochs_;
};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(member_model)

BOOST_AUTO_TEST_CASE(one_leads_at_a_time_and_a_healthy_cell_has_a_leader) {
  const bool one = std::getenv("REEVE_SEED") != nullptr;
  const std::uint64_t first = number_from("REEVE_SEED", 1);
  const std::uint64_t runs = one ? 1 : number_from("REEVE_RUNS", 300);
  std::size_t leads = 0;
  for (std::uint64_t seed = first; seed < first + runs; ++seed)
    BOOST_TEST_CONTEXT("repeat with REEVE_SEED=" << seed) {
      Cell cell(seed, seed % 4 == 0 ? 5 : 3);
      cell.go();
      leads += cell.leads();
    }
  // The faults do change who leads.
  BOOST_TEST(leads > 2 * runs);
}

BOOST_AUTO_TEST_CASE(when_the_stream_is_empty_an_old_log_does_not_lead) {
  const std::uint64_t first = number_from("REEVE_SEED", 1);
  for (std::uint64_t seed = first; seed < first + 20; ++seed)
    BOOST_TEST_CONTEXT("repeat with REEVE_SEED=" << seed) {
      Cell cell(seed, 3);
      cell.go();
      cell.go_on_from_old_logs();
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace core_model_test
