// The file that tells container engines which GPUs this host has, kept as it is
// by the watch of the GPUs.
#pragma once

#include <string>
#include <vector>

#include "cluster/error.hpp"
#include "gpu/inventory.hpp"

namespace reeve::agent {

struct CdiFile {
  std::string directory;  // made where it is not there, and the one above it
  // Where the driver's libraries are looked for, in this order.
  std::vector<std::string> library_directories = {"/usr/lib/x86_64-linux-gnu",
                                                  "/usr/lib/aarch64-linux-gnu",
                                                  "/usr/lib64", "/usr/lib"};

  std::string path() const { return directory + "/reeve.json"; }
};

// Writes it as a whole, or removes it where there is no device. Devices are in
// the order of `add_devices`.
Status keep_cdi_file(const CdiFile& file, const gpu::Inventory& found);

}  // namespace reeve::agent
