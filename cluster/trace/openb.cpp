// The openb format (Alibaba, CSV): requests and nodes.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "cluster/trace/rows.hpp"
#include "cluster/trace/trace.hpp"
#include "cluster/types.hpp"

namespace reeve {
namespace {

using std::string_view;
using trace::Rows;

constexpr std::uint64_t mebibyte = 1 << 20;
constexpr std::uint64_t gibibyte = 1 << 30;

std::vector<std::string> split_models(string_view text) {
  std::vector<std::string> models;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('|'), text.size());
    std::string model(text.substr(0, end));
    if (!model.empty() &&
        std::find(models.begin(), models.end(), model) == models.end())
      models.push_back(std::move(model));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return models;
}

namespace request {
enum { name, cpu, memory, gpus, share, models, created, deleted, scheduled };
constexpr string_view columns[] = {
    "name",     "cpu_milli",     "memory_mib",    "num_gpu",       "gpu_milli",
    "gpu_spec", "creation_time", "deletion_time", "scheduled_time"};
constexpr std::size_t required = models;
}  // namespace request

Status read_times(const Rows& rows, TraceRequest& out) {
  const auto created = rows.seconds(request::created);
  if (!created) return tl::unexpected(created.error());
  const auto deleted = rows.seconds(request::deleted);
  if (!deleted) return tl::unexpected(deleted.error());
  const auto scheduled = rows.seconds(request::scheduled);
  if (!scheduled) return tl::unexpected(scheduled.error());
  if (*created >= 0) out.arrival_ns = trace::nanoseconds(*created);
  const double started = *scheduled >= 0 ? *scheduled : *created;
  if (started >= 0 && *deleted > started)
    out.duration_ns = trace::nanoseconds(*deleted - started);
  if (*created >= 0 && *scheduled >= *created)
    out.waited_ns = trace::nanoseconds(*scheduled - *created);
  return {};
}

Expected<TraceRequest> read_request(const Rows& rows) {
  TraceRequest out;
  out.name = rows.text(request::name);
  if (out.name.empty()) return rows.error(request::name, "a name is expected");
  const auto cpu = rows.number(request::cpu, UINT32_MAX);
  if (!cpu) return tl::unexpected(cpu.error());
  const auto memory = rows.number(request::memory, UINT64_MAX / mebibyte);
  if (!memory) return tl::unexpected(memory.error());
  const auto gpus = rows.number(request::gpus, trace_gpus_max);
  if (!gpus) return tl::unexpected(gpus.error());
  const auto share = rows.number(request::share, milli_per_device);
  if (!share) return tl::unexpected(share.error());
  if (*gpus > 0 && *share == 0)
    return rows.error(request::share, "a share of 0 of a GPU");
  out.cpu_milli = static_cast<std::uint32_t>(*cpu);
  out.memory_bytes = *memory * mebibyte;
  out.gpus = static_cast<std::uint32_t>(*gpus);
  if (*gpus > 0) out.gpu_milli = static_cast<std::uint32_t>(*share);
  if (*gpus > 0) out.gpu_models = split_models(rows.text(request::models));
  if (auto times = read_times(rows, out); !times)
    return tl::unexpected(times.error());
  return out;
}

namespace node {
enum { name, cpu, memory, gpus, model, group, labels };
constexpr string_view columns[] = {"sn",    "cpu_milli", "memory_mib", "gpu",
                                   "model", "group",     "labels"};
constexpr std::size_t required = group;
}  // namespace node

// "rack=r1 disk=nvme"
Expected<Labels> read_labels(const Rows& rows) {
  Labels out;
  string_view text = rows.text(node::labels);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    const std::size_t equals = std::min(word.find('='), word.size());
    const string_view key = word.substr(0, equals);
    if (equals == word.size() || !check_label_key(key))
      return rows.error(
          node::labels,
          fmt::format("\"{}\" is no label; write KEY=VALUE", word));
    out.emplace_back(key, word.substr(equals + 1));
  }
  return out;
}

Expected<TraceNode> read_node(const Rows& rows) {
  TraceNode out;
  out.name = rows.text(node::name);
  if (out.name.empty()) return rows.error(node::name, "a name is expected");
  const auto cpu = rows.number(node::cpu, UINT32_MAX);
  if (!cpu) return tl::unexpected(cpu.error());
  const auto memory = rows.number(node::memory, UINT64_MAX / mebibyte);
  if (!memory) return tl::unexpected(memory.error());
  const auto gpus = rows.number(node::gpus, trace_gpus_max);
  if (!gpus) return tl::unexpected(gpus.error());
  out.cpu_milli = static_cast<std::uint32_t>(*cpu);
  out.memory_bytes = *memory * mebibyte;
  out.gpus = static_cast<std::uint32_t>(*gpus);
  out.gpu_model = rows.text(node::model);
  out.group = rows.text(node::group);
  auto labels = read_labels(rows);
  if (!labels) return tl::unexpected(labels.error());
  out.labels = std::move(*labels);
  if (out.gpus > 0 && out.gpu_model.empty())
    return rows.error(node::model, "a node with GPUs needs their model");
  return out;
}

}  // namespace

Expected<Trace> parse_openb(string_view text, string_view file) {
  Rows rows(text, file);
  if (auto good = rows.header(request::columns, request::required); !good)
    return tl::unexpected(good.error());
  Trace out;
  for (;;) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return out;
    auto request = read_request(rows);
    if (!request) return tl::unexpected(request.error());
    out.requests.push_back(std::move(*request));
  }
}

Expected<std::vector<TraceNode>> parse_openb_nodes(string_view text,
                                                   string_view file) {
  Rows rows(text, file);
  if (auto good = rows.header(node::columns, node::required); !good)
    return tl::unexpected(good.error());
  std::vector<TraceNode> out;
  std::unordered_set<std::string> names;
  for (;;) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return out;
    auto read = read_node(rows);
    if (!read) return tl::unexpected(read.error());
    if (!names.insert(read->name).second)
      return rows.error(node::name,
                        fmt::format("node \"{}\" stands twice", read->name));
    if (out.size() == trace_nodes_max)
      return rows.error(node::name,
                        fmt::format("more than {} nodes", trace_nodes_max));
    out.push_back(std::move(*read));
  }
}

std::vector<TraceNode> made_up_nodes(std::uint32_t count, string_view prefix,
                                     string_view gpu_model, string_view group) {
  std::vector<TraceNode> out;
  for (std::uint32_t i = 0; i < count; ++i)
    out.push_back({fmt::format("{}{:04}", prefix, i), 64'000, 512 * gibibyte, 8,
                   std::string(gpu_model), std::string(group)});
  return out;
}

std::uint64_t device_memory_bytes(string_view model) {
  struct Known {
    string_view model;
    std::uint64_t gib;
  };
  // G2 and G3 are anonymous in the published trace: their figures are a guess.
  static constexpr Known known[] = {
      {"P100", 16}, {"T4", 16},   {"V100M16", 16}, {"V100M32", 32},
      {"G2", 24},   {"A10", 24},  {"G3", 32},      {"A100", 80},
      {"H100", 80}, {"H200", 141}};
  for (const auto& entry : known)
    if (entry.model == model) return entry.gib * gibibyte;
  return 16 * gibibyte;
}

}  // namespace reeve
