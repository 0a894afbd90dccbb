// The log as an instrument: what exports, archives and snapshots weigh, what
// verifying costs beside reading and hashing, and how fast any moment of a long
// history comes back.
//
//   log_bench [--events N] [--looks N] [--repeat N] [--directory DIR]
//
// The log is made as a daemon leaves it: commits of about 100 events, a
// snapshot and a run of the index every 125,000. The looks are runs of the
// program `reeve-log` (REEVE_LOG), from its start to its end.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

#include "actors/journal/entities.hpp"
#include "cluster/check.hpp"
#include "schema/wire.hpp"
#include "store/export.hpp"
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
constexpr std::uint64_t upkeep_every = 125'000;

struct Options {
  std::uint64_t events = 10'000'000;
  std::size_t looks = 200;
  std::size_t repeat = 3;
  std::filesystem::path directory = std::filesystem::temp_directory_path();
};

struct Made {
  std::filesystem::path directory;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sessions = 0;
};

template <class T>
T must(Expected<T> result) {
  REEVE_CHECK(result.has_value(), result.error().text);
  return std::move(*result);
}
void must(const Status& status) {
  REEVE_CHECK(status.has_value(), status.error().text);
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start)
      .count();
}

Made make_log(const Options& options, const std::filesystem::path& directory) {
  store::LogOptions log_options;
  log_options.directory = directory;
  log_options.create_if_missing = true;
  const auto log = must(store::Log::open(log_options));
  LogMaker maker(waiting_steadily);
  Made made{directory};
  std::uint64_t due = upkeep_every;
  std::vector<double> encodes, indexes;
  maker.make(options.events, group, [&](const Commit& commit) {
    must(log->append(1, commit.count, commit.events));
    made.events += commit.count;
    made.bytes += commit.events.size();
    if (made.events < due) return;
    due += upkeep_every;
    auto start = Clock::now();
    const auto bytes = maker.state().encode_snapshot();
    must(log->put_snapshot(made.events, State::digest_of(bytes), bytes));
    encodes.push_back(ms_since(start));
    start = Clock::now();
    must(log->extend_index(upkeep_every, journal::find_entities));
    indexes.push_back(ms_since(start));
  });
  made.sessions = maker.state().next_session().value - 1;
  must(log->close());
  report("snapshot made", "ms", encodes);
  report(fmt::format("index of {} events made", upkeep_every), "ms", indexes);
  return made;
}

// One run of the log tool, its output thrown away.
double run_tool(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const auto& word : words)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
                                   O_WRONLY, 0);
  const auto start = Clock::now();
  pid_t pid = 0;
  REEVE_CHECK(::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(),
                            environ) == 0,
              "cannot start the log tool");
  int status = 0;
  ::waitpid(pid, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  REEVE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              fmt::format("{} failed", fmt::join(words, " ")));
  return ms_since(start);
}

void look(const Made& made, const std::string& name, std::size_t looks,
          std::uint64_t most,
          const std::function<std::vector<std::string>(std::uint64_t)>& words) {
  std::mt19937_64 random(20'261'123);
  std::uniform_int_distribution<std::uint64_t> any(1, most);
  std::vector<double> spent;
  for (std::size_t i = 0; i < looks; ++i) {
    std::vector<std::string> all{REEVE_LOG};
    for (auto& word : words(any(random))) all.push_back(std::move(word));
    all.insert(all.end(), {"--log", made.directory.string(), "--quiet"});
    spent.push_back(run_tool(all));
  }
  report(name + ", the slowest", "ms",
         {*std::max_element(spent.begin(), spent.end())});
  report(name, "ms", spent);
}

void bench_looks(const Made& made, std::size_t looks) {
  const auto of = [&](const char* what) {
    return fmt::format("{} in {} events", what, made.events);
  };
  look(made, of("show, the session as it ended"), looks / 4 + 1, made.sessions,
       [](std::uint64_t id) {
         return std::vector<std::string>{"show", fmt::format("s-{}", id)};
       });
  look(made, of("history"), looks, made.sessions, [](std::uint64_t id) {
    return std::vector<std::string>{"history", fmt::format("s-{}", id)};
  });
  look(made, of("state --at"), looks, made.events, [](std::uint64_t at) {
    return std::vector<std::string>{"state", "--at", std::to_string(at)};
  });
}

// The same bytes read and hashed, as fast as one thread does either.
void bench_verify(const Made& made, std::size_t repeat) {
  std::vector<double> verify, scan, hash;
  const auto count = static_cast<double>(made.events);
  for (std::size_t i = 0; i < repeat; ++i) {
    verify.push_back(count * 1e3 /
                     run_tool({REEVE_LOG, "log", "verify", "--log",
                               made.directory.string(), "--quiet"}));
    const auto reader = must(store::LogReader::open(made.directory));
    auto start = Clock::now();
    must(reader->scan(1, made.events,
                      [](const store::Record&) { return true; }));
    scan.push_back(count * 1e3 / ms_since(start));
    const std::vector<std::byte> block(64u << 20, std::byte{7});
    const std::span<const std::byte> part(block);
    start = Clock::now();
    store::hash_parts(std::span(&part, 1));
    const double bytes_per_ms =
        static_cast<double>(block.size()) / ms_since(start);
    hash.push_back(bytes_per_ms * 1e3 / static_cast<double>(made.bytes) *
                   count);
  }
  const auto name = fmt::format("log verify of {} events", made.events);
  report(name, "events/s", verify);
  report(name + ", read and hashed only", "events/s", scan);
  report(name + ", hash of as many bytes in memory, one thread", "events/s",
         hash);
}

void bench_export(const Made& made, std::size_t repeat) {
  std::vector<double> exports, proofs, sizes;
  const auto count = static_cast<double>(made.events);
  for (std::size_t i = 0; i < repeat; ++i) {
    const auto file = made.directory / "export.segment";
    const auto reader = must(store::LogReader::open(made.directory));
    const auto info = must(
        store::segment_of(*reader, 1, made.events, store::Compression::zstd));
    auto start = Clock::now();
    must(store::write_segment_file(*reader, info, file, {}));
    exports.push_back(count * 1e3 / ms_since(start));
    start = Clock::now();
    const auto segment = must(store::SegmentFile::open(file));
    must(segment->scan([](const store::Record&) { return true; }));
    proofs.push_back(count * 1e3 / ms_since(start));
    sizes.push_back(static_cast<double>(segment->size_bytes()) / count);
    std::filesystem::remove(file);
  }
  report("export, written, synced and read back", "events/s", exports);
  report("export, read and proved", "events/s", proofs);
  report(fmt::format("export, of {:.0f} bytes an event",
                     static_cast<double>(made.bytes) / count),
         "bytes/event", sizes);
}

void run(const Options& options) {
  std::string name = (options.directory / "log-bench-XXXXXX").string();
  REEVE_CHECK(::mkdtemp(name.data()) != nullptr, name);
  const Made made = make_log(options, name);
  bench_export(made, options.repeat);
  bench_verify(made, options.repeat);
  bench_looks(made, options.looks);
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
    } else if (std::strcmp(argv[i], "--looks") == 0) {
      good = read_number(argv[i + 1], options.looks);
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
               "usage: {} [--events N] [--looks N] [--repeat N] "
               "[--directory DIR]\n",
               argv[0]);
    return 2;
  }
  run(options);
  return 0;
}
