// reeve-gpu-probe: tests one GPU and writes one line of JSON for each check.
//
//   reeve-gpu-probe quick|full|clear [--device N] [--peer N]... [--soil]
//                   [--plant NAME]
//
// quick takes a few seconds, full about two minutes. clear fills all free
// memory with zeros and reads samples; --soil fills it with ones before.
// --plant does something wrong on purpose, in a build for tests only.
// Exit codes: 0 all is right, 1 something is wrong or could not be checked,
// 2 usage, 3 no device.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

#include "gpu/probe/kernels.hpp"
#include "gpu/probe/result.hpp"

namespace reeve::gpu::probe {
namespace {

enum class Level { quick, full, clear };

struct Options {
  Level level = Level::quick;
  int device = 0;
  std::vector<int> peers;
  Soil soil = Soil::no;
  Plant plant = Plant::nothing;
};

// Left to the driver and to ourselves when all memory is taken.
constexpr std::size_t keep_bytes = std::size_t{384} << 20;

// How much is done at a level.
struct Effort {
  int memory_rounds;
  int bandwidth_repeats;
  std::size_t host_bytes;
  double arithmetic_seconds;
};
constexpr Effort quick_effort = {2, 10, std::size_t{128} << 20, 0.25};
constexpr Effort full_effort = {200, 200, std::size_t{512} << 20, 20};

class Probe {
 public:
  explicit Probe(const Options& options)
      : options_(options),
        effort_(options.level == Level::full ? full_effort : quick_effort) {}

