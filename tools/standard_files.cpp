#include "tools/standard_files.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace reeve::tools {

void open_standard_files(ClosedOutput output) {
  for (int file = STDIN_FILENO; file <= STDERR_FILENO; ++file) {
    if (::fcntl(file, F_GETFD) >= 0) continue;
    // Open for reading alone, it refuses what is written.
    const bool refuses =
        file == STDOUT_FILENO && output == ClosedOutput::is_an_error;
    // Those below are open: it gets this number. Programs that are started
    // inherit it. Without it nothing may be opened, and nobody can be told.
    if (::open("/dev/null", refuses ? O_RDONLY : O_RDWR) != file) ::_exit(1);
  }
}

}  // namespace reeve::tools
