#include "tools/cli/trace/sim_nodes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/cli/cell.hpp"

namespace reeve::tools {
namespace {

// A command stays far below its bound with nodes of 16 devices.
constexpr std::size_t nodes_per_command = 100;

flatbuffers::Offset<schema::NodeSpec> node_spec(
    flatbuffers::FlatBufferBuilder& builder, const TraceNode& node) {
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
  for (std::uint32_t i = 0; i < node.gpus; ++i) {
    const std::string uuid = fmt::format("SIM-{}-{}", node.name, i);
    devices.push_back(schema::CreateDeviceSpecDirect(
        builder, uuid.c_str(), node.gpu_model.c_str(),
        device_memory_bytes(node.gpu_model)));
  }
  std::vector<flatbuffers::Offset<schema::KeyValue>> labels;
  for (const auto& [key, value] : node.labels)
    labels.push_back(
        schema::CreateKeyValueDirect(builder, key.c_str(), value.c_str()));
  return schema::CreateNodeSpecDirect(
      builder, node.name.c_str(),
      node.group.empty() ? nullptr : node.group.c_str(), node.cpu_milli,
      node.memory_bytes, devices.empty() ? nullptr : &devices, true, nullptr,
      labels.empty() ? nullptr : &labels);
}

}  // namespace

Status register_sim_nodes(Cell& cell, const std::vector<TraceNode>& nodes) {
  for (std::size_t first = 0; first < nodes.size();
       first += nodes_per_command) {
    flatbuffers::FlatBufferBuilder builder(64 << 10);
    std::vector<flatbuffers::Offset<schema::NodeSpec>> specs;
    const std::size_t end = std::min(nodes.size(), first + nodes_per_command);
    for (std::size_t i = first; i < end; ++i)
      specs.push_back(node_spec(builder, nodes[i]));
    const auto body =
        schema::CreateRegisterNodesDirect(builder, sim_agent, nullptr, &specs);
    const auto reply =
        cell.command(builder, schema::CommandBody::RegisterNodes, body.Union());
    if (!reply) return tl::unexpected(reply.error());
  }
  return {};
}

}  // namespace reeve::tools
