#include "gpu/cdi.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace reeve::gpu {
namespace {

namespace json = boost::json;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9');
}

// Of a device, by the specification.
bool is_name(std::string_view text) {
  return !text.empty() && is_letter_or_digit(text.front()) &&
         is_letter_or_digit(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_letter_or_digit(c) ||
                  std::string_view("_-.:").find(c) != std::string_view::npos;
         });
}

// Type and numbers are those of the file on the host.
json::array nodes_of(const std::vector<std::string>& files) {
  json::array nodes;
  for (const std::string& file : files)
    nodes.push_back(json::object{{"path", file}});
  return nodes;
}

json::array mounts_of(const std::vector<std::string>& libraries) {
  json::array mounts;
  for (const std::string& library : libraries)
    mounts.push_back(
        json::object{{"hostPath", library},
                     {"containerPath", library},
                     {"options", {"ro", "nosuid", "nodev", "bind"}}});
  return mounts;
}

json::object device_of(std::string_view name, const CdiDevice& device) {
  return {{"name", name},
          {"containerEdits", {{"deviceNodes", nodes_of(device.files)}}}};
}

// For a container with any device. NVIDIA's own runtime, where an engine uses
// it, is told to add nothing.
json::object edits_of(const CdiHost& host) {
  json::object edits{
      {"env", json::array{"NVIDIA_VISIBLE_DEVICES=void"}},
      {"deviceNodes", nodes_of(host.common_files)},
  };
  if (!host.libraries.empty()) edits["mounts"] = mounts_of(host.libraries);
  return edits;
}

}  // namespace

std::string cdi_specification(const CdiHost& host) {
  json::array devices;
  for (std::size_t i = 0; i < host.devices.size(); ++i) {
    const CdiDevice& device = host.devices[i];
    devices.push_back(device_of(fmt::format("{}", i), device));
    if (is_name(device.uuid)) devices.push_back(device_of(device.uuid, device));
  }
  const json::object all{{"cdiVersion", cdi_version},
                         {"kind", cdi_kind},
                         {"devices", std::move(devices)},
                         {"containerEdits", edits_of(host)}};
  return json::serialize(all) + '\n';
}

std::vector<std::string> driver_library_names(std::string_view driver_version) {
  std::vector<std::string> names = {
      "libcuda.so.1",          "libcudadebugger.so.1",
      "libnvidia-ml.so.1",     "libnvidia-ptxjitcompiler.so.1",
      "libnvidia-nvvm.so.4",   "libnvidia-allocator.so.1",
      "libnvidia-cfg.so.1",    "libnvidia-opencl.so.1",
      "libnvidia-encode.so.1", "libnvcuvid.so.1"};
  if (!driver_version.empty())
    names.push_back(fmt::format("libnvidia-gpucomp.so.{}", driver_version));
  return names;
}

}  // namespace reeve::gpu
