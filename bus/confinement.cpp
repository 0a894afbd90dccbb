#include "bus/confinement.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

#include "bus/child.hpp"

namespace reeve::bus {
namespace {

namespace fs = std::filesystem;

constexpr int capability_bits = 64;

constexpr Capabilities bit(int capability) {
  return Capabilities{1} << capability;
}

// Of the calling thread; none is changed beyond what is asked for.
struct ThreadCapabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};

  bool get() { return ::syscall(SYS_capget, &header, data) == 0; }
  bool set() { return ::syscall(SYS_capset, &header, data) == 0; }
};

// While it lives, the calling thread has its user id's rights alone.
class ByUserAlone {
 public:
  ByUserAlone() {
    ThreadCapabilities fewer;
    had_ = before_.get() && fewer.get();
    fewer.data[0].effective = fewer.data[1].effective = 0;
    holds_ = had_ && fewer.set();
  }
  ~ByUserAlone() {
    if (holds_) before_.set();
  }
  ByUserAlone(const ByUserAlone&) = delete;
  ByUserAlone& operator=(const ByUserAlone&) = delete;

  bool holds() const { return holds_; }

 private:
  ThreadCapabilities before_;
  bool had_ = false;
  bool holds_ = false;
};

std::optional<uid_t> owner_of(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return std::nullopt;
  return info.st_uid;
}

// Every directory above it lets this user through, and no other user but root
// can close it later.
bool is_way_open(const fs::path& directory) {
  std::error_code error;
  fs::path above = fs::canonical(directory, error);
  while (!error && above != above.root_path()) {
    above = above.parent_path();
    const auto owner = owner_of(above);
    if (!owner || (*owner != 0 && *owner != ::geteuid())) return false;
  }
  const ByUserAlone user;
  return !error && user.holds() && owner_of(directory);
}

bool is_ours(const fs::path& file) {
  return owner_of(file) == ::geteuid();
}

bool is_all_ours(const fs::path& directory) {
  if (!is_ours(directory)) return false;
  std::error_code error;
  fs::recursive_directory_iterator at(
      directory, fs::directory_options::follow_directory_symlink, error);
  for (; !error && at != fs::recursive_directory_iterator();
       at.increment(error))
    if (!is_ours(at->path())) return false;
  return !error;
}

int first_open_port() {
  int port = 1'024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

}  // namespace

void confine_thread(Capabilities kept) {
  for (int one = 0; one < capability_bits; ++one)
    if ((kept & bit(one)) == 0 && ::prctl(PR_CAPBSET_DROP, one, 0, 0, 0) != 0)
      break;  // past the last one, or none may be dropped
  ThreadCapabilities now;
  if (now.get()) {
    // The ambient ones go with them.
    now.data[0].inheritable &= static_cast<std::uint32_t>(kept);
    now.data[1].inheritable &= static_cast<std::uint32_t>(kept >> 32);
    now.set();
  }
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

Capabilities needed_capabilities(const fs::path& directory,
                                 std::initializer_list<int> ports) {
  Capabilities needed = 0;
  if (!is_all_ours(directory))
    needed |= bit(CAP_DAC_OVERRIDE);
  else if (!is_way_open(directory))
    needed |= bit(CAP_DAC_READ_SEARCH);
  if (std::min(ports) < first_open_port()) needed |= bit(CAP_NET_BIND_SERVICE);
  return needed;
}

bool is_confined(int pid) {
  return proc_file(pid, "status").find("\nNoNewPrivs:\t0\n") ==
         std::string::npos;
}

}  // namespace reeve::bus
