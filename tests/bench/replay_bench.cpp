// What a waiting session costs, and how fast a state comes back: from a
// snapshot, from memory, from the log.
//
//   replay_bench [--events N] [--repeat N] [--directory DIR]
//
// The log is written through store::Log in commits of about 100 events, below
// DIR (default: the temporary directory), and removed again: about 100 bytes
// of disk an event. "Cold" is a reader opened anew on files that the system
// was asked to drop from its cache.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>

#include "cluster/check.hpp"
#include "schema/wire.hpp"
#include "store/log.hpp"
#include "tests/bench/replay_log.hpp"
#include "tests/bench/report.hpp"

namespace {

using namespace reeve;
using namespace reeve::bench;
using cluster::State;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t group = 100;
constexpr std::uint32_t waiting_steadily = 1'000;
constexpr std::uint32_t waiting_sessions = 100'000;
// Of a long log, the first events alone are kept in memory too.
constexpr std::uint64_t in_memory_events_max = 1'000'000;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of all threads of this program: what other programs take is not in it.
double cpu_seconds() {
  timespec at{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
}

template <class T>
T must(Expected<T> result) {
  REEVE_CHECK(result.has_value(), result.error().text);
  return std::move(*result);
}
void must(const Status& status) {
  REEVE_CHECK(status.has_value(), status.error().text);
}

void apply_all(State& state, std::span<const std::byte> events,
               std::uint64_t after = 0) {
  must(store::for_each_event(events, [&](std::span<const std::byte> bytes) {
    const schema::Event& event = schema::event_of(bytes);
    if (event.seq() > after) must(state.apply(event));
  }));
}

struct Options {
  std::uint64_t events = 1'000'000;
  std::size_t repeat = 5;
  std::filesystem::path directory = std::filesystem::temp_directory_path();
};

// The log, once written: its first events in memory too, for `apply` alone.
struct Material {
  std::filesystem::path directory;
  std::vector<std::vector<std::byte>> commits;
  std::uint64_t events = 0;
  std::uint64_t in_memory_events = 0;
  std::uint64_t bytes = 0;
  std::uint64_t snapshot_at = 0;
  std::string digest;
};

Material write_log(store::Log& log, const std::filesystem::path& directory,
                   const Options& options) {
  Material made;
  made.directory = directory;
  LogMaker maker(waiting_steadily);
  // The snapshot lies a tail of one in a hundred events before the end.
  const std::uint64_t snapshot_after = options.events / 100 * 99;
  maker.make(options.events, group, [&](const Commit& commit) {
    must(log.append(1, commit.count, commit.events));
    made.events += commit.count;
    made.bytes += commit.events.size();
    if (made.in_memory_events < in_memory_events_max) {
      made.in_memory_events += commit.count;
      made.commits.push_back(commit.events);
    }
    if (made.snapshot_at != 0 || made.events < snapshot_after) return;
    const auto bytes = maker.state().encode_snapshot();
    must(log.put_snapshot(made.events, State::digest_of(bytes), bytes));
    made.snapshot_at = made.events;
  });
  made.digest = maker.state().digest_hex();
  return made;
}

void check_digest(const State& state, const Material& made) {
  REEVE_CHECK(state.digest_hex() == made.digest,
              "the replayed state is another one");
}

struct Spent {
  std::vector<double> per_second;  // events, by the clock on the wall
  std::vector<double> cpu_ns;      // for one event, on all threads

  void measure(std::uint64_t events, const std::function<void()>& work) {
    const double cpu = cpu_seconds();
    const auto start = Clock::now();
    work();
    const auto count = static_cast<double>(events);
    per_second.push_back(count / seconds_since(start));
    cpu_ns.push_back((cpu_seconds() - cpu) * 1e9 / count);
  }
  void tell(const std::string& name) {
    report(name + ", processor time", "ns/event", cpu_ns);
    report(name, "events/s", per_second);
  }
};

// Asks the system to forget what it holds of the files; what is not yet
// written is written first.
void drop_from_cache(const std::filesystem::path& directory) {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    REEVE_CHECK(file >= 0, entry.path().string());
    ::fsync(file);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

void replay_all(const store::LogReader& reader, const Material& made,
                Spent& spent) {
  State state;
  spent.measure(made.events, [&] {
    must(reader.scan(1, made.events, [&](const store::Record& record) {
      apply_all(state, record.events);
      return true;
    }));
  });
  check_digest(state, made);
}

void bench_replay(store::Log& log, const Material& made, std::size_t repeat) {
  Spent replay, cold, scan, apply;
  for (std::size_t i = 0; i < repeat; ++i) {
    drop_from_cache(made.directory);
    replay_all(*must(store::LogReader::open(made.directory)), made, cold);
    const auto reader = log.reader();
    replay_all(*reader, made, replay);
    scan.measure(made.events, [&] {
      must(reader->scan(1, made.events,
                        [](const store::Record&) { return true; }));
    });
    State again;
    apply.measure(made.in_memory_events, [&] {
      for (const auto& events : made.commits) apply_all(again, events);
    });
  }
  const auto name = fmt::format("replay of {} events", made.events);
  report("event size", "bytes",
         {static_cast<double>(made.bytes) / static_cast<double>(made.events)});
  apply.tell(
      fmt::format("apply of {} events from memory", made.in_memory_events));
  scan.tell(name + ", read and proved only");
  cold.tell(name + " from the log, cold");
  replay.tell(name + " from the log");
}

void bench_snapshot(store::Log& log, const Material& made, std::size_t repeat) {
  std::vector<double> starts, encodes, digests, sizes;
  for (std::size_t i = 0; i < repeat; ++i) {
    auto start = Clock::now();
    const auto reader = log.reader();
    auto snapshot = must(reader->snapshot_at(made.events));
    REEVE_CHECK(snapshot.has_value(), "there is no snapshot");
    State state = must(State::decode_snapshot(snapshot->bytes));
    must(reader->scan(snapshot->sequence + 1, made.events,
                      [&](const store::Record& record) {
                        apply_all(state, record.events, snapshot->sequence);
                        return true;
                      }));
    starts.push_back(seconds_since(start) * 1e3);
    check_digest(state, made);
    start = Clock::now();
    const auto bytes = state.encode_snapshot();
    encodes.push_back(seconds_since(start) * 1e3);
    sizes.push_back(static_cast<double>(bytes.size()));
    start = Clock::now();
    const auto digest = state.digest();
    digests.push_back(seconds_since(start) * 1e3);
    REEVE_CHECK(digest == State::digest_of(bytes), "the digest changed");
  }
  const auto tail = made.events - made.snapshot_at;
  report(fmt::format("start from a snapshot, {} events after it", tail), "ms",
         starts);
  report("snapshot encoded", "ms", encodes);
  report("snapshot size", "bytes", sizes);
  report("digest", "ms", digests);
}

double allocated_bytes() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

void bench_memory(std::size_t repeat) {
  std::vector<double> bytes, starts;
  for (std::size_t i = 0; i < repeat; ++i) {
    LogMaker maker(waiting_steadily);
    maker.submit_waiting(waiting_sessions);
    const auto snapshot = maker.state().encode_snapshot();
    // What is decoded has no more than it needs, and no command to remember
    // more than the bound says; a replay's state is measured the same way.
    const double before = allocated_bytes();
    const auto start = Clock::now();
    const State state = must(State::decode_snapshot(snapshot));
    starts.push_back(seconds_since(start) * 1e3);
    bytes.push_back((allocated_bytes() - before) / waiting_sessions);
    REEVE_CHECK(state.count(schema::SessionState::pending) >= waiting_sessions,
                "sessions are missing");
  }
  report(fmt::format("state per waiting session at {}", waiting_sessions),
         "bytes", bytes);
  report(fmt::format("decode of a snapshot with {} waiting", waiting_sessions),
         "ms", starts);
}

void run(const Options& options) {
  bench_memory(options.repeat);
  std::string name = (options.directory / "replay-bench-XXXXXX").string();
  REEVE_CHECK(::mkdtemp(name.data()) != nullptr, name);
  {
    store::LogOptions log_options;
    log_options.directory = name;
    log_options.create_if_missing = true;
    const auto log = must(store::Log::open(log_options));
    const Material made = write_log(*log, name, options);
    bench_snapshot(*log, made, options.repeat);
    bench_replay(*log, made, options.repeat);
  }
  std::error_code ignored;
  std::filesystem::remove_all(name, ignored);
}

bool read_number(const char* text, auto& value) {
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, value);
  return error == std::errc{} && at == end && value > 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  bool good = argc % 2 == 1;
  for (int i = 1; good && i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--events") == 0) {
      good = read_number(argv[i + 1], options.events);
    } else if (std::strcmp(argv[i], "--repeat") == 0) {
      good = read_number(argv[i + 1], options.repeat);
    } else if (std::strcmp(argv[i], "--directory") == 0) {
      options.directory = argv[i + 1];
    } else {
      good = false;
    }
  }
  if (!good) {
    fmt::print(stderr,
               "usage: {} [--events N] [--repeat N] [--directory DIR]\n",
               argv[0]);
    return 2;
  }
  run(options);
  return 0;
}
