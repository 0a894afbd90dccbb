#include "actors/agent/gpu_stats.hpp"

#include <algorithm>
#include <optional>

#include "actors/agent/core.hpp"
#include "cluster/limits.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;

std::optional<std::uint32_t> index_of(const Node& node,
                                      const std::string& uuid) {
  for (std::size_t i = 0; i < node.devices.size(); ++i)
    if (node.devices[i].uuid == uuid) return static_cast<std::uint32_t>(i);
  return std::nullopt;
}

template <class Put, class Value>
void add(schema::DeviceStatsBuilder& to, Put put,
         const std::optional<Value>& value) {
  if (value) (to.*put)(*value);
}

void add_load(schema::DeviceStatsBuilder& to, const gpu::Sample& from) {
  using To = schema::DeviceStatsBuilder;
  add(to, &To::add_gpu_percent, from.gpu_percent);
  add(to, &To::add_memory_percent, from.memory_percent);
  add(to, &To::add_memory_used_bytes, from.memory_used_bytes);
  add(to, &To::add_memory_total_bytes, from.memory_total_bytes);
  add(to, &To::add_power_mw, from.power_mw);
  add(to, &To::add_temperature_c, from.temperature_c);
  add(to, &To::add_sm_clock_mhz, from.sm_clock_mhz);
  add(to, &To::add_memory_clock_mhz, from.memory_clock_mhz);
}

void add_rest(schema::DeviceStatsBuilder& to, const gpu::Sample& from) {
  using To = schema::DeviceStatsBuilder;
  add(to, &To::add_energy_mj, from.energy_mj);
  add(to, &To::add_memory_temperature_c, from.memory_temperature_c);
  add(to, &To::add_pcie_generation, from.pcie_generation);
  add(to, &To::add_pcie_width, from.pcie_width);
  add(to, &To::add_pcie_sent_bytes_per_s, from.pcie_sent_bytes_per_s);
  add(to, &To::add_pcie_received_bytes_per_s, from.pcie_received_bytes_per_s);
  add(to, &To::add_nvlink_sent_bytes, from.nvlink_sent_bytes);
  add(to, &To::add_nvlink_received_bytes, from.nvlink_received_bytes);
  add(to, &To::add_ecc_corrected, from.ecc_corrected);
  add(to, &To::add_ecc_uncorrected, from.ecc_uncorrected);
  add(to, &To::add_ecc_corrected_ever, from.ecc_corrected_ever);
  add(to, &To::add_ecc_uncorrected_ever, from.ecc_uncorrected_ever);
  add(to, &To::add_rows_remapped_corrected, from.rows_remapped_corrected);
  add(to, &To::add_rows_remapped_uncorrected, from.rows_remapped_uncorrected);
  add(to, &To::add_row_remap_pending, from.row_remap_pending);
  add(to, &To::add_row_remap_failed, from.row_remap_failed);
  to.add_processes(static_cast<std::uint32_t>(from.processes.size()));
}

using Programs = flatbuffers::Vector<flatbuffers::Offset<schema::ProgramStats>>;

flatbuffers::Offset<Programs> program_stats(
    Builder& builder, const std::vector<gpu::ProcessUse>& all,
    std::size_t most) {
  std::vector<flatbuffers::Offset<schema::ProgramStats>> list;
  for (std::size_t i = 0; i < std::min(all.size(), most); ++i) {
    schema::ProgramStatsBuilder to(builder);
    to.add_pid(all[i].pid);
    if (all[i].memory_bytes) to.add_memory_bytes(*all[i].memory_bytes);
    list.push_back(to.Finish());
  }
  return builder.CreateVector(list);
}

flatbuffers::Offset<schema::DeviceStats> device_stats(
    Builder& builder, const Node& node, const WatchedGpu& gpu,
    std::size_t programs_most) {
  const gpu::Sample& now = gpu.now;
  const auto uuid = builder.CreateString(now.uuid);
  const auto model = builder.CreateSharedString(gpu.model);
  const auto lost =
      builder.CreateString(now.lost.substr(0, fact_detail_bytes_max));
  std::vector<flatbuffers::Offset<flatbuffers::String>> names;
  for (const gpu::Throttle reason : now.throttles) {
    const std::string_view text = gpu::name(reason);
    names.push_back(builder.CreateSharedString(text.data(), text.size()));
  }
  const auto throttles = builder.CreateVector(names);
  const auto programs =
      program_stats(builder, gpu.thorough.processes, programs_most);
  schema::DeviceStatsBuilder to(builder);
  using To = schema::DeviceStatsBuilder;
  to.add_uuid(uuid);
  if (!gpu.model.empty()) to.add_model(model);
  add(to, &To::add_index, index_of(node, now.uuid));
  add(to, &To::add_minor, gpu.minor);
  add(to, &To::add_xid_last, gpu.last_xid);
  to.add_xids(gpu.xids);
  if (!now.lost.empty()) {
    to.add_lost(lost);
    return to.Finish();
  }
  to.add_throttles(throttles);
  add_load(to, now);
  add_rest(to, gpu.thorough);
  to.add_programs(programs);
  return to.Finish();
}

}  // namespace

std::vector<std::byte> node_stats(const std::string& agent, const Node& node,
                                  const std::vector<WatchedGpu>& gpus,
                                  Time now) {
  Builder builder;
  std::vector<flatbuffers::Offset<schema::DeviceStats>> devices;
  const std::size_t count =
      std::min<std::size_t>(gpus.size(), cluster::devices_per_node_max);
  for (std::size_t i = 0; i < count; ++i)
    devices.push_back(
        device_stats(builder, node, gpus[i], programs_told_max / count));
  const auto agent_text = builder.CreateString(agent);
  const auto node_text = builder.CreateString(node.name);
  const auto list = builder.CreateVector(devices);
  const schema::Bytes bytes = schema::finish(
      builder,
      schema::CreateNodeStats(builder, agent_text, node_text, now.value, list));
  return {bytes.begin(), bytes.end()};
}

}  // namespace reeve::agent