  int go() {
    if (!check("device", [&](Result& result) { look(result); })) return 3;
    hang_if_planted();
    if (options_.level == Level::clear) {
      check("clear", [&](Result& result) { clear(result); });
    } else {
      check("memory", [&](Result& result) { memory(result); });
      check("bandwidth", [&](Result& result) { bandwidth(result); });
      check("host copy", [&](Result& result) { host_copy(result); });
      check("fp32", [&](Result& result) { arithmetic(result, test_fp32); });
      check("fp64", [&](Result& result) { arithmetic(result, test_fp64); });
      if (facts_.compute_major >= 8)
        check("bf16", [&](Result& result) { arithmetic(result, test_bf16); });
      for (const int peer : options_.peers)
        check("peer", [&](Result& result) { ask_peer(result, peer); });
    }
    tell({std::string(end_of_probe), 0, {}, {}, ""});
    return all_right_ ? 0 : 1;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static void tell(const Result& result) {
    fmt::print("{}\n", to_line(result));
    std::fflush(stdout);
  }

  template <class Work>
  bool check(const char* name, Work work) {
    Result result;
    result.check = name;
    const auto begin = Clock::now();
    try {
      work(result);
    } catch (const CudaError& error) {
      result.error = error.what();
    }
    const std::chrono::duration<double> took = Clock::now() - begin;
    result.seconds = took.count();
    all_right_ = all_right_ && result.error.empty() && result.wrong.empty();
    tell(result);
    return result.error.empty();
  }

  void look(Result& result) {
    const int count = device_count();
    if (options_.device >= count)
      throw CudaError(fmt::format("there is no device {}; there are {}",
                                  options_.device, count));
    facts_ = use(options_.device);
    result.figures = {
        {"multiprocessors", static_cast<double>(facts_.multiprocessors)},
        {"compute_capability",
         facts_.compute_major + facts_.compute_minor * 0.1},
        {"memory_bytes", static_cast<double>(facts_.memory_bytes)},
        {"free_bytes", static_cast<double>(facts_.free_bytes)}};
  }

  void memory(Result& result) {
    const auto all = use(options_.device).free_bytes;
    if (all <= keep_bytes) throw CudaError("there is no free memory to test");
    const MemoryResult found =
        test_memory(all - keep_bytes, effort_.memory_rounds);
    result.figures = {{"memory_tested_bytes", static_cast<double>(found.bytes)},
                      {"memory_test",
                       static_cast<double>(found.moved_bytes) / found.seconds}};
    if (found.bad_count == 0) return;
    result.wrong.push_back(
        fmt::format("words that read back changed: {}", found.bad_count));
    for (const BadWord& bad : found.bad)
      result.wrong.push_back(fmt::format(
          "address {:#x} (byte {:#x} of the test): wrote {:#018x}, read "
          "{:#018x}, bits {:#x}",
          bad.address, bad.offset, bad.expected, bad.found,
          bad.expected ^ bad.found));
  }

  void bandwidth(Result& result) {
    const std::size_t bytes = std::min<std::size_t>(
        std::size_t{4} << 30, use(options_.device).free_bytes / 4);
    const BandwidthResult found =
        measure_bandwidth(bytes, effort_.bandwidth_repeats);
    result.figures = {{"memory_read", found.read},
                      {"memory_write", found.write},
                      {"memory_copy", found.copy}};
  }

  void host_copy(Result& result) {
    const HostCopyResult found = measure_host_copy(effort_.host_bytes, 5);
    result.figures = {{"to_device", found.to_device},
                      {"to_host", found.to_host}};
    if (found.wrong != 0)
      result.wrong.push_back(
          fmt::format("words that changed on the way: {}", found.wrong));
  }

  void arithmetic(Result& result, ArithmeticResult (*test)(double)) {
    const ArithmeticResult found = test(effort_.arithmetic_seconds);
    result.figures = {{result.check, found.per_second},
                      {result.check + "_best", found.best_per_second}};
    if (found.wrong_count == 0) return;
    result.wrong.push_back(fmt::format("{} of the results of {} are wrong",
                                       found.wrong_count, found.instruction));
    for (const WrongNumber& wrong : found.wrong)
      result.wrong.push_back(fmt::format(
          "multiprocessor {}, result {}: {:#x} instead of {:#x}",
          wrong.multiprocessor, wrong.place, wrong.found, wrong.expected));
  }

  void ask_peer(Result& result, int peer) {
    const PeerResult found =
        test_peer(options_.device, peer, std::size_t{256} << 20);
    result.figures = {{found.possible ? "peer" : "peer_through_host",
                       found.bytes_per_second}};
    if (found.wrong != 0)
      result.wrong.push_back(fmt::format(
          "words that changed on the way to {}: {}", peer, found.wrong));
  }

  void clear(Result& result) {
    const ClearResult found = clear_memory(keep_bytes, options_.soil);
    result.figures = {{"clear", found.bytes_per_second},
                      {"cleared_bytes", static_cast<double>(found.bytes)},
                      {"sampled_words", static_cast<double>(found.sampled)}};
    if (found.dirty != 0)
      result.wrong.push_back(fmt::format("{} of {} samples are not cleared",
                                         found.dirty, found.sampled));
  }

  const Options& options_;
  const Effort effort_;
  DeviceFacts facts_;
  bool all_right_ = true;
};

std::optional<Plant> plant_named(std::string_view name) {
  constexpr std::pair<std::string_view, Plant> all[] = {
      {"memory", Plant::memory}, {"dirty", Plant::dirty},
      {"fp32", Plant::fp32},     {"fp64", Plant::fp64},
      {"bf16", Plant::bf16},     {"hang", Plant::hang}};
  for (const auto& [text, what] : all)
    if (text == name && can_plant()) return what;
  return std::nullopt;
}

std::optional<int> index_of(std::string_view text) {
  int index = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size() || index < 0)
    return std::nullopt;
  return index;
}

// False at what is not understood.
bool read_option(std::string_view name, std::string_view value,
                 Options& options) {
  const auto index = index_of(value);
  if (name == "--device" && index) {
    options.device = *index;
  } else if (name == "--peer" && index) {
    options.peers.push_back(*index);
  } else if (name == "--plant" && plant_named(value)) {
    options.plant = *plant_named(value);
  } else {
    return false;
  }
  return true;
}

std::optional<Options> read_options(int argc, char** argv) {
  Options options;
  if (argc < 2) return std::nullopt;
  const std::string_view level = argv[1];
  if (level == "full")
    options.level = Level::full;
  else if (level == "clear")
    options.level = Level::clear;
  else if (level != "quick")
    return std::nullopt;
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--soil" && options.level == Level::clear) {
      options.soil = Soil::yes;
    } else if (i + 1 == argc || !read_option(name, argv[++i], options)) {
      return std::nullopt;
    }
  }
  return options;
}

}  // namespace
}  // namespace reeve::gpu::probe

int main(int argc, char** argv) {
  using namespace reeve::gpu::probe;
  const auto options = read_options(argc, argv);
  if (!options) {
    fmt::print(stderr,
               "usage: reeve-gpu-probe quick|full|clear [--device N] "
               "[--peer N]... [--soil]{}\n",
               can_plant() ? " [--plant NAME]" : "");
    return 2;
  }
  // Whoever asked may be killed: nobody would read what is found.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  plant(options->plant);
  return Probe(*options).go();
}
