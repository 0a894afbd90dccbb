// The manager's core with the scheduler and simple agents, on one thread and a
// virtual clock. Fault model: orders and reports are lost, repeated and late;
// answers are lost; agents fall silent for longer than a manager waits;
// the manager dies between a commit and its sync, and another begins from the
// log. Then a healthy phase, in which every session has to end. Repeat one
// seed with REEVE_SEED=<n>; the number of runs is REEVE_RUNS.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "actors/manager/test_harness.hpp"
#include "cluster/project.hpp"
#include "schema/wire.hpp"

namespace random_test {

using namespace reeve;
using namespace reeve::manager;
using namespace reeve::manager::testing;
using schema::EndReason;
using schema::FactKind;

namespace {

using Random = std::mt19937_64;
using Key = std::tuple<std::uint64_t, std::uint32_t, std::uint32_t>;

constexpr std::uint64_t step_ns = second_ns / 4;

// Registers, starts what it is told to, reports until it is answered.
class FakeAgent {
 public:
  struct Task {
    Time ends;
    std::int32_t exit_code = 0;
    EndReason reason = EndReason::exited;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> devices;
    bool unknown = false;
    bool start_heard = false;
  };

  FakeAgent(std::string name, Random& random)
      : name_(std::move(name)), random_(random) {}

  const std::string& name() const { return name_; }
  bool registered() const { return stage_ == Stage::done; }
  void register_again() { stage_ = Stage::asking; }

  void on_order(const schema::AgentOrder& order, Time now) {
    if (order.epoch() < epoch_) return;
    epoch_ = order.epoch();
    if (const auto* launch = order.body_as_LaunchOrder())
      for (const auto* task : *launch->tasks()) start(*task, now);
    if (const auto* stop = order.body_as_StopOrder())
      for (const auto* ref : *stop->tasks()) end(key_of(*ref), now);
    if (const auto* list = order.body_as_ReconcileOrder()) {
      if (stage_ != Stage::asking || list->boot()->low() != boot_) return;
      std::set<Key> wanted;
      for (const auto* ref : *list->tasks()) {
        wanted.insert(key_of(*ref));
        if (!tasks_.contains(key_of(*ref))) end(key_of(*ref), now);
      }
      for (const auto* ref : *list->unstarted()) wanted.insert(key_of(*ref));
      for (const Key& key : candidates_)
        if (!wanted.contains(key) && tasks_.contains(key)) end(key, now);
      surplus_end_ = Time{now.value + 2 * second_ns};
      stage_ = Stage::clearing;
    }
  }

  // What it sends now; each message and each answer `arrives` or is lost.
  void act(Harness& manager, Time now, const std::function<bool()>& arrives) {
    check_devices(now);
    if (arrives()) manager.core->on_heartbeat(name_, now);
    if (stage_ == Stage::clearing && now >= surplus_end_)
      stage_ = Stage::confirming;
    if (stage_ == Stage::asking) ask(manager, arrives);
    if (stage_ == Stage::confirming && arrives()) {
      register_nodes(manager, true);
      stage_ = Stage::done;
    }
    report(manager, now, arrives);
  }

 private:
  enum class Stage { asking, clearing, confirming, done };

  template <class Ref>
  static Key key_of(const Ref& ref) {
    return {ref.session(), ref.attempt(), ref.rank()};
  }

  void start(const schema::TaskOrder& order, Time now) {
    const Key key = key_of(order);
    if (tasks_.contains(key)) return;
    if (forgotten_.contains(key)) return;
    Task task;
    task.ends = Time{now.value + (1 + random_() % 40) * step_ns};
    task.exit_code = random_() % 6 == 0 ? 1 : 0;
    if (order.devices())
      for (const auto* grant : *order.devices())
        task.devices.emplace_back(grant->index(), grant->milli());
    tasks_.emplace(key, std::move(task));
  }

  // Ends soon; one that is not here is answered as unknown for ever.
  void end(const Key& key, Time now) {
    const auto found = tasks_.find(key);
    if (found == tasks_.end()) {
      Task task;
      task.ends = now;
      task.unknown = true;
      tasks_.emplace(key, task);
      return;
    }
    Task& task = found->second;
    if (task.ends <= now) return;
    task.ends = std::min(task.ends, Time{now.value + second_ns});
    task.reason = EndReason::signalled;
  }

