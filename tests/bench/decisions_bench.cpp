// Placement decisions per second, of the scheduler alone, on one thread:
// time inside apply and propose, without the making of the events.
//
//   decisions_bench [--repeat N] [--policy P] [--nodes N]
//                   [--openb NODES.csv PODS.csv]
//
// Steady state: nodes of 8 GPUs, full; 100,000 sessions waiting in 1,000
// classes; one session ends, one is submitted, what fits starts and is
// confirmed, and so on. One event is an end, with the pass that it causes.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <deque>
#include <fstream>
#include <random>
#include <sstream>

#include "cluster/scheduling/test_cell.hpp"
#include "tests/bench/report.hpp"

namespace {

using namespace reeve;
using namespace reeve::cluster;
using Clock = std::chrono::steady_clock;

class Timed {
 public:
  explicit Timed(const Policy& policy) {
    cell.scheduler.set_policy("default", policy);
    cell.deliver = [this](const schema::Event& event) {
      const auto start = Clock::now();
      cell.scheduler.apply(event);
      spent += Clock::now() - start;
    };
  }
  Timed(const Timed&) = delete;

  std::vector<Proposal> pass(std::size_t max) {
    const auto start = Clock::now();
    auto proposals = cell.propose(max);
    spent += Clock::now() - start;
    for (const auto& proposal : proposals) {
      cell.confirm(proposal);
      running.push_back(proposal.session.value);
    }
    placed += proposals.size();
    return proposals;
  }

  void end_one(std::size_t index) {
    const auto id = running[index];
    running[index] = running.back();
    running.pop_back();
    cell.exit(id, 1, 0);
    cell.end(id);
  }

  double seconds() const {
    return std::chrono::duration<double>(spent).count();
  }

