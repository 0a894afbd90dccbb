#include "actors/agent/cdi_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "actors/agent/devices.hpp"
#include "actors/agent/inventory.hpp"
#include "bus/private_file.hpp"
#include "gpu/cdi.hpp"

namespace reeve::agent {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> libraries_of(const CdiFile& file,
                                      const std::string& driver_version) {
  std::vector<std::string> found;
  for (const std::string& name : gpu::driver_library_names(driver_version))
    for (const std::string& directory : file.library_directories) {
      const fs::path path = fs::path(directory) / name;
      std::error_code error;
      if (!fs::is_regular_file(path, error)) continue;
      found.push_back(path.string());
      break;
    }
  return found;
}

}  // namespace

Status keep_cdi_file(const CdiFile& file, const gpu::Inventory& found) {
  Node node;
  add_devices(found, node);
  if (node.devices.empty()) {
    if (::unlink(file.path().c_str()) == 0 || errno == ENOENT ||
        errno == ENOTDIR)
      return {};
    return fail(Errc::io, fmt::format("{} tells of GPUs that are gone, and is "
                                      "not removed: {}",
                                      file.path(), std::strerror(errno)));
  }
  gpu::CdiHost host;
  for (const NodeDevice& device : node.devices)
    host.devices.push_back({device.uuid, device.paths});
  host.common_files = common_device_paths();
  host.libraries = libraries_of(file, found.driver_version);
  // The node's own directory is for its owner alone, whoever makes it first.
  ::mkdir(fs::path(file.directory).parent_path().c_str(), 0700);
  if (::mkdir(file.directory.c_str(), 0755) != 0 && errno != EEXIST)
    return fail(Errc::io, fmt::format("{} is not made: {}", file.directory,
                                      std::strerror(errno)));
  return bus::write_private_file(file.path(), gpu::cdi_specification(host));
}

}  // namespace reeve::agent
