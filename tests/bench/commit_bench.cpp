// The rate at which the log is read and proved; then durable commits of
// 256-byte events at several group sizes, beside a plain file that is appended
// to and synced with the same groups, in turn, on the same disk.
//   commit_bench [DIRECTORY] [ROUNDS]
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cluster/check.hpp"
#include "store/log.hpp"
#include "tests/bench/report.hpp"

namespace fs = std::filesystem;
using namespace reeve;
using namespace reeve::store;

namespace {

constexpr std::size_t event_bytes = 256;

// Half of each event's bytes differ from event to event.
std::vector<std::byte> make_group(std::uint32_t count, std::uint64_t seed,
                                  std::size_t size_bytes = event_bytes) {
  std::vector<std::byte> events(count * size_bytes);
  std::uint64_t word = seed * 0x9e3779b97f4a7c15u + 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::byte* event = events.data() + i * size_bytes;
    const auto length = static_cast<std::uint32_t>(size_bytes - 4);
    std::memcpy(event, &length, 4);
    for (std::size_t at = 8; at + 8 <= size_bytes; at += 16) {
      word = word * 6364136223846793005u + 1442695040888963407u;
      std::memcpy(event + at, &word, 8);
    }
  }
  return events;
}

double events_per_second(std::uint64_t events,
                         const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  return static_cast<double>(events) / took.count();
}

struct Run {
  std::uint32_t group;
  std::uint32_t groups;
  std::vector<std::vector<std::byte>> inputs;  // used in turn
};

Run make_run(std::uint32_t group) {
  Run run{group, std::clamp(400'000u / group, 400u, 1000u), {}};
  for (std::uint64_t seed = 0; seed < 8; ++seed)
    run.inputs.push_back(make_group(group, seed));
  return run;
}

double plain_file(const fs::path& file, const Run& run) {
  const int fd = ::open(file.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  REEVE_CHECK(fd >= 0, file.string());
  const double rate =
      events_per_second(std::uint64_t{run.group} * run.groups, [&] {
        for (std::uint32_t i = 0; i < run.groups; ++i) {
          const auto& input = run.inputs[i % run.inputs.size()];
          REEVE_CHECK(::write(fd, input.data(), input.size()) ==
                          static_cast<ssize_t>(input.size()),
                      "short write");
          REEVE_CHECK(::fdatasync(fd) == 0, "fdatasync");
        }
      });
  ::close(fd);
  fs::remove(file);
  return rate;
}

std::unique_ptr<Log> open_log(const fs::path& directory) {
  LogOptions options;
  options.directory = directory;
  options.create_if_missing = true;
  auto log = Log::open(options);
  REEVE_CHECK(log.has_value(), log.error().text);
  return std::move(*log);
}

double appended(Log& log, const Run& run) {
  return events_per_second(std::uint64_t{run.group} * run.groups, [&] {
    for (std::uint32_t i = 0; i < run.groups; ++i) {
      const auto done =
          log.append(1, run.group, run.inputs[i % run.inputs.size()]);
      REEVE_CHECK(done.has_value(), done.error().text);
    }
  });
}

// One thread prepares the next commit while another syncs this one.
double pipelined(Log& log, const Run& run) {
  constexpr std::size_t ahead_max = 2;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Log::Prepared> ready;
  const auto prepare_all = [&] {
    for (std::uint32_t i = 0; i < run.groups; ++i) {
      auto next = log.prepare(1, run.group, run.inputs[i % run.inputs.size()]);
      REEVE_CHECK(next.has_value(), next.error().text);
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return ready.size() < ahead_max; });
      ready.push_back(std::move(*next));
      changed.notify_all();
    }
  };
  const auto commit_all = [&] {
    for (std::uint32_t i = 0; i < run.groups; ++i) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return !ready.empty(); });
      Log::Prepared next = std::move(ready.front());
      ready.pop_front();
      changed.notify_all();
      lock.unlock();
      const auto done = log.commit(std::move(next));
      REEVE_CHECK(done.has_value(), done.error().text);
    }
  };
  return events_per_second(std::uint64_t{run.group} * run.groups, [&] {
    std::thread preparer(prepare_all);
    commit_all();
    preparer.join();
  });
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure_commits(const fs::path& root, std::uint32_t group, int rounds) {
  const Run run = make_run(group);
  std::vector<double> plain, blocking, pipeline;
  const auto log = open_log(root / ("log" + std::to_string(group)));
  for (int round = 0; round < rounds; ++round) {
    plain.push_back(plain_file(root / "plain", run));
    blocking.push_back(appended(*log, run));
    pipeline.push_back(pipelined(*log, run));
  }
  const std::string suffix = "_group_" + std::to_string(group);
  const bench::Peer peer{"append and fdatasync of a plain file", median(plain)};
  bench::report("commit_append" + suffix, "events/s", blocking, peer);
  bench::report("commit_pipelined" + suffix, "events/s", pipeline, peer);
}

// Read and proved, with a consumer that only looks at each event.
void measure_scan(const fs::path& root, std::uint32_t group, int rounds) {
  constexpr std::size_t scan_event_bytes = 200;
  constexpr std::uint64_t events = 1'500'000;
  const auto log = open_log(root / ("scan" + std::to_string(group)));
  for (std::uint64_t i = 0; i < events / group; ++i) {
    const auto done =
        log->append(1, group, make_group(group, i, scan_event_bytes));
    REEVE_CHECK(done.has_value(), done.error().text);
  }
  const auto reader = log->reader();
  std::vector<double> rates;
  std::uint64_t lengths = 0;
  for (int round = 0; round < rounds; ++round)
    rates.push_back(events_per_second(log->head().sequence, [&] {
      const Status done = reader->scan(1, ~0ull, [&](const Record& record) {
        EventCursor cursor(record.events);
        while (const auto event = cursor.next()) lengths += event->size();
        return true;
      });
      REEVE_CHECK(done.has_value(), done.error().text);
    }));
  REEVE_CHECK(lengths > 0, "nothing was read");
  bench::report("scan_and_prove_group_" + std::to_string(group), "events/s",
                rates);
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path base = argc > 1 ? fs::path(argv[1]) : fs::current_path();
  const int rounds =
      argc > 2
          ? std::max(1, static_cast<int>(std::strtol(argv[2], nullptr, 10)))
          : 7;
  std::string name = (base / "commit-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    fmt::print(stderr, "cannot make a directory in {}\n", base.string());
    return 1;
  }
  for (const std::uint32_t group : {100u, 1000u})
    measure_scan(name, group, rounds);
  for (const std::uint32_t group : {1u, 10u, 100u, 1000u})
    measure_commits(name, group, rounds);
  fs::remove_all(name);
  return 0;
}
