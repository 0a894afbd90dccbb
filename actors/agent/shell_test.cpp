// The shell with a real bus and a real keeper; the manager is a few lines.
#include "actors/agent/shell.hpp"

#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <caf/all.hpp>
#include <chrono>
#include <mutex>
#include <string>

#include "actors/agent/test_orders.hpp"
#include "bus/client.hpp"
#include "bus/quarantine.hpp"
#include "bus/test_support.hpp"
#include "gpu/fake_machine.hpp"
#include "schema/wire.hpp"

namespace reeve::agent::shell_test {
namespace {

using bus::testing::eventually;
using bus::testing::patience;
using schema::FactKind;
using testing::Orders;
using namespace std::chrono_literals;

// Says yes to all, and lists what has started and not ended.
class Manager {
 public:
  explicit Manager(bus::Connection& connection) : connection_(connection) {
    const auto good = connection_.subscribe(
        subjects_.commands(), [this](const bus::Message& m) { on_command(m); });
    BOOST_REQUIRE(good.has_value());
  }

  void order(const std::vector<std::byte>& bytes) {
    BOOST_REQUIRE(
        connection_.publish(subjects_.agent("n1", "order"), bytes).has_value());
  }
  std::vector<testing::HeardFact> facts() {
    const std::lock_guard lock(mutex_);
    return heard_.facts;
  }
  bool has(const TaskKey& key, FactKind kind) {
    for (const auto& fact : facts())
      if (fact.key() == key && fact.kind == kind) return true;
    return false;
  }
  int reconciled() {
    const std::lock_guard lock(mutex_);
    return reconciled_;
  }
  testing::Heard heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  void on_command(const bus::Message& message) {
    const auto* command = schema::verified<schema::Command>(message.data);
    if (command == nullptr) return;
    const std::lock_guard lock(mutex_);
    heard_.take(
        {*command->id(), "", {message.data.begin(), message.data.end()}});
    (void)connection_.publish(message.reply,
                              testing::make_reply(*command->id(), true));
    const auto* nodes = command->body_as_RegisterNodes();
    if (nodes != nullptr && nodes->reconciled()) ++reconciled_;
    if (nodes == nullptr || nodes->reconciled()) return;
    std::vector<TaskKey> running;
    for (const auto& fact : heard_.facts) {
      std::erase(running, fact.key());
      if (fact.kind == FactKind::started) running.push_back(fact.key());
    }
    (void)connection_.publish(subjects_.agent("n1", "order"),
                              Orders(1).list(heard_.boot, running));
  }

  bus::Connection& connection_;
  bus::Subjects subjects_{"c"};
  std::mutex mutex_;
  testing::Heard heard_;
  int reconciled_ = 0;
};

struct Node {
  explicit Node(GpuWatchOptions gpus = {}) : gpu_watch(std::move(gpus)) {
    config.set("scheduler.max-threads", std::size_t{2});
    system = std::make_unique<caf::actor_system>(config);
    begin();
  }
  ~Node() {
    end();
    auto keeper = keeper::Client::open(keeper_config());
    if (keeper) {
      (void)keeper->shutdown(0);
      while (keeper->dispatch({}, 60'000)) {
      }
    }
    connection.reset();
    system.reset();
    // No message for a manager that is gone.
    manager_connection.reset();
  }

  keeper::ClientConfig keeper_config() const {
    return {cell.directory.path().string() + "/node", REEVE_KEEPER, {}};
  }
  void begin() {
    connection = cell.connect(bus::Role::daemon);
    ShellOptions options;
    options.connection = connection.get();
    options.live = connection.get();
    options.quarantine = &quarantine;
    options.subjects = cell.subjects;
    options.agent = "n1";
    options.node.name = "n1";
    options.node.cpu_milli = 2000;
    options.node.devices = {{"GPU-a", "A100", 80, 0, {}}};
    options.node.share_library = REEVE_SHARE_LIBRARY;
    options.keeper = keeper_config();
    options.gpu_watch = gpu_watch;
    auto spawned = spawn_agent(*system, options);
    BOOST_REQUIRE(spawned.has_value());
    agent = *spawned;
  }
  // As a crash does: the keeper and its tasks stay.
  void end() {
    caf::scoped_actor self(*system);
    self->monitor(agent);
    caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
    self->receive([](const caf::down_msg&) {});
    agent = nullptr;
  }

  const GpuWatchOptions gpu_watch;
  bus::testing::Cell cell;
  bus::Quarantine quarantine;
  std::unique_ptr<bus::Connection> manager_connection =
      cell.connect(bus::Role::daemon);
  Manager manager{*manager_connection};
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<bus::Connection> connection;
  caf::actor agent;
};

struct OneGpu : gpu::FakeMachine {
  OneGpu() { write("device uuid=GPU-a gpu=97\n"); }
};

struct NodeWithGpu : OneGpu, Node {
  // The pids are of this /proc, whatever namespace the test runs in.
  NodeWithGpu()
      : Node({OneGpu::sources(), 10ms, 10ms, patience, {}, [](auto pid) {
                return runs_unheld(pid, "/proc");
              }}) {}
};

// On a GPU without device files: there is none below /dev.
Orders gpu_order() {
  Orders orders(1);
  orders.command({"/bin/sh", "-c", "exec sleep 1000"}).with_device("GPU-a");
  return orders;
}

Orders shell_order(const std::string& script) {
  Orders orders(1);
  orders.command({"/bin/sh", "-c", script});
  return orders;
}

BOOST_FIXTURE_TEST_CASE(a_command_runs_and_its_output_is_read, Node) {
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > 0; }));
  const TaskKey key{1, 1, 0};
  manager.order(shell_order("echo $REEVE_SESSION_ID; exit 3").launch({key}));
  BOOST_REQUIRE(eventually([&] { return manager.has(key, FactKind::exited); }));
  const auto facts = manager.facts();
  BOOST_REQUIRE_EQUAL(facts.size(), 2u);
  BOOST_TEST((facts[0].kind == FactKind::started));
  BOOST_TEST(facts[1].exit_code == 3);