  void ask(Harness& manager, const std::function<bool()>& arrives) {
    if (random_() % 4 != 0) return;
    ++boot_;
    candidates_.clear();
    for (const auto& [key, task] : tasks_) candidates_.insert(key);
    if (arrives()) register_nodes(manager, false);
  }

  void register_nodes(Harness& manager, bool reconciled) {
    Builder builder;
    const auto body =
        build_register(builder, name_, {1, boot_},
                       {{.name = name_, .devices = 2}}, reconciled);
    manager.core->on_command(command_of(builder, manager.next_id(), body),
                             "agent-" + name_, "", manager.now);
  }

  void report(Harness& manager, Time now,
              const std::function<bool()>& arrives) {
    for (auto it = tasks_.begin(); it != tasks_.end();) {
      const auto& [session, attempt, rank] = it->first;
      Task& task = it->second;
      const bool ended = task.ends <= now;
      FactOptions fact;
      fact.rank = rank;
      fact.attempt = attempt;
      fact.kind = task.unknown ? FactKind::unknown
                  : ended      ? FactKind::exited
                               : FactKind::started;
      fact.reason = task.reason;
      fact.exit_code = task.exit_code;
      fact.started_at = 1;
      if ((!ended && task.start_heard) || !arrives()) {
        ++it;
        continue;
      }
      manager.report(name_, session, fact);
      const bool answered = arrives();
      if (!answered || !ended) {
        task.start_heard = task.start_heard || answered;
        ++it;
        continue;
      }
      forgotten_.insert(it->first);
      it = tasks_.erase(it);
    }
  }

  // No device serves more than there is of it, whatever was lost.
  void check_devices(Time now) {
    std::map<std::uint32_t, std::uint32_t> used;
    for (const auto& [key, task] : tasks_)
      if (task.ends > now)
        for (const auto& [device, milli] : task.devices) used[device] += milli;
    for (const auto& [device, milli] : used)
      BOOST_REQUIRE_MESSAGE(
          milli <= milli_per_device,
          name_ << " runs " << milli << " thousandths on device " << device);
  }

  std::string name_;
  Random& random_;
  Stage stage_ = Stage::asking;
  std::uint64_t boot_ = 0;
  std::uint64_t epoch_ = 0;
  Time surplus_end_;
  std::map<Key, Task> tasks_;
  std::set<Key> forgotten_;
  std::set<Key> candidates_;
};

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed) {
    for (const char* name : {"a", "b", "c"})
      agents_.emplace_back(name, random_);
    silent_until_.resize(agents_.size());
  }

