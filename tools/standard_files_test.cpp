#include "tools/standard_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <functional>

namespace reeve::tools::standard_files_test {
namespace {

// In a process of its own, which has no other way to tell.
bool holds(const std::function<bool()>& check) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(check() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool same_file(int file, const struct stat& other) {
  struct stat facts {};
  return ::fstat(file, &facts) == 0 && facts.st_dev == other.st_dev &&
         facts.st_ino == other.st_ino;
}

struct stat null_device() {
  struct stat facts {};
  ::stat("/dev/null", &facts);
  return facts;
}

bool takes(int file) {
  return ::write(file, "x", 1) == 1;
}

BOOST_AUTO_TEST_SUITE(standard_files)

BOOST_AUTO_TEST_CASE(the_null_device_stands_in_for_each_that_is_closed) {
  // Each set of them: bit N is file N.
  for (int closed = 0; closed < 8; ++closed)
    BOOST_TEST(holds([&] {
      struct stat before[3] = {};
      for (int file = 0; file < 3; ++file)
        if ((closed >> file & 1) != 0)
          ::close(file);
        else
          ::fstat(file, &before[file]);
      open_standard_files(ClosedOutput::is_lost);
      const int next = ::open("/dev/null", O_RDONLY);
      bool good = next > 2;
      for (int file = 0; file < 3; ++file)
        good =
            good && ((closed >> file & 1) != 0 ? same_file(file, null_device())
                                               : same_file(file, before[file]));
      return good;
    }));
}

BOOST_AUTO_TEST_CASE(an_input_is_at_its_end_and_output_is_lost) {
  BOOST_TEST(holds([] {
    for (int file = 0; file < 3; ++file) ::close(file);
    open_standard_files(ClosedOutput::is_lost);
    char byte = 0;
    return ::read(0, &byte, 1) == 0 && takes(1) && takes(2);
  }));
}

BOOST_AUTO_TEST_CASE(output_that_was_asked_for_is_not_lost_in_silence) {
  BOOST_TEST(holds([] {
    for (int file = 0; file < 3; ++file) ::close(file);
    open_standard_files(ClosedOutput::is_an_error);
    return !takes(1) && errno == EBADF && takes(2) &&
           same_file(1, null_device());
  }));
}

BOOST_AUTO_TEST_CASE(programs_that_are_started_inherit_them) {
  BOOST_TEST(holds([] {
    for (int file = 0; file < 3; ++file) ::close(file);
    open_standard_files(ClosedOutput::is_lost);
    for (int file = 0; file < 3; ++file)
      if (::fcntl(file, F_GETFD) != 0) return false;
    return true;
  }));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::standard_files_test