  bus::Client client(*manager_connection, cell.subjects, "reeved");
  flatbuffers::FlatBufferBuilder builder;
  const auto read = schema::finish(
      builder, schema::CreateOutputRead(builder, 1, 1, 0, 1, 1, 1'000));
  const auto answer = client.output("n1", read, patience);
  BOOST_REQUIRE(answer.has_value());
  const auto* chunk = schema::verified<schema::OutputChunk>(*answer);
  BOOST_TEST(chunk->finished());
  BOOST_TEST(chunk->offset() == 1u);
  BOOST_TEST(chunk->end() == 4u);
  BOOST_REQUIRE(chunk->data() != nullptr);
  BOOST_TEST(std::string(chunk->data()->begin(), chunk->data()->end()) ==
             "-1\n");
}

BOOST_FIXTURE_TEST_CASE(live_output_ends_with_the_size_of_each_stream, Node) {
  std::mutex mutex;
  std::string seen;
  std::uint64_t ends[3] = {};
  int finished = 0;
  const auto good = manager_connection->subscribe(
      cell.subjects.outputs(), [&](const bus::Message& message) {
        const auto* chunk = schema::verified<schema::OutputChunk>(message.data);
        if (chunk == nullptr) return;
        const std::lock_guard lock(mutex);
        if (chunk->data())
          seen.append(chunk->data()->begin(), chunk->data()->end());
        if (!chunk->finished()) return;
        ends[chunk->stream()] = chunk->end();
        ++finished;
      });
  BOOST_REQUIRE(good.has_value());
  BOOST_REQUIRE(manager_connection->flush(patience).has_value());
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > 0; }));
  manager.order(shell_order("echo hello").launch({{1, 1, 0}}));
  BOOST_REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return finished == 2;
  }));
  const std::lock_guard lock(mutex);
  BOOST_TEST(seen == "hello\n");
  BOOST_TEST(ends[1] == 6u);
  BOOST_TEST(ends[2] == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_running_task_survives_its_agent_and_can_be_stopped,
                        Node) {
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > 0; }));
  const TaskKey key{1, 1, 0};
  manager.order(shell_order("exec sleep 1000").launch({key}));
  BOOST_REQUIRE(
      eventually([&] { return manager.has(key, FactKind::started); }));
  const int before = manager.reconciled();
  end();
  begin();
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > before; }));
  BOOST_TEST(!manager.has(key, FactKind::exited));
  manager.order(Orders(1).stop({key}));
  BOOST_REQUIRE(eventually([&] { return manager.has(key, FactKind::exited); }));
  BOOST_TEST((manager.facts().back().reason == schema::EndReason::signalled));
}

