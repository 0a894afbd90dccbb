#include "actors/agent/core_launch.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/units.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {
namespace {

using schema::text;

// What the order sets stands for itself; what we set comes last and wins.
class Environment {
 public:
  void given(const schema::TaskOrder& order) {
    if (!order.env()) return;
    lines_.reserve(order.env()->size() + 20);
    for (const auto* pair : *order.env()) {
      const std::string_view key = text(pair->key());
      if (key.empty() || key.find('=') != std::string_view::npos) continue;
      has_path_ = has_path_ || key == "PATH";
      lines_.push_back(fmt::format("{}={}", key, text(pair->value())));
    }
    given_ = lines_.size();
    if (!has_path_) set("PATH", search_path_default);
  }

  // As the order has it; empty: it does not.
  std::string_view get(std::string_view key) const {
    for (std::size_t i = 0; i < given_; ++i) {
      const std::string_view line = lines_[i];
      if (line.size() > key.size() && line[key.size()] == '=' &&
          line.starts_with(key))
        return line.substr(key.size() + 1);
    }
    return {};
  }

  template <class Value>
  void set(std::string_view key, const Value& value) {
    for (std::size_t i = 0; i < given_; ++i) {
      std::string& line = lines_[i];
      if (line.size() <= key.size() || line[key.size()] != '=' ||
          !line.starts_with(key))
        continue;
      line = fmt::format("{}={}", key, value);
      return;
    }
    lines_.push_back(fmt::format("{}={}", key, value));
  }

  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
  std::size_t given_ = 0;
  bool has_path_ = false;
};

void set_places(const schema::TaskOrder& order, Environment& environment) {
  const std::string_view node = text(order.node());
  const std::string_view master = text(order.master_node());
  const bool here = master.empty() || master == node;
  environment.set("RANK", order.rank());
  environment.set("WORLD_SIZE", std::max(1u, order.world_size()));
  environment.set("LOCAL_RANK", order.local_rank());
  environment.set("MASTER_ADDR", here ? std::string_view("127.0.0.1") : master);
  environment.set("MASTER_PORT", master_port(order.session()));
  environment.set("REEVE_SESSION_ID", fmt::format("s-{}", order.session()));
  environment.set("REEVE_SESSION_NAME", text(order.name()));
  environment.set("REEVE_ATTEMPT", order.attempt());
  environment.set("REEVE_RANK", order.rank());
  environment.set("REEVE_TASKS", std::max(1u, order.world_size()));
  environment.set("REEVE_NODE", node);
  environment.set("REEVE_USER", text(order.user()));
  environment.set("REEVE_CPUS",
                  order.cpu_milli() % 1000 == 0
                      ? fmt::format("{}", order.cpu_milli() / 1000)
                      : fmt::format("{:.3f}", order.cpu_milli() / 1000.0));
  environment.set("REEVE_MEMORY_BYTES", order.memory_bytes());
}

// A control daemon of MPS does not serve instances, and who has a whole device
// needs no part of it.
bool uses_mps(const Node& node, const keeper::TaskSpec& spec) {
  const auto is_part = [&](const auto& share) {
    return !share.whole() &&
           std::none_of(node.devices.begin(), node.devices.end(),
                        [&](const NodeDevice& device) {
                          return device.uuid == share.uuid &&
                                 !device.mig_of.empty();
                        });
  };
  return !node.mps_directory.empty() &&
         std::all_of(spec.gpus.begin(), spec.gpus.end(), is_part);
}

// What CUDA in the task's programs tells MPS: one part of the multiprocessors
// for all devices, and the memory of each, by its place among the visible ones.
void set_mps(const Node& node, Environment& environment,
             keeper::TaskSpec& spec) {
  constexpr std::uint32_t milli_per_percent = 10;
  constexpr std::uint64_t mib = 1ull << 20;
  std::uint32_t milli = 0;
  std::string memory;
  for (std::size_t i = 0; i < spec.gpus.size(); ++i) {
    const auto& share = spec.gpus[i];
    milli = std::max(milli, share.compute_milli);
    memory += fmt::format("{}{}={}M", i == 0 ? "" : ",", i,
                          (share.memory_bytes + mib - 1) / mib);
  }
  spec.mps_directory = node.mps_directory;
  environment.set("CUDA_MPS_PIPE_DIRECTORY", keeper::share_mps_path);
  environment.set("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
                  (milli + milli_per_percent - 1) / milli_per_percent);
  environment.set("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", memory);
}

// What holds the task to its shares is in each of its programs.
Status share_devices(const Node& node, Environment& environment,
                     keeper::TaskSpec& spec) {
  const auto part =
      std::find_if(spec.gpus.begin(), spec.gpus.end(),
                   [](const auto& device) { return !device.whole(); });
  if (part == spec.gpus.end()) return {};
  if (node.share_library.empty())
    return fail(
        Errc::unsupported,
        fmt::format("{} GPU of {} was granted, but node {} gives GPUs "
                    "whole: the library for shares is not installed "
                    "beside its programs",
                    format_milli(part->compute_milli), part->uuid, node.name));
  spec.share_library = node.share_library;
  environment.set("REEVE_GPU_LEDGER", keeper::share_ledger_path);
  const std::string also(environment.get("LD_PRELOAD"));
  environment.set("LD_PRELOAD",
                  fmt::format("{}{}{}", keeper::share_library_path,
                              also.empty() ? "" : ":", also));
  if (uses_mps(node, spec)) set_mps(node, environment, spec);
  return {};
}

Status grant_devices(const schema::TaskOrder& order, const Node& node,
                     Environment& environment, keeper::TaskSpec& spec) {
  std::string visible;
  for (std::uint32_t i = 0; order.devices() && i < order.devices()->size();
       ++i) {
    const schema::DeviceGrant& grant = *order.devices()->Get(i);
    const std::string_view uuid = text(grant.uuid());
    const auto found = std::find_if(
        node.devices.begin(), node.devices.end(),
        [&](const NodeDevice& device) { return device.uuid == uuid; });
    if (found == node.devices.end())
      return fail(Errc::unsupported,
                  fmt::format("device {} was granted, but node {} has no such "
                              "device (any more)",
                              uuid, node.name));
    if (!visible.empty()) visible += ',';
    visible += uuid;
    if (spec.device_paths.empty()) spec.device_paths = node.common_device_paths;
    spec.device_paths.insert(spec.device_paths.end(), found->paths.begin(),
                             found->paths.end());
    spec.gpus.push_back({found->uuid, grant.memory_bytes(), grant.milli()});
  }
  environment.set("CUDA_VISIBLE_DEVICES", visible);
  return share_devices(node, environment, spec);
}

}  // namespace

