#include "tests/bench/month.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "cluster/check.hpp"
#include "cluster/simulation/virtual_cell.hpp"
#include "store/log.hpp"

namespace reeve::bench {

using namespace cluster::simulation;
using cluster::default_group;
using cluster::Request;

namespace {

constexpr std::uint32_t gpus_per_node = 8;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr std::uint64_t month_ns = 30 * 24 * hour_ns;
constexpr Time begun{1'761'955'200 * second_ns};  // 2025-11-01
constexpr std::uint32_t users = 30;
constexpr std::uint32_t commit_events = 500;

class Maker {
 public:
  explicit Maker(const MonthOptions& options)
      : options_(options), random_(options.seed) {
    work_.from = begun;
    work_.to = Time{begun.value + month_ns};
    for (std::uint32_t i = 0; i < options.nodes; ++i) add_node(i);
  }

  Workload make() {
    for (std::uint32_t i = 0; i < options_.sessions; ++i) add_session();
    std::sort(work_.sessions.begin(), work_.sessions.end(),
              [](const Session& a, const Session& b) {
                return a.submitted_at < b.submitted_at;
              });
    for (std::uint32_t i = 0; i < work_.sessions.size(); ++i)
      settle(work_.sessions[i], i);
    drain_some();
    return std::move(work_);
  }

 private:
  double part() {
    return std::uniform_real_distribution<double>(0, 1)(random_);
  }
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }

  void add_node(std::uint32_t number) {
    Node node;
    node.name = fmt::format("gpu-{:04}", number);
    node.group = default_group;
    node.cpu_milli = 96'000;
    node.memory_bytes = 1024 * gib;
    node.devices.assign(gpus_per_node, {"H100", 80 * gib});
    work_.changes.push_back(
        {begun, NodeChange::Kind::joined, NodeId{number}, number, Time{}});
    work_.inventories.push_back(std::move(node));
  }

  // More by day than by night.
  Time arrival() {
    for (;;) {
      const double at = part();
      const double hour = at * 30 * 24;
      const double day = 1 - std::cos(hour / 12 * std::numbers::pi);
      if (part() * 2 > 0.5 + 0.75 * day) continue;
      return Time{begun.value + static_cast<std::uint64_t>(
                                    at * static_cast<double>(month_ns))};
    }
  }

  Request request() {
    Request out;
    const std::uint32_t sort = below(100);
    out.gpus = sort < 60 ? 1 : sort < 75 ? 2 : sort < 88 ? 4 : 8;
    if (sort < 25)
      out.gpu_milli = 250 * (1 + below(3));
    else if (sort >= 96)
      out.tasks = 2u << below(3);
    out.gpu_milli = out.gpu_milli == 0 ? 1000 : out.gpu_milli;
    out.cpu_milli = out.gpus * 1000 * (2 + below(4) * 2);
    out.memory_bytes = out.gpus * gib * (8 << below(4));
    return normal_form(std::move(out));
  }

  void add_session() {
    Session out;
    const Request asked = request();
    out.request = work_.requests.index(asked);
    // A few ask for most.
    const auto user = static_cast<std::uint32_t>(users * part() * part());
    out.user = work_.users.index(user == 3 ? "<img src=x>"
                                           : fmt::format("user-{:02}", user));
    out.project = work_.projects.index(fmt::format("project-{}", user % 5));
    out.name = work_.names.index("");
    out.priority = below(20) == 0 ? 10 : 0;
    out.submitted_at = arrival();
    std::lognormal_distribution<double> hours(-1.0, 1.7);
    hours_.push_back(std::min(hours(random_), 120.0));
    gpu_hours_ +=
        hours_.back() * asked.gpus * asked.gpu_milli / 1000.0 * asked.tasks;
    out.duration_ns = hours_.size() - 1;  // its place, until all are known
    out.succeeds = below(20) > 0;
    work_.sessions.push_back(std::move(out));
  }

  // Lengths that make the load, and what needs the order of submission.
  void settle(Session& session, std::uint32_t index) {
    const double wanted =
        options_.load * options_.nodes * gpus_per_node * 30 * 24;
    const double hours = hours_[session.duration_ns] * wanted / gpu_hours_;
    session.duration_ns =
        second_ns + static_cast<std::uint64_t>(hours * double{hour_ns});
    session.time_limit_ns = session.duration_ns * (1 + below(5));
    session.id = SessionId{index + 1};
    if (index > 0 && below(50) == 0)
      session.after.emplace_back(index, schema::DependencyKind::any);
  }

  void drain_some() {
    for (int i = 0; i < 20; ++i) {
      const NodeId node{below(options_.nodes)};
      const Time at{begun.value + static_cast<std::uint64_t>(
                                      part() * double{month_ns} * 0.9)};
      work_.changes.push_back({at, NodeChange::Kind::drained, node, 0, Time{}});
      work_.changes.push_back({Time{at.value + 24 * hour_ns},
                               NodeChange::Kind::resumed, node, 0, Time{}});
    }
    std::stable_sort(work_.changes.begin(), work_.changes.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
  }

  MonthOptions options_;
  std::mt19937_64 random_;
  Workload work_;
  std::vector<double> hours_;
  double gpu_hours_ = 0;
};

}  // namespace

Workload busy_month(const MonthOptions& options) {
  return Maker(options).make();
}

void write_log(const Workload& work, const std::filesystem::path& directory) {
  store::LogOptions options;
  options.directory = directory;
  options.create_if_missing = true;
  auto log = store::Log::open(options);
  REEVE_CHECK(log.has_value(), log.error().text);
  std::vector<std::byte> bytes;
  std::uint32_t count = 0;
  const auto commit = [&] {
    if (count == 0) return;
    const auto done = (*log)->append(1, count, bytes);
    REEVE_CHECK(done.has_value(), done.error().text);
    bytes.clear();
    count = 0;
  };
  VirtualCell cell(work, {},
                   [&](const schema::Event&, std::span<const std::byte> event) {
                     bytes.insert(bytes.end(), event.begin(), event.end());
                     if (++count == commit_events) commit();
                   });
  while (cell.step()) {
  }
  commit();
  const auto closed = (*log)->close();
  REEVE_CHECK(closed.has_value(), closed.error().text);
}

}  // namespace reeve::bench
