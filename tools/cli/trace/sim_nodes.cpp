#include "tools/cli/trace/sim_nodes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cluster/units.hpp"
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
  return schema::CreateNodeSpecDirect(
      builder, node.name.c_str(), nullptr, node.cpu_milli, node.memory_bytes,
      devices.empty() ? nullptr : &devices, true);
}

}  // namespace

std::vector<TraceNode> made_up_nodes(std::uint32_t count) {
  std::vector<TraceNode> out;
  for (std::uint32_t i = 0; i < count; ++i)
    out.push_back(
        {fmt::format("sim-{:04}", i), 64'000, 512ull << 30, 8, "A100"});
  return out;
}

Expected<std::string> read_text_file(const std::string& path) {
  std::error_code broken;
  const auto size = std::filesystem::file_size(path, broken);
  if (broken)
    return fail(Errc::not_found,
                fmt::format("cannot read {}: {}", path, broken.message()));
  if (size > text_file_bytes_max)
    return fail(Errc::usage, fmt::format("{} has {} bytes; at most {} are read",
                                         path, size, text_file_bytes_max));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in && size > 0) text << in.rdbuf();
  if (!in)
    return fail(Errc::not_found,
                fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return std::move(text).str();
}

Expected<std::vector<TraceNode>> read_sim_nodes(const std::string& text) {
  const bool number = !text.empty() &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  if (number) {
    const auto count =
        parse_count(text, "number of simulated nodes", 1, sim_nodes_max);
    if (!count) return tl::unexpected(count.error());
    return made_up_nodes(static_cast<std::uint32_t>(*count));
  }
  const auto file = read_text_file(text);
  if (!file) return tl::unexpected(file.error());
  return parse_openb_nodes(*file, text);
}

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
