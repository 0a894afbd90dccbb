#include "cluster/simulation/fill.hpp"

#include <utility>

#include "cluster/simulation/from_trace.hpp"

namespace reeve::cluster::simulation {

namespace {

// Any 64 bits, the same for the same seed everywhere (SplitMix64, Steele et
// al., OOPSLA 2014).
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    // The bias of a 64-bit remainder is far below what ten seeds could show.
    return next() % bound;
  }

 private:
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

}  // namespace

std::uint64_t gpu_milli_of(const Request& request) {
  return std::uint64_t{request.gpus} * request.gpu_milli * request.tasks;
}

std::uint64_t gpu_milli_of_nodes(const Workload& work) {
  std::uint64_t out = 0;
  for (const auto& change : work.changes)
    if (change.kind == NodeChange::Kind::joined && change.at <= work.from)
      out +=
          milli_per_device * work.inventories[change.inventory].devices.size();
  return out;
}

Workload filled(const Trace& trace, const std::vector<TraceNode>& nodes,
                double load, std::uint64_t seed) {
  Workload all = workload_of(trace, nodes);
  const auto wanted = load * static_cast<double>(gpu_milli_of_nodes(all));
  std::vector<std::size_t> order;
  double asked = 0;
  bool any = false;
  const auto offer = [&](std::size_t i) {
    const auto milli = gpu_milli_of(all.requests[all.sessions[i].request]);
    order.push_back(i);
    asked += static_cast<double>(milli);
    any |= milli > 0;
  };
  for (std::size_t i = 0; i < all.sessions.size(); ++i) offer(i);
  Chance chance(seed);
  while (any && asked < wanted) offer(chance.below(all.sessions.size()));
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[chance.below(i)]);
  std::vector<Session> sessions;
  sessions.reserve(order.size());
  for (const auto i : order) {
    Session session = all.sessions[i];
    session.id = SessionId{sessions.size() + 1};
    session.submitted_at =
        Time{all.from.value + (sessions.size() + 1) * second_ns};
    session.not_before = Time{};
    session.duration_ns = for_ever_ns;
    session.after.clear();
    session.array = SessionId{};
    session.array_running_max = 0;
    sessions.push_back(std::move(session));
  }
  all.sessions = std::move(sessions);
  all.to = all.sessions.empty() ? all.from : all.sessions.back().submitted_at;
  return all;
}

double held_share(const Workload& work, const std::vector<Outcome>& outcomes,
                  double arrived) {
  const auto all = static_cast<double>(gpu_milli_of_nodes(work));
  double offered = 0;
  double held = 0;
  for (std::size_t i = 0; i < work.sessions.size(); ++i) {
    const auto milli = static_cast<double>(
        gpu_milli_of(work.requests[work.sessions[i].request]));
    offered += milli;
    if (outcomes[i].started_at.value > 0) held += milli;
    if (offered >= arrived * all) return all > 0 ? held / all : 0;
  }
  return -1;
}

}  // namespace reeve::cluster::simulation
