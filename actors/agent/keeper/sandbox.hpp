// The file system a task sees: the host's root, read-only, with a minimal
// /dev. It is built once as a mount namespace that every task copies; only
// /proc, /tmp and /dev/shm are made per task.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/step.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

class RootTemplate {
 public:
  // `hidden` are directories that tasks must not see: the keeper's own, and
  // those with the cell's credentials.
  explicit RootTemplate(std::vector<std::string> hidden);

  // A descriptor of the namespace, built anew when the host's mounts have
  // changed since. Owned by this object.
  Expected<int> current();

 private:
  Status build();
  bool host_mounts_changed();

  std::vector<std::string> hidden_;
  Fd mountinfo_;
  Fd mounts_;             // the namespace
  bool outdated_ = true;  // the host's mounts have changed since it was built
};

// The following run in a child that is alone in its address space.

// A detached copy of the tree at a host path, to be moved into a task's root.
// Returns the descriptor, or -1 with errno.
int clone_tree(int directory, const char* path);
// Puts a detached tree in its place. 0, or -1 with errno.
int move_tree(int tree, const char* target);
// No device nodes and no setuid programs below a detached tree.
int forbid_devices(int tree);

// A mount point for one file, in directories of its own if need be.
bool make_mount_file(const std::string& path);

// A fresh /dev with the standard nodes, pseudo terminals and `devices`, in the
// current mount namespace. `trees` holds a clone_tree of each standard node,
// then one of each device.
StepResult make_dev(const std::vector<int>& trees,
                    const std::vector<std::string>& devices);
// Nothing can be made in /dev any more.
StepResult seal_dev();
// In /proc only what belongs to processes can be written any more, as the names
// of threads; what is the kernel's cannot.
StepResult seal_proc();
// clone_tree of the standard nodes, in the order make_dev wants them.
StepResult clone_standard_nodes(std::vector<int>& trees);

// Covers a directory with an empty one; 0, or -1 with errno. One that does not
// exist needs no cover.
int hide(const std::string& path);
// Whether `path` is `directory` or lies below it.
bool is_within(const std::string& path, const std::string& directory);

// mkdir -p; true when the directory is there.
bool make_directories(const std::string& path);

}  // namespace reeve::keeper
