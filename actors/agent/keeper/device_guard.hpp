// Tells the kernel which device nodes the processes of a control group may
// open: by the devices controller of v1, or by a program on a group of v2.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/agent/keeper/device_rules.hpp"
#include "actors/agent/keeper/files.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

// The numbers of these nodes, each once and in order. A path that is no
// character device has none.
std::vector<DeviceNumber> device_numbers(const std::vector<std::string>& paths);

class DeviceGuard {
 public:
  using Program = std::shared_ptr<const Fd>;
  // What a group was told last; v2: by which program.
  struct Told {
    std::vector<DeviceNumber> given;
    Program program;
  };

  // Of groups directly below `parent`, which is one itself and has no process.
  // `io` with the reason where the kernel does not let us.
  static Expected<DeviceGuard> open(const std::string& parent, bool v2);

  // From now on processes in `group`, a directory, may open what every task
  // may and these. `told` belongs to the group: empty at first, then as it was
  // left. After an error the group may allow less than it did, and not more.
  Status set(const std::string& group, const std::vector<DeviceNumber>& given,
             std::optional<Told>& told);

 private:
  explicit DeviceGuard(bool v2) : v2_(v2) {}
  Status write_lines(const std::string& group,
                     const std::vector<DeviceNumber>& given);
  Status replace_program(const std::string& group,
                         const std::vector<DeviceNumber>& given,
                         std::optional<Told>& told);
  Expected<Program> program_for(const std::vector<DeviceNumber>& given);

  bool v2_;
  // Those in use: most tasks have no device, and one program.
  std::map<std::vector<DeviceNumber>, std::weak_ptr<const Fd>> programs_;
};

}  // namespace reeve::keeper
