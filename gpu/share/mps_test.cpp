#include "gpu/share/mps.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace reeve::gpu::share::mps_test {
namespace {

namespace fs = std::filesystem;

// A site with files like those of MPS and of /proc.
struct Site {
  Site() {
    std::string name = fs::temp_directory_path() / "reeve-mps-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    fs::create_directories(pipes());
  }
  ~Site() { fs::remove_all(root); }

  std::string pipes() const { return root + "/pipes"; }
  std::string proc() const { return root + "/proc"; }
  std::string pid_file() const {
    return pipes() + "/nvidia-cuda-mps-control.pid";
  }
  std::string process(int pid) const {
    const std::string made = proc() + "/" + std::to_string(pid);
    fs::create_directories(made);
    return made;
  }
  void comm(int pid, const std::string& name) const {
    std::ofstream(process(pid) + "/comm") << name << "\n";
  }
  // A process that runs a program of this name.
  void runs(int pid, const std::string& program) const {
    std::ofstream(root + "/" + program) << "x";
    fs::create_symlink(root + "/" + program, process(pid) + "/exe");
  }
  bool daemon_runs() const { return mps_daemon_runs(pipes(), proc()); }
  bool is_server(std::uint32_t pid) const {
    return is_mps_server(pid, pipes(), proc());
  }

  std::string root;
};

BOOST_FIXTURE_TEST_CASE(the_daemon_runs_whose_pid_is_told, Site) {
  BOOST_TEST(!daemon_runs());
  std::ofstream(pid_file()) << "17\n";
  BOOST_TEST(!daemon_runs());
  comm(17, "nvidia-cuda-mps");
  BOOST_TEST(daemon_runs());
  // Another has its pid by now.
  comm(17, "bash");
  BOOST_TEST(!daemon_runs());
}

BOOST_FIXTURE_TEST_CASE(a_file_that_tells_no_pid_is_of_no_daemon, Site) {
  comm(17, "nvidia-cuda-mps");
  for (const char* text : {"", "\n", "x17", "-17", "0", "99999999999999999"}) {
    std::ofstream(pid_file()) << text;
    BOOST_TEST(!daemon_runs(), text);
  }
}

BOOST_FIXTURE_TEST_CASE(so_much_of_that_file_is_read_and_not_more, Site) {
  comm(17, "nvidia-cuda-mps");
  std::ofstream(pid_file()) << std::string(mps_file_bytes_max - 2, ' ') << "17";
  BOOST_TEST(daemon_runs());
  std::ofstream(pid_file()) << std::string(mps_file_bytes_max, ' ') << "17";
  BOOST_TEST(!daemon_runs());
}

BOOST_FIXTURE_TEST_CASE(a_pipe_in_the_place_of_that_file_keeps_nobody, Site) {
  BOOST_REQUIRE(::mkfifo(pid_file().c_str(), 0600) == 0);
  BOOST_TEST(!daemon_runs());
}

BOOST_FIXTURE_TEST_CASE(a_server_is_known_by_its_program, Site) {
  runs(20, "nvidia-cuda-mps-server");
  runs(21, "nvidia-cuda-mps-server (deleted)");
  runs(22, "nvidia-cuda-mps-server-of-mine");
  runs(23, "python3");
  BOOST_TEST(is_server(20));
  BOOST_TEST(is_server(21));
  BOOST_TEST(!is_server(22));
  BOOST_TEST(!is_server(23));
  BOOST_TEST(!is_server(24));
}

BOOST_FIXTURE_TEST_CASE(a_program_of_a_user_is_no_server, Site) {
  runs(20, "nvidia-cuda-mps-server");
  if (::geteuid() != 0) {
    BOOST_TEST_MESSAGE("only root can give a file to somebody");
    return;
  }
  const std::string program = root + "/nvidia-cuda-mps-server";
  BOOST_REQUIRE(::chown(program.c_str(), 4711, 4711) == 0);
  BOOST_TEST(!is_server(20));
  // Unless he is who runs MPS here.
  BOOST_REQUIRE(::chown(pipes().c_str(), 4711, 4711) == 0);
  BOOST_TEST(is_server(20));
}

BOOST_FIXTURE_TEST_CASE(what_is_to_be_done_is_said, Site) {
  BOOST_TEST(why_no_mps(pipes()).find("CUDA_MPS_PIPE_DIRECTORY=" + pipes()) !=
             std::string::npos);
  BOOST_TEST(mps_limit(pipes()).find("--gpu-sharing user") !=
             std::string::npos);
}

}  // namespace
}  // namespace reeve::gpu::share::mps_test
