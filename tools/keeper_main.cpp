// reeve-keeper: holds the tasks of one node. Started by the node's agent,
// outlives it. Goes to the background when it is ready; until then its errors
// are on stderr and in its exit status.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "actors/agent/keeper/server.hpp"
#include "tools/standard_files.hpp"

namespace {

using reeve::keeper::ServerConfig;

constexpr const char* usage =
    "usage: reeve-keeper --directory DIR [--hide DIR]... [--foreground]\n"
    "Starts and watches the tasks of one node; the agent starts it.\n";

struct Options {
  ServerConfig config;
  bool foreground = false;
};

bool parse(int argc, char** argv, Options& options) {
  for (int at = 1; at < argc; ++at) {
    std::string word = argv[at];
    if (word == "--foreground") {
      options.foreground = true;
    } else if ((word == "--directory" || word == "--hide") && at + 1 < argc) {
      std::string path = argv[++at];
      if (word == "--hide") {
        options.config.hidden.push_back(path);
      } else {
        options.config.directory = path;
      }
    } else {
      std::fprintf(stderr, "reeve-keeper: \"%s\" is not understood\n%s",
                   word.c_str(), usage);
      return false;
    }
  }
  if (!options.config.directory.empty()) return true;
  std::fputs(usage, stderr);
  return false;
}

// From here on, stderr is the log; it starts anew when it has grown.
void use_log(const std::string& directory) {
  constexpr off_t log_bytes_max = 1 << 20;
  auto path = directory + "/keeper.log";
  struct stat facts {};
  bool large =
      ::stat(path.c_str(), &facts) == 0 && facts.st_size > log_bytes_max;
  int fd = ::open(path.c_str(),
                  O_WRONLY | O_CREAT | O_APPEND | (large ? O_TRUNC : 0), 0600);
  int null_fd = ::open("/dev/null", O_RDWR);
  ::dup2(null_fd, 0);
  ::dup2(null_fd, 1);
  ::dup2(fd >= 0 ? fd : null_fd, 2);
  if (fd > 2) ::close(fd);
  if (null_fd > 2) ::close(null_fd);
}

int serve_here(const ServerConfig& config, int ready_fd) {
  auto served = reeve::keeper::serve(config, [&] {
    if (ready_fd < 0) return;
    use_log(config.directory);
    (void)!::write(ready_fd, "", 1);
    ::close(ready_fd);
  });
  if (served) return 0;
  std::fprintf(stderr, "reeve-keeper: %s\n", served.error().text.c_str());
  return reeve::exit_code(served.error().code);
}

}  // namespace

int main(int argc, char** argv) {
  reeve::tools::open_standard_files(reeve::tools::ClosedOutput::is_lost);
  Options options;
  if (!parse(argc, argv, options)) return 2;
  options.config.daemon_pid = ::getppid();
  if (options.foreground) return serve_here(options.config, -1);
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) {
    std::fprintf(stderr, "reeve-keeper: making a pipe: %s\n",
                 std::strerror(errno));
    return 1;
  }
  // Unlike fork, it leaves the child one thread under the thread sanitizer too,
  // and with more the kernel lets no one into a namespace of users.
  int pid = ::_Fork();
  if (pid < 0) {
    std::fprintf(stderr, "reeve-keeper: forking: %s\n", std::strerror(errno));
    return 1;
  }
  if (pid == 0) {
    ::close(ready[0]);
    ::setsid();
    return serve_here(options.config, ready[1]);
  }
  ::close(ready[1]);
  char byte = 0;
  ssize_t got = 0;
  while ((got = ::read(ready[0], &byte, 1)) < 0 && errno == EINTR) {
  }
  return got == 1 ? 0 : 1;
}
