// Drives the shim through every entry point it stands in for, over a driver
// made for tests (fake_cuda.cpp).
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gpu/share/ledger.hpp"

namespace reeve::gpu::share::share_test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t limit = 1'000'000'000;

struct Trial {
  Trial() {
    std::string name = fs::temp_directory_path() / "reeve-shim-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory = name;
    file = (directory / "ledger").string();
  }
  ~Trial() { fs::remove_all(directory); }

  // As of the fake device.
  static DeviceShare share() {
    DeviceShare it;
    it.uuid = "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f";
    it.memory_bytes = limit;
    return it;
  }

  Ledger make(const DeviceShare& it) {
    fs::remove(file);
    return Ledger::create(file, {it}).value();
  }

  pid_t start(const char* route, const char* what, const char* ledger) const {
    const std::string out = (directory / "out").string();
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::setenv("LD_PRELOAD", REEVE_SHARE_LIBRARY, 1);
    ::setenv("REEVE_FAKE_KERNEL_US", "1000", 1);
    if (ledger) ::setenv("REEVE_GPU_LEDGER", ledger, 1);
    const int fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(fd, 1);
    ::execl(REEVE_SHARE_PROGRAM, REEVE_SHARE_PROGRAM, route, what, nullptr);
    ::_exit(127);
  }

  int run(const char* route, const char* what, const char* ledger) const {
    int status = 0;
    const pid_t child = start(route, what, ledger);
    ::waitpid(child, &status, 0);
    return status;
  }

  long printed() const {
    long number = -1;
    std::ifstream(directory / "out") >> number;
    return number;
  }

  fs::path directory;
  std::string file;
};

constexpr const char* routes[] = {"linked", "dlsym", "proc", "proc-per-thread",
                                  "proc-v1"};

// clang-format off
constexpr const char* kinds[] = {
    "plain", "exact", "pitch", "managed", "async", "pool", "destroyed-pool",
    "captured", "broken-capture", "created", "mapped", "unreleased",
    "arrays", "mipmapped", "graphs", "executables", "instantiate-variants",
    "contexts", "heap", "heap-of-two-threads", "totals",
    "processes", "executed", "races", "races-of-pools",
    "races-of-arrays", "races-of-handles"};
// clang-format on

BOOST_FIXTURE_TEST_CASE(memory_of_every_kind_is_held_to_the_limit, Trial) {
  for (const char* route : routes)
    for (const char* what : kinds) BOOST_TEST_CONTEXT(route << " " << what) {
        const Ledger ledger = make(share());
        BOOST_TEST(run(route, what, file.c_str()) == 0);
      }
}

BOOST_FIXTURE_TEST_CASE(without_a_ledger_nothing_is_held_back, Trial) {
  for (const char* route : routes)
    BOOST_TEST(run(route, "unlimited", nullptr) == 0);
}

BOOST_FIXTURE_TEST_CASE(with_a_ledger_that_is_none_nothing_is_given, Trial) {
  std::ofstream(file) << "rubbish";
  BOOST_TEST(run("proc", "refused", file.c_str()) == 0);
  BOOST_TEST(run("proc", "refused", "/nowhere/ledger") == 0);
}

BOOST_FIXTURE_TEST_CASE(of_a_device_of_others_nothing_is_given, Trial) {
  DeviceShare it = share();
  it.uuid = "GPU-of-others";
  const Ledger ledger = make(it);
  BOOST_TEST(run("proc", "refused", file.c_str()) == 0);
}

BOOST_FIXTURE_TEST_CASE(an_instance_of_a_cut_device_is_shared_as_well, Trial) {
  DeviceShare it = share();
  it.uuid.replace(0, 3, "MIG");
  const Ledger ledger = make(it);
  BOOST_TEST(run("proc", "exact", file.c_str()) == 0);
}

BOOST_FIXTURE_TEST_CASE(a_program_that_ends_leaves_nothing_taken, Trial) {
  const Ledger ledger = make(share());
  BOOST_TEST(run("linked", "graph-left", file.c_str()) == 0);
  BOOST_TEST(ledger.used(0) == 0u);
}

// Kernels of 1 ms for 2 s. A busy machine starts fewer, never more.
BOOST_FIXTURE_TEST_CASE(kernels_keep_to_their_part_of_the_time, Trial) {
  DeviceShare it = share();
  it.compute_milli = 300;
  for (const char* route : {"linked", "proc-per-thread"}) {
    const Ledger ledger = make(it);
    BOOST_REQUIRE_EQUAL(run(route, "launches", file.c_str()), 0);
    BOOST_TEST(printed() > 100);
    BOOST_TEST(printed() < 2000 * 0.36);
  }
}

BOOST_FIXTURE_TEST_CASE(kernels_keep_to_it_in_whatever_context, Trial) {
  DeviceShare it = share();
  it.compute_milli = 300;
  for (const char* what : {"launches-reset", "launches-destroy",
                           "launches-two-contexts", "launches-lost-context"})
    BOOST_TEST_CONTEXT(what) {
      const Ledger ledger = make(it);
      BOOST_TEST(run("linked", what, file.c_str()) == 0);
      BOOST_TEST(printed() > 100);
      BOOST_TEST(printed() < 2000 * 0.36);
    }
}

}  // namespace
}  // namespace reeve::gpu::share::share_test
