#include "gpu/share/mps.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <string_view>

namespace reeve::gpu::share {
namespace {

constexpr std::string_view server_name = "nvidia-cuda-mps-server";
// As far as the kernel keeps it: 15 bytes.
constexpr std::string_view daemon_comm = "nvidia-cuda-mps";

// Others may write to that directory: a pipe in the place of a file must not
// make us wait, nor a long file take memory.
std::string head_of(const std::string& path) {
  const int fd =
      ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return "";
  char bytes[mps_file_bytes_max];
  struct stat info {};
  ssize_t got = 0;
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
    got = ::read(fd, bytes, sizeof bytes);
  ::close(fd);
  return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : "";
}

}  // namespace

bool mps_daemon_runs(const std::string& directory, const std::string& proc) {
  const std::string text = head_of(directory + "/nvidia-cuda-mps-control.pid");
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return false;
  int pid = 0;
  std::from_chars(text.data() + begin, text.data() + text.size(), pid);
  return pid > 0 && head_of(proc + "/" + std::to_string(pid) + "/comm")
                        .starts_with(daemon_comm);
}

bool is_mps_server(std::uint32_t pid, const std::string& directory,
                   const std::string& proc) {
  const std::string link = proc + "/" + std::to_string(pid) + "/exe";
  char target[PATH_MAX];
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  if (size <= 0) return false;
  std::string_view program(target, static_cast<std::size_t>(size));
  constexpr std::string_view replaced = " (deleted)";
  if (program.ends_with(replaced)) program.remove_suffix(replaced.size());
  if (program.substr(program.rfind('/') + 1) != server_name) return false;
  struct stat file {};
  struct stat owner {};
  if (::stat(link.c_str(), &file) != 0) return false;
  return file.st_uid == 0 || (::stat(directory.c_str(), &owner) == 0 &&
                              file.st_uid == owner.st_uid);
}

std::string mps_limit(const std::string& directory) {
  return "shares of GPUs go through the MPS server of " + directory +
         ", which serves one user at a time on the whole node, and a fault of "
         "one program ends all that it serves: \"reeve group set GROUP "
         "--gpu-sharing user\", and see that users take turns";
}

std::string why_no_mps(const std::string& directory) {
  if (mps_daemon_runs(directory)) return "";
  return "no share of a GPU can start: the control daemon of MPS does not run "
         "for " +
         directory + "; start it (CUDA_MPS_PIPE_DIRECTORY=" + directory +
         " nvidia-cuda-mps-control -d), or take agent.gpu_mps_dir out of the "
         "settings";
}

}  // namespace reeve::gpu::share