  void go() {
    for (int i = 0; i < 600; ++i) {
      inject();
      step();
    }
    healthy_ = true;
    // Longer than any deadline on the way from here to an end.
    for (int i = 0; i < 20'000 && live() > 0; ++i) {
      if (i % 240 == 0) heal();
      step();
    }
    finish();
  }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }
  bool arrives() { return healthy_ || below(5) != 0; }
  std::uint64_t live() { return manager_.core->state().live_sessions(); }

  void inject() {
    if (below(3) == 0) submit();
    if (below(20) == 0 && !ids_.empty())
      manager_.cancel(manager_.session_of(
          ids_[below(static_cast<std::uint32_t>(ids_.size()))]));
    if (below(60) == 0)
      silent_until_[below(3)].value = manager_.now.value + 15 * second_ns;
    if (below(150) == 0) restart();
    if (below(100) == 0) manager_.drain("a", below(2) * 5 * second_ns);
    if (below(30) == 0) manager_.resume("a");
  }

  void submit() {
    cluster::Spec spec = cluster::testing::tasks_of(1 + below(3) / 2);
    spec.requeue_max = below(3);
    if (below(2) == 0) {
      spec.gpus = 1;
      spec.gpu_milli = 250 * (1 + below(4));
    }
    if (below(10) == 0) spec.time_limit_ns = 3 * second_ns;
    if (below(6) == 0 && !ids_.empty()) {
      const auto other = manager_.session_of(
          ids_[below(static_cast<std::uint32_t>(ids_.size()))]);
      spec.after.emplace_back(other,
                              static_cast<schema::DependencyKind>(below(3)));
    }
    const auto id = manager_.submit(spec);
    ids_.push_back(id);
    if (below(3) == 0) manager_.submit(spec, "root", id);
  }

  // A process that dies loses what it has not committed.
  void restart() {
    check_followers();
    manager_.restart();
    late_.clear();
    scheduler_ = cluster::Scheduler{};
    cluster::tell_as_events(
        manager_.core->state(),
        [&](const schema::Event& event) { scheduler_.apply(event); });
  }

  // Whoever followed the log goes on as whoever opened it.
  void check_followers() {
    using enum Core::Beginning;
    const std::size_t all = manager_.log.size();
    const std::string opened = manager_.life_after(all, to_be_written);
    for (const std::size_t from :
         {std::size_t{0}, random_() % (all + 1), random_() % (all + 1)})
      BOOST_REQUIRE((manager_.life_after(from, to_be_written) == opened));
    BOOST_REQUIRE(
        (manager_.life_after(random_() % (all + 1), begun) == opened));
  }

  void heal() {
    for (const char* node : {"a", "b", "c"}) manager_.resume(node);
    for (auto& agent : agents_) agent.register_again();
  }

  void step() {
    manager_.now.value += step_ns;
    manager_.core->on_tick(manager_.now);
    for (std::size_t i = 0; i < agents_.size(); ++i) {
      if (!healthy_ && manager_.now < silent_until_[i]) continue;
      if (below(100) == 0) agents_[i].register_again();
      agents_[i].act(manager_, manager_.now, [&] { return arrives(); });
    }
    schedule();
    if (healthy_ || below(3) != 0) manager_.finish_commit();
    if (!manager_.in_flight) begin_commit();
    deliver();
    if (below(8) == 0) check();
  }

  void begin_commit() {
    manager_.begin_commit();
    if (!manager_.in_flight) return;
    for_each(*manager_.in_flight,
             [&](const schema::Event& event) { scheduler_.apply(event); });
  }

  void schedule() {
    const auto proposals = scheduler_.propose(manager_.now, 1 + below(8));
    for (const auto& [session, attempt] :
         manager_.core->on_proposals(proposals, manager_.now))
      scheduler_.refused(session, attempt);
  }

  void deliver() {
    for (Sent& sent : manager_.sent) {
      if (!arrives()) continue;
      if (!healthy_ && below(4) == 0) late_.push_back(sent);
      hand_over(sent);
    }
    manager_.sent.clear();
    if (late_.empty() || below(4) != 0) return;
    hand_over(late_.front());
    late_.erase(late_.begin());
  }

  void hand_over(const Sent& sent) {
    for (std::size_t i = 0; i < agents_.size(); ++i)
      if (agents_[i].name() == sent.agent &&
          (healthy_ || manager_.now >= silent_until_[i]))
        agents_[i].on_order(sent.order(), manager_.now);
  }

  void check() {
    const Status sound = manager_.core->state().check_invariants();
    BOOST_REQUIRE_MESSAGE(sound, (sound ? "" : sound.error().text));
  }

  // Nothing that was acknowledged is missing; the log tells the whole.
  void finish() {
    manager_.commit();
    BOOST_REQUIRE_EQUAL(live(), 0);
    const auto& state = manager_.core->state();
    BOOST_REQUIRE_EQUAL(manager_.replayed().digest_hex(), state.digest_hex());
    std::size_t acknowledged = 0;
    for (const auto& id : ids_) {
      const std::uint64_t session = manager_.session_of(id);
      if (session == 0) continue;
      ++acknowledged;
      BOOST_REQUIRE(state.session(SessionId{session}));
      BOOST_REQUIRE(state.answered(id));
      BOOST_REQUIRE_EQUAL(state.answered(id)->session.value, session);
    }
    BOOST_REQUIRE(acknowledged > 0);
    BOOST_REQUIRE(state.count(schema::SessionState::succeeded) > 0);
    for (const auto& node : state.nodes()) BOOST_REQUIRE(node.holders.empty());
  }

  Random random_;
  bool healthy_ = false;
  Harness manager_;
  cluster::Scheduler scheduler_;
  std::vector<FakeAgent> agents_;
  std::vector<Time> silent_until_;
  std::vector<schema::Id128> ids_;
  std::vector<Sent> late_;
};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(manager_random)

BOOST_AUTO_TEST_CASE(every_session_ends_and_nothing_acknowledged_is_lost) {
  const bool one = std::getenv("REEVE_SEED") != nullptr;
  const std::uint64_t first = number_from("REEVE_SEED", 1);
  const std::uint64_t runs = one ? 1 : number_from("REEVE_RUNS", 20);
  for (std::uint64_t seed = first; seed < first + runs; ++seed)
    BOOST_TEST_CONTEXT("repeat with REEVE_SEED=" << seed) {
      Run(seed).go();
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace random_test
