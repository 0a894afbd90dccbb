#include "actors/agent/gpu_use.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/types.hpp"

namespace reeve::agent::gpu_use_test {
namespace {

namespace fs = std::filesystem;

const std::string code = "7f00-7f10 r-xp 00000000 fe:00 1054658   ";

// Files like those of /proc.
struct Processes {
  Processes() {
    std::string name = fs::temp_directory_path() / "reeve-proc-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    proc = name;
  }
  ~Processes() { fs::remove_all(proc); }

  fs::path place(int pid) const {
    const fs::path made = fs::path(proc) / std::to_string(pid);
    fs::create_directories(made / "root");
    return made;
  }
  void in_a_share(int pid) const {
    const fs::path ledger =
        place(pid).string() + "/root" + keeper::share_ledger_path;
    fs::create_directories(ledger.parent_path());
    std::ofstream{ledger};
  }
  void maps(int pid, const std::string& text) const {
    std::ofstream(place(pid) / "maps") << text;
  }

  std::string proc;
};

BOOST_AUTO_TEST_CASE(who_is_of_the_host_is_in_no_other_pid_namespace) {
  const std::string before = "Name:\tXorg\nPid:\t12\n";
  BOOST_TEST(is_of_host(before + "NSpid:\t12\nNSpgid:\t12\n"));
  BOOST_TEST(!is_of_host(before + "NSpid:\t12\t1\nNSpgid:\t12\t1\n"));
  BOOST_TEST(!is_of_host(before + "NSpid:\t\n"));
  BOOST_TEST(!is_of_host(before));
  BOOST_TEST(!is_of_host(std::string()));
  BOOST_TEST(!is_of_host(0u));
}

BOOST_FIXTURE_TEST_CASE(who_has_not_loaded_the_library_of_a_share_is_found,
                        Processes) {
  const std::string other = code + "/usr/lib/x86_64-linux-gnu/libc.so.6\n";
  const std::string library = code + keeper::share_library_path;
  in_a_share(7);
  maps(7, other + library + "\n" + other);
  BOOST_TEST(!runs_unheld(7, proc));
  // Replaced on the host meanwhile.
  maps(7, other + library + " (deleted)\n");
  BOOST_TEST(!runs_unheld(7, proc));
  maps(7, other);
  BOOST_TEST(runs_unheld(7, proc));
}

BOOST_FIXTURE_TEST_CASE(who_has_no_share_may_do_without_the_library,
                        Processes) {
  maps(8, code + "/usr/bin/python3\n");
  BOOST_TEST(!runs_unheld(8, proc));
}

BOOST_FIXTURE_TEST_CASE(of_whom_nothing_is_known_nothing_is_said, Processes) {
  BOOST_TEST(!runs_unheld(9, proc));
  in_a_share(9);
  BOOST_TEST(!runs_unheld(9, proc));  // it is gone, or not to be looked at
  maps(9, "");
  BOOST_TEST(!runs_unheld(9, proc));
}

BOOST_FIXTURE_TEST_CASE(so_many_mappings_are_looked_at_and_not_one_more,
                        Processes) {
  in_a_share(7);
  std::string text;
  for (std::size_t i = 0; i + 1 < mappings_max; ++i) text += "a\n";
  maps(7, text);
  BOOST_TEST(runs_unheld(7, proc));
  maps(7, text + "a\n");
  BOOST_TEST(!runs_unheld(7, proc));
}

BOOST_AUTO_TEST_CASE(this_process_is_held_to_no_share) {
  BOOST_TEST(!runs_unheld(static_cast<std::uint32_t>(::getpid())));
}

}  // namespace
}  // namespace reeve::agent::gpu_use_test