  TestCell cell;
  std::vector<std::uint64_t> running;
  std::size_t placed = 0;
  Clock::duration spent{};
};

constexpr std::size_t waiting_count = 100'000;
constexpr std::size_t batch = 256;
constexpr std::uint32_t users = 50;
// 80,000 GPUs whose sessions run for an hour end 20 of them a second. So the
// patience of heads (600 s) ends within a run.
constexpr std::uint64_t event_every_ns = second_ns / 20;

// Requests of one of `classes` kinds: shares, one, two, four and eight GPUs.
TestSession request_of_class(std::uint32_t number) {
  TestSession session{.cpu_milli = 500 + number * 7 % 8000,
                      .memory_bytes = (1 + number * 3 % 16) * gib};
  const std::uint32_t gpus[] = {1, 1, 1, 1, 1, 1, 2, 2, 4, 8};
  session.gpus = gpus[number % 10];
  if (number % 10 < 3) session.gpu_milli = 100 * (1 + number / 10 % 9);
  // Nearly all end before it: they run for half an hour in the mean.
  session.time_limit_ns = (4 * 3600 + number) * second_ns;
  session.memory_bytes += number;  // each class is distinct
  session.user = fmt::format("u{}", number % users);
  return session;
}

struct Steady {
  double per_second = 0;
  double event_p50_us = 0;
  double event_p99_us = 0;
  double event_max_us = 0;
  double why_ms = 0;
};

Steady steady(const Policy& policy, std::uint32_t nodes, std::uint32_t classes,
              std::size_t events) {
  Timed timed(policy);
  std::mt19937_64 random(1);
  for (std::uint32_t i = 0; i < nodes; ++i) {
    timed.cell.add({.number = i,
                    .cpu_milli = 128000,
                    .memory_bytes = 1024 * gib,
                    .models = devices(8)});
  }
  const auto submit = [&] {
    return timed.cell.submit(
        request_of_class(static_cast<std::uint32_t>(random() % classes)));
  };
  while (timed.cell.scheduler.sizes().waiting < waiting_count) {
    submit();
    timed.pass(batch);
  }
  timed.placed = 0;
  timed.spent = {};
  std::vector<double> event_us;
  for (std::size_t i = 0; i < events; ++i) {
    timed.cell.now.value += event_every_ns;
    const auto before = timed.seconds();
    timed.end_one(random() % timed.running.size());
    timed.pass(batch);
    event_us.push_back((timed.seconds() - before) * 1e6);
    while (timed.cell.scheduler.sizes().waiting < waiting_count) submit();
  }
  std::sort(event_us.begin(), event_us.end());
  const auto last = submit();
  const auto start = Clock::now();
  timed.cell.scheduler.why(SessionId(last));
  const auto why_ms =
      std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return {static_cast<double>(timed.placed) / timed.seconds(),
          event_us[event_us.size() / 2], event_us[event_us.size() * 99 / 100],
          event_us.back(), why_ms};
}

using Row = std::vector<std::string>;

std::vector<Row> rows_of(const char* path) {
  std::ifstream file(path);
  if (!file) {
    fmt::print(stderr, "decisions_bench: cannot read {}\n", path);
    std::exit(1);
  }
  std::vector<Row> rows;
  std::string line;
  std::getline(file, line);  // the header
  while (std::getline(file, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    std::stringstream cells(line);
    auto& row = rows.emplace_back();
    std::string cell;
    while (std::getline(cells, cell, ',')) row.push_back(cell);
    row.resize(11);
  }
  return rows;
}

std::uint32_t number_of(const std::string& text) {
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string> models_of(const std::string& text) {
  std::vector<std::string> models;
  std::stringstream list(text);
  std::string model;
  while (std::getline(list, model, '|')) models.push_back(model);
  return models;
}

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// All sessions at once; when nothing fits any more, the oldest ends.
double openb(const Policy& policy, const char* nodes_path,
             const char* pods_path) {
  Timed timed(policy);
  std::uint32_t number = 0;
  for (const auto& row : rows_of(nodes_path)) {
    timed.cell.add({.number = number++,
                    .cpu_milli = number_of(row[1]),
                    .memory_bytes = number_of(row[2]) * mib,
                    .models = devices(number_of(row[3]), row[4])});
  }
  std::size_t count = 0;
  for (const auto& row : rows_of(pods_path)) {
    const auto gpus = number_of(row[3]);
    timed.cell.submit({.cpu_milli = number_of(row[1]),
                       .memory_bytes = number_of(row[2]) * mib,
                       .gpus = gpus,
                       .gpu_milli = gpus > 0 ? number_of(row[4]) : 1000,
                       .gpu_models = models_of(row[5])});
    ++count;
    timed.pass(batch);
  }
  std::size_t oldest = 0;
  while (timed.cell.scheduler.sizes().waiting > 0) {
    if (oldest == timed.running.size()) break;
    timed.cell.exit(timed.running[oldest], 1, 0);
    timed.cell.end(timed.running[oldest++]);
    timed.pass(batch);
  }
  fmt::print(stderr, "openb: {} submitted, {} placed, {} never fit\n", count,
             timed.placed, timed.cell.scheduler.sizes().waiting);
  return static_cast<double>(timed.placed) / timed.seconds();
}

void report_steady(int repeat, const Policy& policy, const std::string& label,
                   std::uint32_t nodes, std::uint32_t classes,
                   std::size_t events) {
  std::vector<double> rate, p50, p99, worst, why;
  for (int i = 0; i < repeat; ++i) {
    const auto figures = steady(policy, nodes, classes, events);
    rate.push_back(figures.per_second);
    p50.push_back(figures.event_p50_us);
    p99.push_back(figures.event_p99_us);
    worst.push_back(figures.event_max_us);
    why.push_back(figures.why_ms);
  }
  auto name = fmt::format("decisions {} nodes {} classes", nodes, classes);
  if (!label.empty()) name += ", " + label;
  bench::report(name + " why", "ms", why);
  bench::report(name + " event worst", "us", worst);
  bench::report(name + " event p50", "us", p50);
  bench::report(name + " event p99", "us", p99);
  bench::report(name, "placements/s", rate);
}

}  // namespace

int main(int argc, char** argv) {
  int repeat = 3;
  const char* nodes_path = nullptr;
  const char* pods_path = nullptr;
  Policy policy;
  std::string label;  // the policy as it was given
  std::uint32_t only = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--repeat") == 0 && i + 1 < argc) {
      repeat = static_cast<int>(std::max(1U, number_of(argv[++i])));
    } else if (std::strcmp(argv[i], "--nodes") == 0 && i + 1 < argc) {
      only = number_of(argv[++i]);
    } else if (std::strcmp(argv[i], "--policy") == 0 && i + 1 < argc) {
      const auto parsed = parse_policy(argv[++i]);
      if (!parsed) {
        fmt::print(stderr, "{}\n", parsed.error().text);
        return 2;
      }
      policy = *parsed;
      label = argv[i];
    } else if (std::strcmp(argv[i], "--openb") == 0 && i + 2 < argc) {
      nodes_path = argv[++i];
      pods_path = argv[++i];
    } else {
      fmt::print(stderr,
                 "usage: {} [--repeat N] [--policy P] [--nodes N] "
                 "[--openb NODES.csv PODS.csv]\n",
                 argv[0]);
      return 2;
    }
  }
  if (nodes_path) {
    std::vector<double> rate;
    for (int i = 0; i < repeat; ++i) {
      rate.push_back(openb(policy, nodes_path, pods_path));
    }
    bench::report("decisions openb", "placements/s", rate);
  }
  if (only > 0) {
    report_steady(repeat, policy, label, only, 1'000, 50'000);
    return 0;
  }
  if (label.empty())
    for (const char* other : {"drf", "easy"})
      report_steady(repeat, *parse_policy(other), other, 10'000, 1'000, 20'000);
  report_steady(repeat, policy, label, 10'000, 100'000, 20'000);
  for (const auto nodes : {1'000U, 50'000U, 10'000U})
    report_steady(repeat, policy, label, nodes, 1'000, 50'000);
  return 0;
}