BOOST_FIXTURE_TEST_CASE(the_figures_of_the_gpus_are_told_on_the_bus,
                        NodeWithGpu) {
  std::atomic<unsigned> percent{0};
  std::atomic<unsigned> index{~0u};
  const auto good = manager_connection->subscribe(
      cell.subjects.stats(), [&](const bus::Message& message) {
        const auto* stats = schema::verified<schema::NodeStats>(message.data);
        if (stats == nullptr || stats->node()->str() != "n1") return;
        const auto* device = stats->devices()->Get(0);
        index = device->index().value_or(~0u);
        percent = device->gpu_percent().value_or(0);
      });
  BOOST_REQUIRE(good.has_value());
  BOOST_REQUIRE(eventually([&] { return percent == 97; }));
  BOOST_TEST(index == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_task_at_a_gpu_that_is_not_its_own_is_ended,
                        NodeWithGpu) {
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > 0; }));
  const TaskKey key{1, 1, 0};
  manager.order(shell_order("exec sleep 1000").launch({key}));
  BOOST_REQUIRE(
      eventually([&] { return manager.has(key, FactKind::started); }));
  write("device uuid=GPU-a\nprocess 0 " +
        std::to_string(manager.facts().back().pid) + " 1048576\n");
  BOOST_REQUIRE(eventually([&] { return manager.has(key, FactKind::exited); }));
  BOOST_TEST(gpu::contains(manager.facts().back().detail, "GPU-a"));
}

// The process is that which waits for the command: it has no library.
BOOST_FIXTURE_TEST_CASE(a_share_that_is_used_without_its_library_is_ended,
                        NodeWithGpu) {
  if (::geteuid() != 0) {
    BOOST_TEST_MESSAGE("only root sees into the tasks of others");
    return;
  }
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > 0; }));
  const TaskKey key{1, 1, 0};
  Orders orders = gpu_order();
  manager.order(orders.with_share(300, 40).launch({key}));
  BOOST_REQUIRE(
      eventually([&] { return manager.has(key, FactKind::started); }));
  write("device uuid=GPU-a\nprocess 0 " +
        std::to_string(manager.facts().back().pid) + " 1\n");
  BOOST_REQUIRE(eventually([&] { return manager.has(key, FactKind::exited); }));
  BOOST_TEST(
      gpu::contains(manager.facts().back().detail, keeper::share_library_path));
}

BOOST_FIXTURE_TEST_CASE(a_gpu_that_is_unfit_goes_into_quarantine, NodeWithGpu) {
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > 0; }));
  write("device uuid=GPU-a\nxid 0 48\n");
  BOOST_REQUIRE(
      eventually([&] { return !manager.heard().quarantines.empty(); }));
  const auto asked = manager.heard().quarantines.front();
  BOOST_TEST(asked.node == "n1");
  BOOST_TEST(asked.device == "GPU-a");
  BOOST_TEST(asked.reason ==
             "Xid 48: an ECC error in memory that could not be corrected");
}

BOOST_FIXTURE_TEST_CASE(an_error_kept_within_a_program_ends_its_task,
                        NodeWithGpu) {
  BOOST_REQUIRE(eventually([&] { return manager.reconciled() > 0; }));
  const TaskKey key{1, 1, 0};
  manager.order(gpu_order().launch({key}));
  BOOST_REQUIRE(
      eventually([&] { return manager.has(key, FactKind::started); }));
  write("device uuid=GPU-a\nxid 0 94\n");
  BOOST_REQUIRE(eventually([&] { return manager.has(key, FactKind::exited); }));
  BOOST_TEST(manager.facts().back().detail ==
             "an error of GPU-a: Xid 94: an ECC error that could not be "
             "corrected, kept within one program");
  BOOST_TEST(manager.heard().quarantines.empty());
}

BOOST_FIXTURE_TEST_CASE(a_gpu_that_appears_is_offered, NodeWithGpu) {
  // The watch has looked when it tells figures.
  const auto looked = std::make_shared<std::atomic<bool>>(false);
  const auto good = manager_connection->subscribe(
      cell.subjects.stats(), [looked](const auto& m) {
        if (schema::verified<schema::NodeStats>(m.data)) *looked = true;
      });
  BOOST_REQUIRE(good.has_value());
  BOOST_REQUIRE(
      eventually([&] { return *looked && manager.reconciled() > 0; }));
  write("device uuid=GPU-a\ndevice uuid=GPU-b\n");
  const std::vector<std::string> both = {"GPU-a", "GPU-b"};
  BOOST_REQUIRE(eventually([&] { return manager.heard().devices == both; }));
}

}  // namespace
}  // namespace reeve::agent::shell_test
