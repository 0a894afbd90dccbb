#include "tools/log/state_diff.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"

namespace reeve::tools {
namespace {

using cluster::Node;
using cluster::Session;
using cluster::State;
using std::string;
using std::string_view;

string number(std::uint64_t value) {
  return fmt::format("{}", value);
}

string_view state_name(const Node& node) {
  if (node.removed) return "removed";
  if (node.lost) return "lost";
  if (!node.draining) return "up";
  return node.holders.empty() ? "drained" : "draining";
}

// The sessions that hold some of a device: "s-5, s-6 (0.25)".
string holders_text(const State& state, const Node& node,
                    std::uint32_t device) {
  string out;
  if (node.devices[device].used_milli == 0) return out;
  std::vector<SessionId> holders = node.holders;
  std::sort(holders.begin(), holders.end());
  holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
  for (const SessionId id : holders) {
    std::uint32_t milli = 0;
    const Session* session = state.session(id);
    if (session == nullptr) continue;
    for (const auto& task : session->tasks)
      if (task.phase != cluster::TaskPhase::exited && task.node == node.id)
        for (const auto& share : task.devices)
          if (share.device() == device) milli += share.milli();
    if (milli == 0) continue;
    out += fmt::format("{}{}", out.empty() ? "" : ", ", to_text(id));
    if (milli % milli_per_device != 0)
      out += fmt::format(" ({})", format_milli(milli));
  }
  return out;
}

string quarantine_text(const Node& node, const cluster::Device& device) {
  const auto* found = node.quarantine_of(device);
  if (found == nullptr) return {};
  const string& reason = found->second.reason;
  return reason.empty() ? "yes" : reason;
}

// The nodes of its tasks that still hold something.
string places_text(const State& state, const Session& session) {
  string out;
  string_view last;
  for (const auto& task : session.tasks) {
    if (task.phase == cluster::TaskPhase::exited) continue;
    const string_view name = state.node(task.node)->name;
    if (name == last) continue;
    out += fmt::format("{}{}", out.empty() ? "" : " ", name);
    last = name;
  }
  return out;
}

class Differ {
 public:
  Differ(const State& a, const State& b,
         const std::function<void(const Change&)>& visit)
      : a_(a), b_(b), visit_(visit) {}

  DiffSums run() {
    accounts();
    reservations();
    tokens();
    members();
    nodes();
    sessions();
    return sums_;
  }

 private:
  void tell(Change change) {
    if (change.kind == Change::Kind::changed && change.fields.empty()) return;
    ++sums_.changes;
    visit_(change);
  }

  static void compare(Change& change, string_view name, string before,
                      string after) {
    if (before != after)
      change.fields.push_back({name, std::move(before), std::move(after)});
  }

  // Accounts keep their places for ever; new ones come at the end.
  void accounts() {
    const auto& before = a_.accounts();
    const auto& after = b_.accounts();
    for (std::size_t i = 0; i < after.all().size(); ++i) {
      static const cluster::Account nothing = [] {
        cluster::Account account;
        account.removed = true;
        return account;
      }();
      const cluster::Account& is = after.all()[i];
      const bool there = i < before.all().size();
      const cluster::Account& was = there ? before.all()[i] : nothing;
      if (was.removed && is.removed) continue;
      Change change{
          Change::Kind::changed, EnumNameAccountKind(is.kind), is.name, {}};
      if (was.removed) change.kind = Change::Kind::added;
      if (is.removed) change.kind = Change::Kind::removed;
      if (!is.removed) compare_accounts(change, was, is);
      tell(std::move(change));
    }
  }

  void compare_accounts(Change& change, const cluster::Account& was,
                        const cluster::Account& is) {
    const auto parent = [](const State& state, const cluster::Account& of) {
      return of.parent == cluster::no_account
                 ? string()
                 : state.accounts().at(of.parent).name;
    };
    const auto quota = [](const cluster::Account& of) {
      return of.quota ? cluster::to_text(*of.quota) : string();
    };
    compare(change, "parent", parent(a_, was), parent(b_, is));
    compare(change, "weight", format_milli(was.weight_milli),
            format_milli(is.weight_milli));
    compare(change, "priority_max", fmt::format("{}", was.priority_max),
            fmt::format("{}", is.priority_max));
    compare(change, "members", fmt::format("{}", fmt::join(was.members, " ")),
            fmt::format("{}", fmt::join(is.members, " ")));
    compare(change, "policy", was.policy, is.policy);
    compare(change, "gpu_sharing", schema::EnumNameGpuSharing(was.gpu_sharing),
            schema::EnumNameGpuSharing(is.gpu_sharing));
    compare(change, "admin", was.admin ? "yes" : "no", is.admin ? "yes" : "no");
    compare(change, "quota", quota(was), quota(is));
  }

