#include "cluster/node_spec.hpp"

#include <algorithm>

#include "schema/wire.hpp"

namespace reeve::cluster {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;

std::size_t device_count(const schema::NodeSpec& spec) {
  return spec.devices() ? spec.devices()->size() : 0;
}

bool same_links(const Device& known, const schema::DeviceSpec& device) {
  const auto* links = device.links();
  if (!links) return known.links.empty();
  return std::equal(known.links.begin(), known.links.end(), links->begin(),
                    links->end(), [](schema::DeviceLink a, auto b) {
                      return a == static_cast<schema::DeviceLink>(b);
                    });
}

bool same_devices(const Node& node, const schema::NodeSpec& spec) {
  if (device_count(spec) != node.devices.size()) return false;
  for (std::size_t i = 0; i < node.devices.size(); ++i)
    if (!same_device(node.devices[i], spec, i) ||
        !same_links(node.devices[i],
                    *spec.devices()->Get(static_cast<unsigned>(i))))
      return false;
  return true;
}

bool same_limits(const Node& node, const schema::NodeSpec& spec) {
  const std::size_t count = spec.limits() ? spec.limits()->size() : 0;
  if (count != node.limits.size()) return false;
  for (std::size_t i = 0; i < count; ++i)
    if (schema::text(spec.limits()->Get(static_cast<unsigned>(i))) !=
        node.limits[i])
      return false;
  return true;
}

flatbuffers::Offset<schema::DeviceSpec> build_device(Builder& builder,
                                                     const Device& device) {
  const auto uuid = builder.CreateString(device.uuid);
  const auto model = builder.CreateString(device.model);
  const auto links =
      device.links.empty() ? 0 : builder.CreateVector(device.links);
  const auto mig_of = build_text(builder, device.mig_of);
  return schema::CreateDeviceSpec(builder, uuid, model, device.memory_bytes,
                                  device.numa_node, links, mig_of);
}

flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<schema::KeyValue>>>
build_labels(Builder& builder, const Labels& labels) {
  return build_pairs(builder, {labels.begin(), labels.end()});
}

flatbuffers::Offset<schema::DeviceSpec> copy_device(
    Builder& builder, const schema::DeviceSpec& device) {
  const auto uuid = builder.CreateString(device.uuid());
  const auto model = builder.CreateString(device.model());
  const auto links =
      device.links() && device.links()->size() > 0
          ? builder.CreateVector(device.links()->data(), device.links()->size())
          : 0;
  const auto mig_of = build_text(builder, schema::text(device.mig_of()));
  return schema::CreateDeviceSpec(builder, uuid, model, device.memory_bytes(),
                                  device.numa_node(), links, mig_of);
}

}  // namespace

std::string_view group_of(const schema::NodeSpec& spec) {
  return spec.group() ? schema::text(spec.group())
                      : std::string_view("default");
}

flatbuffers::Offset<schema::NodeSpec> build_node(Builder& builder,
                                                 const Node& node) {
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
  for (const Device& device : node.devices)
    devices.push_back(build_device(builder, device));
  const auto list = devices.empty() ? 0 : builder.CreateVector(devices);
  const auto limits =
      build_texts(builder, {node.limits.begin(), node.limits.end()});
  const auto labels = build_labels(builder, node.labels);
  const auto name = builder.CreateString(node.name);
  const auto group = builder.CreateString(node.group);
  return schema::CreateNodeSpec(builder, name, group, node.cpu_milli,
                                node.memory_bytes, list, node.simulated, limits,
                                labels);
}

flatbuffers::Offset<schema::NodeSpec> copy_node(Builder& builder,
                                                const schema::NodeSpec& spec) {
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
  if (spec.devices())
    for (const auto* device : *spec.devices())
      devices.push_back(copy_device(builder, *device));
  const auto list = devices.empty() ? 0 : builder.CreateVector(devices);
  std::vector<std::string_view> limits;
  if (spec.limits())
    for (const auto* limit : *spec.limits())
      limits.push_back(schema::text(limit));
  const auto limit_list = build_texts(builder, limits);
  const auto labels = build_labels(builder, labels_of(spec.labels()));
  const auto name = builder.CreateString(spec.name());
  const auto group = build_text(builder, group_of(spec));
  return schema::CreateNodeSpec(builder, name, group, spec.cpu_milli(),
                                spec.memory_bytes(), list, spec.simulated(),
                                limit_list, labels);
}

flatbuffers::Offset<schema::DeviceQuarantine> build_quarantine(
    Builder& builder, std::string_view uuid, const Quarantine& quarantine) {
  const auto text = builder.CreateString(uuid.data(), uuid.size());
  const auto reason = build_text(builder, quarantine.reason);
  return schema::CreateDeviceQuarantine(
      builder, quarantine.device, text, reason, quarantine.since.value,
      quarantine.by_agent, quarantine.for_test);
}

flatbuffers::Offset<
    flatbuffers::Vector<flatbuffers::Offset<schema::DeviceQuarantine>>>
build_quarantines(Builder& builder, const Quarantines& quarantines) {
  std::vector<flatbuffers::Offset<schema::DeviceQuarantine>> list;
  for (const auto& [uuid, one] : quarantines)
    list.push_back(build_quarantine(builder, uuid, one));
  return list.empty() ? 0 : builder.CreateVector(list);
}

bool same_device(const Device& known, const schema::NodeSpec& spec,
                 std::size_t index) {
  if (index >= device_count(spec)) return false;
  const auto* device = spec.devices()->Get(static_cast<unsigned>(index));
  return schema::text(device->uuid()) == known.uuid &&
         schema::text(device->model()) == known.model &&
         device->memory_bytes() == known.memory_bytes &&
         device->numa_node() == known.numa_node &&
         schema::text(device->mig_of()) == known.mig_of;
}

bool same_inventory(const Node& node, std::string_view agent,
                    const schema::NodeSpec& spec) {
  return node.agent == agent && node.group == group_of(spec) &&
         node.cpu_milli == spec.cpu_milli() &&
         node.memory_bytes == spec.memory_bytes() &&
         node.simulated == spec.simulated() && same_devices(node, spec) &&
         same_limits(node, spec) && node.labels == labels_of(spec.labels());
}

std::size_t text_bytes(const schema::NodeSpec& spec) {
  std::size_t bytes =
      schema::text(spec.name()).size() + schema::text(spec.group()).size();
  if (spec.devices())
    for (const auto* device : *spec.devices())
      bytes += schema::text(device->uuid()).size() +
               schema::text(device->model()).size() +
               schema::text(device->mig_of()).size();
  if (spec.limits())
    for (const auto* limit : *spec.limits())
      bytes += schema::text(limit).size();
  if (spec.labels())
    for (const auto* label : *spec.labels())
      bytes += schema::text(label->key()).size() +
               schema::text(label->value()).size();
  return bytes;
}

NodeFacts facts_of(const Node& node) {
  NodeFacts facts{node.name,
                  &node.labels,
                  node.cpu_milli,
                  static_cast<std::uint32_t>(node.devices.size()),
                  {}};
  for (const Device& device : node.devices)
    if (std::find(facts.gpu_models.begin(), facts.gpu_models.end(),
                  device.model) == facts.gpu_models.end())
      facts.gpu_models.emplace_back(device.model);
  return facts;
}

}  // namespace reeve::cluster
