// What a container engine needs to know to give containers GPUs of this host:
// a specification of the Container Device Interface (CDI) as text. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace reeve::gpu {

// The newest that Podman 4.3 takes; device names may begin with a digit in it.
inline constexpr std::string_view cdi_version = "0.5.0";
// Not nvidia.com/gpu: an engine gives no device of a kind that two files have.
inline constexpr std::string_view cdi_kind = "reeve.dev/gpu";

// A device, or one MIG instance.
struct CdiDevice {
  std::string uuid;
  std::vector<std::string> files;  // below /dev
};

struct CdiHost {
  std::vector<CdiDevice> devices;
  std::vector<std::string> common_files;  // for a container with any of them
  std::vector<std::string> libraries;     // of the driver, absolute paths
};

// As JSON, which is YAML, too. Each device has two names: its place in the list
// and its uuid. A uuid that can be no name is left out.
std::string cdi_specification(const CdiHost& host);

// The libraries of the driver that programs in a container load, by the names
// that they ask for; some by the driver's version.
std::vector<std::string> driver_library_names(std::string_view driver_version);

}  // namespace reeve::gpu
