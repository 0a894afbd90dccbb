// gpus --live: what the GPUs of all nodes do, as a table that is drawn again
// and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "bus/buffer.hpp"
#include "schema/wire.hpp"
#include "tools/args/output.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {

// Nodes whose GPUs are shown; that there are more is said below.
inline constexpr std::size_t live_nodes_max = 1'024;
// Samples of a GPU that its line shows, the newest at the right.
inline constexpr std::size_t live_samples_max = 30;
// Programs on a GPU that its line names; the rest is counted.
inline constexpr std::size_t live_programs_max = 3;
// A node that is silent for so long is shown no more.
inline constexpr std::uint64_t live_silence_ns = 10'000'000'000;

using Percents = std::deque<std::optional<std::uint32_t>>;

// A bar of eighths for each; a space where nothing is known.
std::string sparkline(const Percents& percents);

class LiveGpus {
 public:
  // `message` is a verified schema::NodeStats.
  void take(const bus::Message& message, std::uint64_t now_ns);
  // No wider than the terminal, and a line less than it is high.
  std::string text(const Terminal& terminal, std::uint64_t now_ns) const;

 private:
  struct Node {
    bus::Message newest;
    std::uint64_t heard_ns = 0;
    std::map<std::string, Percents, std::less<>> percents;  // by uuid
  };

  std::map<std::string, Node, std::less<>> nodes_;
  bool more_nodes_ = false;
};

// What makes `text` the whole content of a screen.
std::string screen_of(std::string_view text);

// Until it is interrupted. On a terminal, or with --json: then each sample of a
// node is a line.
Expected<int> watch_gpus(const Context& context);

}  // namespace reeve::tools