std::uint32_t master_port(std::uint64_t session) {
  return master_port_first +
         static_cast<std::uint32_t>(session % master_port_count);
}

Expected<keeper::TaskSpec> task_spec(const schema::TaskOrder& order,
                                     Epoch epoch, const Node& node,
                                     std::uint64_t output_bytes_max) {
  keeper::TaskSpec spec;
  spec.key = {order.session(), order.attempt(), order.rank()};
  spec.epoch = epoch.value;
  if (order.argv())
    for (const auto* word : *order.argv()) spec.argv.push_back(word->str());
  spec.workdir = text(order.workdir());
  spec.workdir_optional = order.workdir_optional();
  spec.uid = order.uid();
  spec.gid = order.gid();
  spec.memory_bytes = order.memory_bytes();
  // Who asked for none gets the least there is, and not all.
  spec.cpu_milli = std::max(order.cpu_milli(), keeper::cpu_milli_min);
  spec.output_bytes_max = output_bytes_max;
  spec.cut_off_ns = order.cut_off_ns();
  Environment environment;
  environment.given(order);
  set_places(order, environment);
  if (auto granted = grant_devices(order, node, environment, spec); !granted)
    return tl::unexpected(granted.error());
  spec.env = environment.take();
  return spec;
}

}  // namespace reeve::agent
