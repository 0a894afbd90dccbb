#include "actors/agent/keeper/gpu_share.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/sandbox.hpp"
#include "gpu/share/ledger.hpp"
#include "gpu/share/mps.hpp"

namespace reeve::keeper {
namespace {

constexpr const char* directory = "/dev/reeve";
constexpr std::size_t directory_bytes = 64u << 10;
static_assert(sizeof(gpu::share::LedgerFile) <= directory_bytes);

constexpr std::uint64_t no_programs =
    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// -1 with errno.
int clone_with(const char* path, std::uint64_t attributes) {
  Fd tree(clone_tree(AT_FDCWD, path));
  mount_attr attr{};
  attr.attr_set = attributes;
  if (!tree || ::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE,
                               &attr, sizeof attr) != 0) {
    return -1;
  }
  return tree.release();
}

StepResult clone_mps(const TaskSpec& spec, ShareTrees& trees) {
  // Programs would run without MPS, and nothing would hold them to their time.
  if (!gpu::share::mps_daemon_runs(spec.mps_directory)) {
    return {Step::mps, ESRCH};
  }
  trees.mps = clone_with(spec.mps_directory.c_str(), no_programs);
  if (trees.mps >= 0) trees.shared_memory = clone_with("/dev/shm", no_programs);
  return trees.shared_memory < 0 ? StepResult{Step::mps, errno} : StepResult{};
}

// With MPS a share is a part of the multiprocessors all the time: a part of the
// time of that part would be far less than was given.
std::vector<gpu::share::DeviceShare> ledger_shares(const TaskSpec& spec) {
  auto shares = spec.gpus;
  if (spec.mps_directory.empty()) return shares;
  for (auto& share : shares) {
    share.compute_milli = gpu::share::whole_milli;
    share.begin_milli = 0;
  }
  return shares;
}

bool place_mps(int pipes) {
  Fd tree(pipes);
  return !tree || (::mkdir(share_mps_path, 0755) == 0 &&
                   move_tree(tree.get(), share_mps_path) == 0);
}

}  // namespace

StepResult clone_share(const TaskSpec& spec, ShareTrees& trees) {
  trees.library =
      clone_with(spec.share_library.c_str(),
                 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (trees.library < 0) return {Step::share, errno};
  return spec.mps_directory.empty() ? StepResult{} : clone_mps(spec, trees);
}

StepResult place_share(const TaskSpec& spec, const ShareTrees& trees) {
  Fd library(trees.library);
  bool placed =
      ::mkdir(directory, 0755) == 0 &&
      ::mount("reeve", directory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=64k,mode=755") == 0 &&
      gpu::share::Ledger::create(share_ledger_path, ledger_shares(spec))
          .has_value() &&
      ::chown(share_ledger_path, spec.uid, spec.gid) == 0 &&
      make_mount_file(share_library_path) &&
      move_tree(library.get(), share_library_path) == 0 && place_mps(trees.mps);
  return placed ? StepResult{} : StepResult{Step::share, errno};
}

}  // namespace reeve::keeper
