#include "actors/agent/keeper/gpu_share.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/sandbox.hpp"
#include "gpu/share/ledger.hpp"

namespace reeve::keeper {
namespace {

constexpr const char* directory = "/dev/reeve";
constexpr std::size_t directory_bytes = 64u << 10;
static_assert(sizeof(gpu::share::LedgerFile) <= directory_bytes);

}  // namespace

int clone_share_library(const std::string& path) {
  Fd tree(clone_tree(AT_FDCWD, path.c_str()));
  if (!tree) return -1;
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attr, sizeof attr) != 0) {
    return -1;
  }
  return tree.release();
}

StepResult place_share(const TaskSpec& spec, int library) {
  Fd tree(library);
  bool placed =
      ::mkdir(directory, 0755) == 0 &&
      ::mount("reeve", directory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=64k,mode=755") == 0 &&
      gpu::share::Ledger::create(share_ledger_path, spec.gpus).has_value() &&
      ::chown(share_ledger_path, spec.uid, spec.gid) == 0 &&
      make_mount_file(share_library_path) &&
      move_tree(tree.get(), share_library_path) == 0;
  return placed ? StepResult{} : StepResult{Step::share, errno};
}

}  // namespace reeve::keeper
