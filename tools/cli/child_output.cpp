#include "tools/cli/child_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

namespace reeve::tools {
namespace {

// What comes through `file` until its end.
std::string read_to_end(int file) {
  std::string out;
  char piece[1'024];
  for (ssize_t n = 0; (n = ::read(file, piece, sizeof piece)) > 0;)
    out.append(piece, std::min(static_cast<std::size_t>(n),
                               child_output_bytes_max - out.size()));
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace

Expected<std::string> output_of(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(Errc::io, "no file descriptors left");
  const pid_t child = ::fork();
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(ends[1], STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string out = child > 0 ? read_to_end(ends[0]) : std::string();
  ::close(ends[0]);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0)
    return fail(Errc::io, fmt::format("{} failed", words[0]));
  return out;
}

}  // namespace reeve::tools