  void reservations() {
    static const cluster::Reservation nothing;
    for (const auto& [name, is] : b_.reservations().all()) {
      const cluster::Reservation* was = a_.reservations().find(name);
      reservation(was ? Change::Kind::changed : Change::Kind::added,
                  was ? *was : nothing, is, name);
    }
    for (const auto& [name, was] : a_.reservations().all())
      if (!b_.reservations().find(name))
        reservation(Change::Kind::removed, was, nothing, name);
  }

  void reservation(Change::Kind kind, const cluster::Reservation& was,
                   const cluster::Reservation& is, const string& name) {
    const auto joined = [](const auto& list) {
      return fmt::format("{}", fmt::join(list, " "));
    };
    const auto period = [](std::uint64_t every_ns) {
      return every_ns ? format_duration(every_ns) : string();
    };
    Change change{kind, "reservation", name, {}};
    compare(change, "kind", EnumNameReservationKind(was.kind),
            EnumNameReservationKind(is.kind));
    compare(change, "nodes", joined(was.nodes), joined(is.nodes));
    compare(change, "devices", joined(was.devices), joined(is.devices));
    compare(change, "users", joined(was.users), joined(is.users));
    compare(change, "projects", joined(was.projects), joined(is.projects));
    compare(change, "from", time_text(was.first.from),
            time_text(is.first.from));
    compare(change, "to", time_text(was.first.to), time_text(is.first.to));
    compare(change, "every", period(was.every_ns), period(is.every_ns));
    compare(change, "reason", was.reason, is.reason);
    tell(std::move(change));
  }

  // Calls visit(kind, name, before, after) for each entry of two maps.
  template <class Map, class Visit>
  static void each_entry(const Map& before, const Map& after, Visit&& visit) {
    static const typename Map::mapped_type nothing;
    for (const auto& [name, is] : after) {
      const auto was = before.find(name);
      visit(was == before.end() ? Change::Kind::added : Change::Kind::changed,
            name, was == before.end() ? nothing : was->second, is);
    }
    for (const auto& [name, was] : before)
      if (!after.contains(name))
        visit(Change::Kind::removed, name, was, nothing);
  }

  static string time_text(Time at) {
    return at.value ? schema::rfc3339(at.value) : string();
  }

  void tokens() {
    const auto visit = [&](Change::Kind kind, std::uint64_t id,
                           const cluster::Token& was,
                           const cluster::Token& is) {
      Change change{kind, "token", fmt::format("{}", id), {}};
      compare(change, "role", EnumNameIdentityRole(was.role),
              EnumNameIdentityRole(is.role));
      compare(change, "name", was.name, is.name);
      compare(change, "expires", time_text(was.expires_at),
              time_text(is.expires_at));
      compare(change, "used", fmt::format("{} of {}", was.used, was.uses),
              fmt::format("{} of {}", is.used, is.uses));
      compare(change, "revoked", time_text(was.revoked_at),
              time_text(is.revoked_at));
      tell(std::move(change));
    };
    each_entry(a_.identities().tokens(), b_.identities().tokens(), visit);
  }

  // One that left and came again has another key.
  void members() {
    const auto visit = [&](Change::Kind kind, const string& principal,
                           const cluster::Identity& was,
                           const cluster::Identity& is) {
      Change change{kind, "member", principal, {}};
      compare(change, "key", was.public_key, is.public_key);
      compare(change, "address", was.address, is.address);
      tell(std::move(change));
    };
    each_entry(a_.identities().all(), b_.identities().all(), visit);
  }

  static string labels_text(const Labels& labels) {
    string out;
    for (const auto& [key, value] : labels)
      out += fmt::format("{}{}={}", out.empty() ? "" : " ", key, value);
    return out;
  }

  void nodes() {
    static const Node nothing;
    for (std::size_t i = 0; i < b_.nodes().size(); ++i) {
      const Node& after = b_.nodes()[i];
      const bool there = i < a_.nodes().size();
      const Node& before = there ? a_.nodes()[i] : nothing;
      if (there && before.removed && after.removed) continue;
      node(there ? before : nothing, after, !there || before.removed);
      devices(before, after);
    }
  }

