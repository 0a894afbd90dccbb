// Random events against the slow model. Fault model: tasks end in any order,
// nodes come, go and change, devices are quarantined and released, it changes
// who may share a GPU, proposals are confirmed, refused or left open, sessions
// are cancelled and requeued at any moment. Repeat one seed with
// REEVE_SEED=<n>; the number of runs is REEVE_RUNS.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "cluster/scheduling/naive_cell.hpp"

namespace model_test {

using namespace reeve;
using namespace reeve::cluster;
using Standing = NaiveCell::Standing;

namespace {

class Run {
 public:
  // With `patience` the clock moves far enough for guards to appear; what the
  // model then may not claim is left out. With `company` nodes have racks, and
  // sessions ask for some, or for places beside others or apart.
  Run(std::uint64_t seed, bool patience, bool company)
      : random_(seed), patience_(patience), company_(company) {}

  void go(int steps) {
    set_packing();
    for (std::uint32_t i = 0; i < 5; ++i) add_node(i);
    for (int i = 0; i < steps; ++i) step();
  }

 private:
  static constexpr std::initializer_list<const char*> models = {
      "a", "a", "b", "b", "b mig 1g"};

  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<std::uint32_t>(values.size()))];
  }

  void set_packing() {
    const auto packing = one_of<Packing>(
        {Packing::best_fit, Packing::best_fit, Packing::pack, Packing::spread,
         Packing::fragmentation, Packing::fragmentation});
    for (const char* group : {"main", "other"})
      cell_.scheduler.set_policy(group, policy_of(packing));
    packing_ = packing;
  }

  void set_sharing() {
    using schema::GpuSharing;
    const auto setting = one_of<GpuSharing>(
        {GpuSharing::project, GpuSharing::project, GpuSharing::user,
         GpuSharing::anyone, GpuSharing::none});
    const auto* group = one_of<const char*>({"main", "main", "other"});
    cell_.shared_by(group, setting, policy_of(packing_));
    naive_.shared_by(group, setting);
  }

  void add_node(std::uint32_t number) {
    TestNode node{.number = number};
    node.cpu_milli = 1000 * (2 + below(10));
    node.memory_bytes = (2 + below(14)) * gib;
    const auto count = below(5);
    const bool mixed = below(4) == 0;
    const auto model = one_of<const char*>({"a", "b"});
    for (std::uint32_t i = 0; i < count; ++i) {
      node.models.push_back(mixed ? one_of(models) : model);
    }
    node.device_memory_bytes = one_of<std::uint64_t>({16, 40}) * gib + 7;
    node.group = below(6) == 0 ? "other" : "main";
    node.simulated = below(8) == 0;
    if (company_) node.labels = {{"rack", rack()}};
    cell_.add(node);
    naive_.add(node);
  }

  std::string rack() { return "r" + std::to_string(below(3)); }

  TestSession random_session() {
    TestSession session;
    session.cpu_milli = 500 * below(8);
    session.memory_bytes = below(5) * gib;
    session.gpus = one_of<std::uint32_t>({0, 0, 1, 1, 1, 2, 3});
    session.gpu_milli = one_of<std::uint32_t>({1000, 1000, 500, 300, 250, 1});
    if (below(4) == 0) session.gpu_memory_bytes = (1 + below(30)) * gib;
    if (below(3) == 0) session.gpu_models = {one_of(models)};
    if (session.gpus == 0) {
      session.gpu_milli = 1000;
      session.gpu_memory_bytes = 0;
      session.gpu_models.clear();
    }
    session.tasks = one_of<std::uint32_t>({1, 1, 1, 1, 2, 3, 5});
    if (below(3) == 0) session.nodes = 1 + below(session.tasks);
    session.priority = static_cast<std::int32_t>(below(3));
    session.project = one_of<const char*>({"p", "p", "q"});
    session.user = one_of<const char*>({"ann", "bob"});
    session.group = below(6) == 0 ? "other" : "main";
    session.simulated = below(8) == 0;
    if (below(10) == 0) session.on_node = "n" + std::to_string(below(6));
    if (!company_) return session;
    switch (below(6)) {
      case 0: session.together = one_of<const char*>({"a", "b@rack"}); break;
      case 1: session.apart = one_of<const char*>({"c", "d@rack"}); break;
      case 2: session.within = "rack"; break;
      default: break;
    }
    return session;
  }

  std::optional<std::uint64_t> any_session(Standing standing) {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, session] : naive_.sessions) {
      if (session.standing == standing) ids.push_back(id);
    }
    if (ids.empty()) return std::nullopt;
    return ids[below(static_cast<std::uint32_t>(ids.size()))];
  }

  void step() {
    if (patience_) cell_.now.value += below(40) * 4 * second_ns;
    const auto kind = below(100);
    if (kind < 30) return submit();
    if (kind < 55) return pass(one_of<std::size_t>({1, 2, 100, 100}));
    if (kind < 65) return exit_task();
    if (kind < 80) return end(any_session(Standing::placed));
    if (kind < 84) return end(any_session(Standing::waiting));
    if (kind < 85) return end(any_session(Standing::proposed));
    if (kind < 89) return requeue();
    if (kind < 93) return answer_open();
    if (kind < 94) return below(2) == 0 ? set_packing() : set_sharing();
    if (kind < 96) return change_device();
    change_node();
  }

  void submit() {
    const auto session = random_session();
    naive_.submit(cell_.submit(session), session);
  }

  void pass(std::size_t max) {
    const auto proposals = cell_.propose(max);
    BOOST_REQUIRE(proposals.size() <= max);
    for (const auto& proposal : proposals) {
      const auto id = proposal.session.value;
      if (!patience_) {
        const auto& like = naive_.sessions.at(id).spec;
        BOOST_REQUIRE_EQUAL(naive_.first_fitting(like).value_or(0), id);
      }
      BOOST_REQUIRE_EQUAL(naive_.take(proposal), "");
      open_[id] = proposal;
    }
    if (proposals.size() < max) check_nothing_fits();
    check_sizes();
    for (const auto& proposal : proposals) {
      if (below(4) > 0) answer(proposal.session.value);
    }
  }

  void check_nothing_fits() {
    for (const auto& group : {"main", "other"}) {
      for (const bool simulated : {false, true}) {
        const TestSession like{.group = group, .simulated = simulated};
        const auto first = naive_.first_fitting(like);
        if (first) BOOST_REQUIRE(patience_ && first != naive_.head(like));
      }
    }
  }

  void answer(std::uint64_t id) {
    auto& session = naive_.sessions.at(id);
    if (below(5) > 0) {
      cell_.confirm(open_.at(id));
      session.standing = Standing::placed;
    } else {
      cell_.scheduler.refused(SessionId(id), session.attempt);
      naive_.free_all(session);
      session.standing = Standing::waiting;
    }
    open_.erase(id);
  }

  void answer_open() {
    if (!open_.empty()) answer(open_.begin()->first);
  }

  void exit_task() {
    const auto id = any_session(Standing::placed);
    if (!id) return;
    auto& session = naive_.sessions.at(*id);
    const auto rank = below(session.spec.tasks);
    cell_.exit(*id, session.attempt, rank);
    naive_.free_task(session, rank);
  }

  void end(std::optional<std::uint64_t> id) {
    if (!id) return;
    cell_.end(*id);
    naive_.free_all(naive_.sessions.at(*id));
    naive_.sessions.erase(*id);
    open_.erase(*id);
  }

  void requeue() {
    const auto id = any_session(Standing::placed);
    if (!id) return;
    auto& session = naive_.sessions.at(*id);
    cell_.requeue(*id, ++session.attempt);
    naive_.free_all(session);
    session.standing = Standing::waiting;
  }

  void change_node() {
    const auto number = below(6);
    const auto it = naive_.nodes.find(number);
    if (it == naive_.nodes.end()) return add_node(number);
    auto& node = it->second;
    if (below(3) == 0) return register_again(number);
    if (node.away) {
      cell_.returned(number);
    } else {
      cell_.lost(number);
    }
    node.away = !node.away;
  }

  void change_device() {
    const auto it = naive_.nodes.find(below(6));
    if (it == naive_.nodes.end() || it->second.devices.empty()) return;
    auto& all = it->second.devices;
    const auto index = below(static_cast<std::uint32_t>(all.size()));
    auto& out = all[index].quarantined;
    out = !out;
    if (out)
      cell_.quarantined(it->first, index);
    else
      cell_.released(it->first, index);
  }

  // With another inventory; what is held of the old one stays held.
  void register_again(std::uint32_t number) {
    auto& node = naive_.nodes.at(number);
    auto spec = node.spec;
    const auto cpu_milli = 1000 * (2 + below(10));
    const auto memory_bytes = (2 + below(14)) * gib;
    node.cpu_milli += std::int64_t{cpu_milli} - spec.cpu_milli;
    node.memory_bytes += static_cast<std::int64_t>(memory_bytes) -
                         static_cast<std::int64_t>(spec.memory_bytes);
    spec.cpu_milli = cpu_milli;
    spec.memory_bytes = memory_bytes;
    if (company_) spec.labels = {{"rack", rack()}};
    node.spec = spec;
    cell_.add(spec);
  }

  void check_sizes() {
    std::size_t waiting = 0;
    for (const auto& [id, session] : naive_.sessions) {
      waiting += session.standing == Standing::waiting ? 1 : 0;
    }
    const auto sizes = cell_.scheduler.sizes();
    BOOST_REQUIRE_EQUAL(sizes.waiting, waiting);
    BOOST_REQUIRE_EQUAL(sizes.proposed, open_.size());
    BOOST_REQUIRE_EQUAL(sizes.sessions, naive_.sessions.size());
    BOOST_REQUIRE_EQUAL(sizes.held, 0);
  }

  std::mt19937_64 random_;
  bool patience_;
  bool company_;
  Packing packing_ = Packing::best_fit;
  TestCell cell_;
  NaiveCell naive_;
  std::map<std::uint64_t, Proposal> open_;
};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

void run_all(bool patience, bool company = false) {
  const auto runs = number_from("REEVE_RUNS", 150);
  const auto first = number_from("REEVE_SEED", 1);
  const auto count = std::getenv("REEVE_SEED") ? 1 : runs;
  for (auto seed = first; seed < first + count; ++seed) {
    BOOST_TEST_CONTEXT("repeat with REEVE_SEED=" << seed) {
      Run(seed, patience, company).go(400);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(model)

BOOST_AUTO_TEST_CASE(the_first_that_fits_starts_and_nothing_is_overcommitted) {
  run_all(false);
}

BOOST_AUTO_TEST_CASE(a_company_follows_the_nodes_it_is_on) {
  run_all(false, true);
}

BOOST_AUTO_TEST_CASE(with_guards_nothing_is_overcommitted_and_heads_start) {
  run_all(true);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace model_test
