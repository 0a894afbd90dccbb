#include "tools/cli/node/gpus_live.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cluster/units.hpp"

namespace reeve::tools {
namespace {

using schema::DeviceStats;
using std::string;
using Align = Table::Align;

constexpr const char* bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

// Empty where the driver does not tell.
template <class Number>
string told(const std::optional<Number>& number, const char* unit = "") {
  return number ? fmt::format("{}{}", *number, unit) : string();
}

template <class Number>
string one_of_two(const std::optional<Number>& one,
                  const std::optional<Number>& other, auto&& format) {
  if (!one && !other) return {};
  return fmt::format("{}/{}", one ? format(*one) : "-",
                     other ? format(*other) : "-");
}

string remarks(const DeviceStats& gpu) {
  std::vector<string> out;
  if (gpu.lost() != nullptr) out.push_back(gpu.lost()->str());
  if (gpu.xid_last())
    out.push_back(fmt::format("Xid {}, {} in all", *gpu.xid_last(),
                              gpu.xids().value_or(0)));
  if (gpu.ecc_uncorrected().value_or(0) > 0)
    out.push_back(
        fmt::format("uncorrected ECC errors: {}", *gpu.ecc_uncorrected()));
  if (gpu.row_remap_failed().value_or(false))
    out.push_back("remapping of rows failed");
  if (gpu.row_remap_pending().value_or(false))
    out.push_back("remapping of rows waits for a reset");
  if (gpu.throttles() != nullptr)
    for (const auto* reason : *gpu.throttles())
      if (reason->string_view() != "idle") out.push_back(reason->str());
  return fmt::format("{}", fmt::join(out, "; "));
}

// "4242 (1.5 GiB), 4243, 7 more": by the pids of the host.
string programs(const DeviceStats& gpu) {
  std::vector<string> out;
  if (gpu.programs() != nullptr)
    for (const auto* one : *gpu.programs()) {
      if (out.size() >= live_programs_max) break;
      out.push_back(told(one->pid()));
      if (one->memory_bytes())
        out.back() += fmt::format(" ({})", format_bytes(*one->memory_bytes()));
    }
  if (const std::size_t all = gpu.processes().value_or(0); all > out.size())
    out.push_back(fmt::format("{} more", all - out.size()));
  return fmt::format("{}", fmt::join(out, ", "));
}

Table live_table() {
  return Table({{"NODE"},
                {"GPU", Align::right},
                {"MODEL", Align::left, 7},
                {"USE", Align::right},
                {"LAST MINUTE", Align::right, 2},
                {"MEMORY", Align::right, 1},
                {"POWER", Align::right, 3},
                {"TEMP", Align::right, 4},
                {"SM/MEM MHZ", Align::right, 5},
                {"PROGRAMS", Align::left, 8},
                {"REMARKS", Align::left, 6}});
}

void add_row(Table& table, const schema::NodeStats& node,
             const DeviceStats& gpu, const Percents& percents) {
  const bool lost = gpu.lost() != nullptr;
  const auto watts = gpu.power_mw();
  table.add(
      {node.node()->str(), told(gpu.index()), string(schema::text(gpu.model())),
       lost ? string("lost") : told(gpu.gpu_percent(), "%"),
       sparkline(percents),
       one_of_two(gpu.memory_used_bytes(), gpu.memory_total_bytes(),
                  [](std::uint64_t bytes) { return format_bytes(bytes); }),
       watts ? fmt::format("{} W", (*watts + 500) / 1'000) : string(),
       told(gpu.temperature_c(), " C"),
       one_of_two(gpu.sm_clock_mhz(), gpu.memory_clock_mhz(),
                  [](std::uint32_t mhz) { return fmt::format("{}", mhz); }),
       programs(gpu), remarks(gpu)});
  if (lost) table.tone(3, Tone::bad);
}

}  // namespace

string sparkline(const Percents& percents) {
  string out;
  for (const auto& percent : percents)
    out += percent ? bars[std::min<std::uint32_t>(*percent * 8 / 100, 7)] : " ";
  return out;
}

void LiveGpus::take(const bus::Message& message, std::uint64_t now_ns) {
  const auto* stats = schema::verified<schema::NodeStats>(message.data);
  std::erase_if(nodes_, [&](const auto& each) {
    return now_ns > each.second.heard_ns + live_silence_ns;
  });
  const auto name = stats->node()->string_view();
  auto at = nodes_.find(name);
  if (at == nodes_.end()) {
    more_nodes_ = nodes_.size() >= live_nodes_max;
    if (more_nodes_) return;
    at = nodes_.emplace(name, Node{}).first;
  }
  Node& node = at->second;
  node.newest = message.hold();
  node.heard_ns = now_ns;
  std::map<string, Percents, std::less<>> percents;
  for (const DeviceStats* gpu : *stats->devices()) {
    const string uuid = gpu->uuid()->str();
    Percents& of = percents[uuid] = std::move(node.percents[uuid]);
    of.push_back(gpu->gpu_percent());
    if (of.size() > live_samples_max) of.pop_front();
  }
  node.percents = std::move(percents);
}

string LiveGpus::text(const Terminal& terminal, std::uint64_t now_ns) const {
  struct Row {
    const schema::NodeStats* node;
    const DeviceStats* gpu;
    const Percents* percents;
  };
  std::vector<Row> rows;
  for (const auto& [name, node] : nodes_) {
    if (now_ns > node.heard_ns + live_silence_ns) continue;
    const auto* stats = schema::verified<schema::NodeStats>(node.newest.data);
    for (const DeviceStats* gpu : *stats->devices())
      rows.push_back({stats, gpu,
                      &node.percents.find(gpu->uuid()->string_view())->second});
  }
  if (rows.empty()) return "no node tells of its GPUs\n";
  // The head, a line that says what is left out, and one that stays empty.
  const std::size_t room = terminal.height == 0
                               ? rows.size()
                               : std::max<std::size_t>(terminal.height, 4) - 3;
  Table table = live_table();
  for (std::size_t i = 0; i < std::min(rows.size(), room); ++i)
    add_row(table, *rows[i].node, *rows[i].gpu, *rows[i].percents);
  string out = table.text(terminal);
  if (rows.size() > room)
    out += fmt::format("and {} more\n", rows.size() - room);
  else if (more_nodes_)
    out += "and further nodes\n";
  return out;
}

string screen_of(std::string_view text) {
  string out = "\033[H";
  for (const char c : text) {
    if (c == '\n') out += "\033[K";
    out += c;
  }
  return out + "\033[J";
}

}  // namespace reeve::tools
