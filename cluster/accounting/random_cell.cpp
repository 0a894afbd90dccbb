#include "cluster/accounting/random_cell.hpp"

namespace reeve::cluster::accounting::testing {
namespace {

using namespace cluster::testing;
using schema::FactKind;

constexpr const char* users[] = {"ann", "bob", "cy", "root"};
constexpr const char* projects[] = {"default", "vision", "speech"};
constexpr const char* groups[] = {"default", "fast"};

class Life {
 public:
  Life(Cell& cell, const Random& random) : cell_(cell), random_(random) {
    cell_.writer.begin(cell_.origin());
    auto& builder = cell_.writer.builder();
    for (const char* name : {"vision", "speech"})
      cell_.writer.add(
          schema::CreateProjectCreated(builder, builder.CreateString(name)),
          Sequence{});
    cell_.writer.add(
        schema::CreateGroupCreated(builder, builder.CreateString("fast")),
        Sequence{});
    cell_.settle();
    for (std::uint32_t i = 0; i < 4; ++i) join(i);
  }

  void step() {
    if (below(3) > 0) cell_.pass(below(5) * second_ns / 3 + below(7));
    switch (below(12)) {
      case 0:
      case 1:
      case 2: submit(); break;
      case 3:
      case 4:
      case 5: place(); break;
      case 6: cell_.cancel(any()); break;
      case 7: change_node(); break;
      case 8: join(below(4)); break;
      default: report();
    }
    follow_up();
  }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }
  SessionId any() {
    return SessionId{1 + random_() % cell_.state.next_session().value};
  }
  std::string node(std::uint32_t i) { return "n" + std::to_string(i); }

  void join(std::uint32_t i) {
    NodeOptions options;
    options.name = node(i);
    options.cpu_milli = 1000 * (4 + below(5));
    options.devices = 1 + below(3);
    options.group = groups[i % 2];
    cell_.register_node(options, below(2) == 0);
  }

  void submit() {
    Spec spec = tasks_of(1 + below(3));
    spec.user = users[below(4)];
    spec.project = projects[below(3)];
    spec.group = groups[below(2)];
    spec.cpu_milli = 250 * (1 + below(5));
    spec.memory_bytes = below(4) * gib / 3;
    spec.requeue_max = below(3);
    cell_.try_submit(spec);
  }

  void place() {
    const SessionId id = any();
    const Session* session = cell_.state.session(id);
    if (!session) return;
    std::vector<std::string> nodes(session->tasks_wanted);
    for (auto& name : nodes) {
      name = node(below(4));
      if (!cell_.state.node(name)) return;
    }
    std::vector<DeviceGrant> devices;
    if (below(3) > 0)
      devices.push_back({.device = below(3), .milli = 250 * (1 + below(4))});
    cell_.try_place(id, nodes, devices);
  }

  void report() {
    FactOptions fact;
    fact.kind = static_cast<FactKind>(below(4));
    fact.rank = below(3);
    fact.exit_code = static_cast<std::int32_t>(below(2));
    cell_.fact(any(), fact);
  }

  void change_node() {
    const std::string name = node(below(4));
    const Node* known = cell_.state.node(name);
    if (!known) {
      cell_.resume(name);
      return;
    }
    switch (below(6)) {
      case 0:
      case 1: cell_.drain(name); return;
      case 2: cell_.resume(name); return;
      case 3: cell_.remove(name); return;
      default:
        if (!known->lost) cell_.lose(name);
    }
  }

  void follow_up() {
    for (std::uint64_t i = 1; i < cell_.state.next_session().value; ++i)
      while (cell_.task_lost(SessionId{i})) {
      }
  }

  Cell& cell_;
  const Random& random_;
};

}  // namespace

void live_at_random(Cell& cell, const Random& random, int steps) {
  Life life(cell, random);
  for (int i = 0; i < steps; ++i) life.step();
}

}  // namespace reeve::cluster::accounting::testing