  void node(const Node& before, const Node& after, bool added) {
    Change change{Change::Kind::changed, "node", after.name, {}};
    if (added) change.kind = Change::Kind::added;
    if (after.removed) change.kind = Change::Kind::removed;
    compare(change, "state", added ? string() : string(state_name(before)),
            string(state_name(after)));
    compare(change, "drain_reason", before.drain_reason, after.drain_reason);
    compare(change, "agent", before.agent, after.agent);
    compare(change, "version", before.version, after.version);
    compare(change, "group", before.group, after.group);
    compare(change, "labels", labels_text(before.labels),
            labels_text(after.labels));
    compare(change, "cpu_milli", number(before.cpu_milli),
            number(after.cpu_milli));
    compare(change, "memory_bytes", number(before.memory_bytes),
            number(after.memory_bytes));
    compare(change, "gpus", number(before.devices.size()),
            number(after.devices.size()));
    compare(change, "used_cpu_milli", number(before.used_cpu_milli),
            number(after.used_cpu_milli));
    compare(change, "used_memory_bytes", number(before.used_memory_bytes),
            number(after.used_memory_bytes));
    compare(change, "tasks", number(before.holders.size()),
            number(after.holders.size()));
    tell(std::move(change));
  }

  void devices(const Node& before, const Node& after) {
    static const cluster::Device nothing;
    for (std::uint32_t i = 0; i < after.devices.size(); ++i) {
      const bool there = i < before.devices.size();
      const auto& was = there ? before.devices[i] : nothing;
      const auto& is = after.devices[i];
      Change change{there ? Change::Kind::changed : Change::Kind::added,
                    "device",
                    fmt::format("{}/{}", after.name, i),
                    {}};
      compare(change, "model", was.model, is.model);
      compare(change, "uuid", was.uuid, is.uuid);
      compare(change, "quarantined", quarantine_text(before, was),
              quarantine_text(after, is));
      compare(change, "used_milli", number(was.used_milli),
              number(is.used_milli));
      compare(change, "used_memory_bytes", number(was.used_memory_bytes),
              number(is.used_memory_bytes));
      compare(change, "held_by", there ? holders_text(a_, before, i) : string(),
              holders_text(b_, after, i));
      tell(std::move(change));
    }
  }

  // Both are in order of their ids: one pass over the two.
  void sessions() {
    std::uint64_t seen = 0;
    b_.visit_sessions(SessionId{}, [&](const Session& after) {
      const bool added = after.id >= a_.next_session();
      seen += added;
      const Session* before = a_.session(after.id);
      if (before == nullptr && !added) return true;  // ended before both
      if (before == nullptr || before->last_seq != after.last_seq)
        session(before, after);
      return true;
    });
    sums_.submitted = b_.next_session().value - a_.next_session().value;
    sums_.forgotten = sums_.submitted - seen;
    sums_.ended += sums_.forgotten;
    a_.visit_sessions(SessionId{}, [&](const Session& before) {
      if (b_.session(before.id) == nullptr && !cluster::has_ended(before.state))
        gone(before);
      return true;
    });
  }

  void session(const Session* before, const Session& after) {
    static const Session nothing;
    const Session& was = before != nullptr ? *before : nothing;
    Change change{
        before != nullptr ? Change::Kind::changed : Change::Kind::added,
        "session",
        to_text(after.id),
        {}};
    const bool was_over =
        before != nullptr && cluster::has_ended(before->state);
    sums_.ended += cluster::has_ended(after.state) && !was_over;
    compare(change, "state",
            before != nullptr ? EnumNameSessionState(was.state) : "",
            EnumNameSessionState(after.state));
    compare(change, "attempt", number(before ? was.attempt : 1),
            number(after.attempt));
    compare(change, "nodes",
            before != nullptr ? places_text(a_, was) : string(),
            places_text(b_, after));
    compare(change, "reason", EnumNameEndReason(was.reason),
            EnumNameEndReason(after.reason));
    compare(change, "exit_code", fmt::format("{}", was.exit_code),
            fmt::format("{}", after.exit_code));
    compare(change, "signal", fmt::format("{}", was.signal),
            fmt::format("{}", after.signal));
    tell(std::move(change));
  }

  // Ended since, and so long ago that the later state knows it no more.
  void gone(const Session& before) {
    ++sums_.ended;
    Change change{Change::Kind::removed, "session", to_text(before.id), {}};
    compare(change, "state", EnumNameSessionState(before.state),
            "ended, known to the log only");
    tell(std::move(change));
  }

  const State& a_;
  const State& b_;
  const std::function<void(const Change&)>& visit_;
  DiffSums sums_;
};

}  // namespace

std::string_view kind_name(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::added: return "added";
    case Change::Kind::removed: return "removed";
    case Change::Kind::changed: return "changed";
  }
  return "unknown";
}

DiffSums diff_states(const State& a, const State& b,
                     const std::function<void(const Change&)>& visit) {
  return Differ(a, b, visit).run();
}

}  // namespace reeve::tools
