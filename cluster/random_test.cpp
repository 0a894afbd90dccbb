// Random commands, facts and times against a small cell. Fault model: facts
// are repeated, stale or from the wrong agent; nodes are lost, change, drain
// and come back, devices are quarantined, released and tested at any moment;
// members join, leave and are removed, by tokens good and bad; deadlines pass
// anywhere. Every invariant holds after each step, and a replay from the first
// event, or from a snapshot taken anywhere, is the same state. Repeat one seed
// with REEVE_SEED=<n>; the number of runs is REEVE_RUNS.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <optional>
#include <random>

#include "cluster/testing.hpp"

namespace random_test {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;
using schema::FactKind;

namespace {

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed) {
    for (std::uint32_t i = 0; i < node_count; ++i) register_one(i);
  }

  void go(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      follow_up();
      if (i % 16 == 0)
        BOOST_REQUIRE_EQUAL(replayed_digest(cell_), cell_.state.digest_hex());
      if (below(40) == 0) take_snapshot();
      if (snapshot_ && below(10) == 0) compare_snapshot();
    }
    finish();
  }

 private:
  static constexpr std::uint32_t node_count = 4;

  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }
  std::string node_name(std::uint32_t i) { return "n" + std::to_string(i); }

  void register_one(std::uint32_t i) {
    NodeOptions node;
    node.name = node_name(i);
    node.cpu_milli = 1000 * (4 + below(3));
    node.devices = below(4);
    if (below(2)) node.labels = {{"rack", "r" + std::to_string(below(2))}};
    cell_.register_node(node, below(3) > 0);
  }

  // A session of any state, now and then one that never was.
  SessionId any() {
    return SessionId{1 + random_() % cell_.state.next_session().value};
  }

  void step() {
    cell_.pass(below(3) * second_ns / 2);
    if (below(200) == 0) cell_.pass(start_ns_max);
    switch (below(22)) {
      case 0:
      case 1:
      case 2: return submit();
      case 3:
      case 4:
      case 5: return place();
      case 6:
      case 7:
      case 8:
      case 9: return report();
      case 10: cell_.cancel(any()); return;
      case 11: return pass_deadline();
      case 12: return change_node();
      case 13: return evict();
      case 14: register_one(below(node_count)); return;
      case 15: return change_accounts();
      case 16: return change_reservations();
      case 17: cell_.preempt(any(), any()); return;
      case 18: return warn();
      case 19: return change_members();
      default: return report();
    }
  }

  void submit() {
    Spec spec = tasks_of(1 + below(3));
    spec.cpu_milli = 500 * (1 + below(3));
    spec.requeue_max = below(3);
    spec.priority = static_cast<std::int32_t>(below(5)) - 2;
    if (below(4) == 0) spec.time_limit_ns = (1 + below(20)) * second_ns;
    if (below(8) == 0)
      spec.not_before_at = cell_.now.value + below(10) * second_ns;
    if (below(4) == 0)
      spec.after.emplace_back(any().value,
                              static_cast<schema::DependencyKind>(below(3)));
    const std::string project = project_name();
    if (below(2) == 0) spec.project = project;
    if (below(4) == 0) spec.grace_ns = below(100) * second_ns;
    if (below(4) == 0)
      spec.cut_off_ns = cut_off_ns_min + below(100) * second_ns;
    if (below(4) == 0) spec.on_preempt = schema::OnPreempt::end;
    if (spec.time_limit_ns && below(2)) {
      spec.warn_signal = 10;
      spec.warn_ns = 1 + random_() % spec.time_limit_ns;
    }
    const std::string constraint = "rack=r" + std::to_string(below(3));
    if (below(4) == 0) spec.constraint = constraint;
    if (below(4) == 0) spec.reservation = "r";
    if (below(6) == 0) {
      spec.array_running_max = below(3);
      const std::uint32_t from = below(4);
      cell_.try_submit_array(spec, {from, from + below(4)}, "root",
                             id_of(random_() % 1000));
      return;
    }
    cell_.try_submit(spec, "root", id_of(random_() % 1000));
  }

  void change_reservations() {
    cell_.tick_reservations();
    Reservation reservation = a_reservation(cell_);
    reservation.name = below(2) ? "r" : "m";
    reservation.nodes = {node_name(below(node_count))};
    if (below(2)) reservation.devices = {below(3)};
    if (below(2)) reservation.every_ns = (1 + below(8)) * 3600 * second_ns;
    if (below(3) == 0) {
      cell_.remove_reservation(reservation.name);
    } else {
      cell_.set_reservation(reservation);
    }
  }

  void warn() {
    const SessionId id = any();
    if (cell_.state.session(id)) cell_.warn(id);
  }

  // Agents of some of the nodes, and tokens of any number.
  void change_members() {
    const std::string name = node_name(below(node_count + 2));
    const auto& tokens = cell_.state.identities();
    const std::uint64_t token = 1 + random_() % tokens.next_token();
    switch (below(6)) {
      case 0:
        if (below(20) == 0) cell_.pass(token_kept_ns);
        cell_.create_token({.uses = 1 + below(3),
                            .expires_ns = token_ns_min * (1 + below(9))});
        return;
      case 1: cell_.revoke_token(token); return;
      case 2: cell_.leave("agent-" + name, below(2)); return;
      case 3: cell_.remove_identity("agent-" + name); return;
      default:
        cell_.join({.token = token,
                    .name = name,
                    .key = key_of(name + std::to_string(below(3)))});
    }
  }

  std::string project_name() { return "p" + std::to_string(below(4)); }

  template <class Table, class Decide>
  void decide(flatbuffers::FlatBufferBuilder& builder,
              flatbuffers::Offset<Table> body, Decide decision) {
    builder.Finish(body);
    decision(cell_.state,
             *flatbuffers::GetRoot<Table>(builder.GetBufferPointer()),
             cell_.origin("root"), cell_.writer);
    cell_.settle();
  }

  // Who may share a GPU from now on.
  void change_sharing() {
    flatbuffers::FlatBufferBuilder builder;
    const auto name = builder.CreateString(default_group);
    schema::AccountSpecBuilder spec(builder);
    spec.add_kind(schema::AccountKind::group);
    spec.add_name(name);
    spec.add_gpu_sharing(static_cast<schema::GpuSharing>(below(4)));
    const auto made = spec.Finish();
    decide(builder, schema::CreateSetAccount(builder, made),
           decide_set_account);
  }

  // Projects come, move and go, and so do their quotas.
  void change_accounts() {
    if (below(8) == 0) return change_sharing();
    flatbuffers::FlatBufferBuilder builder;
    const auto kind = schema::AccountKind::project;
    const std::string name = project_name();
    const std::string parent = below(2) ? project_name() : std::string();
    Quota quota;
    quota.gpu_milli = 250 * below(8);
    if (below(2)) quota.sessions = below(4);
    if (below(2)) quota.gpu_milli_hours = below(3);
    quota.period = static_cast<schema::QuotaPeriod>(below(4));
    switch (below(5)) {
      case 0:
      case 1: {
        const auto spec = schema::CreateAccountSpecDirect(
            builder, kind, name.c_str(), parent.c_str());
        return decide(builder, schema::CreateSetAccount(builder, spec),
                      decide_set_account);
      }
      case 2: {
        const auto limits = build_quota(builder, quota);
        return decide(
            builder,
            schema::CreateSetQuotaDirect(builder, kind, name.c_str(), limits),
            decide_set_quota);
      }
      case 3:
        return decide(
            builder,
            schema::CreateRemoveQuotaDirect(builder, kind, name.c_str()),
            decide_remove_quota);
      default:
        return decide(
            builder,
            schema::CreateRemoveAccountDirect(builder, kind, name.c_str()),
            decide_remove_account);
    }
  }

  void place() {
    const SessionId id = any();
    const Session* session = cell_.state.session(id);
    if (!session) return;
    std::vector<std::string> nodes(session->tasks_wanted);
    for (auto& name : nodes) {
      name = node_name(below(node_count));
      if (!cell_.state.node(name)) return;
    }
    std::vector<DeviceGrant> devices;
    if (below(2) == 0)
      devices.push_back({.device = below(3), .milli = 250 * (1 + below(4))});
    cell_.try_place(id, nodes, devices);
  }

  void report() {
    FactOptions fact;
    fact.kind = static_cast<FactKind>(below(4));
    fact.rank = below(3);
    fact.exit_code = below(2) ? 0 : 1;
    fact.reason = below(2) ? EndReason::exited : EndReason::signalled;
    if (below(12) == 0) fact.attempt = 1 + below(3);
    if (below(12) == 0) fact.agent = node_name(below(node_count));
    if (below(2) == 0) fact.started_at = cell_.now.value;
    const SessionId id = any();
    cell_.fact(id, fact);
    if (below(4) == 0) {
      const auto last = cell_.state.last_sequence();
      BOOST_REQUIRE(fact.kind != FactKind::started ||
                    cell_.fact(id, fact) != FactOutcome::recorded);
      BOOST_REQUIRE(cell_.state.last_sequence() == last ||
                    fact.kind != FactKind::started);
    }
  }

  void pass_deadline() {
    const SessionId id = any();
    const Session* session = cell_.state.session(id);
    if (!session) return;
    const Time due = deadline_of(cell_.state, *session);
    const bool jump = below(8) == 0 && session->state != SessionState::pending;
    if (jump && due > cell_.now) cell_.now = due;
    BOOST_REQUIRE_EQUAL(cell_.deadline(id), due.value != 0 && due <= cell_.now);
  }

  void change_node() {
    const std::string name = node_name(below(node_count));
    if (!cell_.state.node(name)) return;
    const std::string device = std::to_string(below(4));
    switch (below(12)) {
      case 0: cell_.drain(name, below(2) * second_ns); return;
      case 1:
      case 2: cell_.resume(name); return;
      case 3: cell_.remove(name); return;
      case 4:
        cell_.quarantine(name, device, below(2) ? "root" : "agent-" + name);
        return;
      case 5: cell_.release(name, device, "root", true); return;
      case 6:
        cell_.test(name, device, below(2) == 0,
                   below(2) ? "root" : "agent-" + name);
        return;
      case 7: cell_.own_tests(name, {below(2) == 0, below(2) == 0}); return;
      case 8:
      case 9:
        cell_.tested(name, "GPU-" + name + "-" + device,
                     static_cast<DeviceVerdict>(below(5)), "as it is");
        return;
      default:
        if (!cell_.state.node(name)->lost) cell_.lose(name);
    }
  }

  void evict() {
    const SessionId id = any();
    if (cell_.state.session(id)) cell_.evict(id);
  }

  // What the manager does at once: tasks of lost nodes, dependents of ended,
  // who waits for a reservation that is gone.
  void follow_up() {
    bool more = true;
    while (more) {
      more = false;
      for (std::uint64_t i = 1; i < cell_.state.next_session().value; ++i) {
        while (cell_.task_lost(SessionId{i})) more = true;
        const Session& session = cell_.session(SessionId{i});
        if (cell_.unreserved(session.id)) more = true;
        if (session.state != SessionState::pending || !session.depends)
          continue;
        for (const auto& after : cell_.state.spec(session).after) {
          const SessionId ended{after.session()};
          if (has_ended(cell_.state_of(ended)) &&
              cell_.dependent(session.id, ended)) {
            more = true;
            break;
          }
        }
      }
    }
  }

  void take_snapshot() {
    auto copy = State::decode_snapshot(cell_.state.encode_snapshot());
    BOOST_REQUIRE_MESSAGE(copy, (copy ? "" : copy.error().text));
    snapshot_.emplace(std::move(*copy));
  }

  void compare_snapshot() {
    replay(*snapshot_, cell_, Sequence{snapshot_->last_sequence().value + 1});
    BOOST_REQUIRE_EQUAL(snapshot_->digest_hex(), cell_.state.digest_hex());
    const Status sound = snapshot_->check_invariants();
    BOOST_REQUIRE_MESSAGE(sound, (sound ? "" : sound.error().text));
  }

  // Every session has a deadline, so time alone ends them all.
  void finish() {
    for (int round = 0; round < 6; ++round)
      for (std::uint64_t i = 1; i < cell_.state.next_session().value; ++i) {
        const SessionId id{i};
        if (has_ended(cell_.state_of(id))) continue;
        const Time due = deadline_of(cell_.state, cell_.session(id));
        BOOST_REQUIRE(due.value != 0);
        cell_.now = std::max(cell_.now, due);
        BOOST_REQUIRE(cell_.deadline(id));
        follow_up();
      }
    BOOST_REQUIRE_EQUAL(cell_.state.live_sessions(), 0);
    for (const Node& node : cell_.state.nodes()) {
      BOOST_REQUIRE_EQUAL(node.used_cpu_milli, 0);
      BOOST_REQUIRE(node.holders.empty());
    }
    BOOST_REQUIRE_EQUAL(replayed_digest(cell_), cell_.state.digest_hex());
  }

  std::mt19937_64 random_;
  Cell cell_;
  std::optional<State> snapshot_;
};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(random_model)

BOOST_AUTO_TEST_CASE(invariants_hold_and_replays_and_snapshots_agree) {
  const bool one = std::getenv("REEVE_SEED") != nullptr;
  const std::uint64_t first = number_from("REEVE_SEED", 1);
  const std::uint64_t runs = one ? 1 : number_from("REEVE_RUNS", 20);
  for (std::uint64_t seed = first; seed < first + runs; ++seed)
    BOOST_TEST_CONTEXT("repeat with REEVE_SEED=" << seed) {
      Run(seed).go(300);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace random_test
