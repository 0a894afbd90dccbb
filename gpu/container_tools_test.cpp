// What the tools print, read; and the tools run, as scripts that stand in for
// them.
#include "gpu/container_tools.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace reeve::gpu::container_tools_test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

const char* const cli_output =
    "cli-version: 1.14.3\n"
    "lib-version: 1.14.3\n"
    "build date: 2023-10-19T11:32+00:00\n"
    "build revision: 1eb5a30a6ad0415550a9df632ac8832bf7e2bbba\n"
    "build compiler: x86_64-linux-gnu-gcc-7 7.5.0\n";
const char* const ctk_output =
    "NVIDIA Container Toolkit CLI version 1.17.8\n"
    "commit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d\n";
// With the version of another program behind its own.
const char* const runtime_output =
    "NVIDIA Container Runtime version 1.17.4\n"
    "commit: 9b69590c7428470a72f2ae05f826412976af1395\n"
    "spec: 1.2.0\n"
    "\n"
    "runc version 1.1.5\n"
    "commit: v1.1.5-0-gf19387a6\n"
    "spec: 1.0.2-dev\n";

std::string told(std::string_view output) {
  const auto version = tool_version(output);
  return version ? to_text(*version) : "nothing";
}

BOOST_AUTO_TEST_CASE(each_tool_tells_its_version_in_its_own_way) {
  BOOST_TEST(told(cli_output) == "1.14.3");
  BOOST_TEST(told(ctk_output) == "1.17.8");
  BOOST_TEST(told(runtime_output) == "1.17.4");
}

BOOST_AUTO_TEST_CASE(what_is_no_version_is_none) {
  for (const char* output :
       {"", "version", "version\n", "version one", "version 1.17",
        "version 1.17.", "version 1.17.8x", "version 1..8", "1.17.8",
        "cli-version: unknown", "version 99999999999.1.1"})
    BOOST_TEST(told(output) == "nothing", output);
}

BOOST_AUTO_TEST_CASE(a_candidate_is_before_its_release) {
  const auto candidate = tool_version("version 1.17.8-rc.1");
  const auto release = tool_version("version 1.17.8");
  BOOST_REQUIRE(candidate.has_value());
  BOOST_TEST((*candidate < *release));
  BOOST_TEST((*tool_version("version 1.17.7") < *candidate));
  BOOST_TEST((*tool_version("version 1.17.8+deb12") == *release));
}

BOOST_AUTO_TEST_CASE(an_old_one_is_named_with_what_it_lets_through) {
  BOOST_TEST(tool_problem({"/usr/bin/nvidia-container-cli", cli_output}) ==
             "/usr/bin/nvidia-container-cli is of version 1.14.3: containers "
             "may get out through it (CVE-2024-0132, CVE-2024-0135, "
             "CVE-2025-23359, CVE-2025-23266, CVE-2025-23267)");
  BOOST_TEST(
      tool_problem({"/usr/bin/nvidia-container-runtime", runtime_output}) ==
      "/usr/bin/nvidia-container-runtime is of version 1.17.4: "
      "containers may get out through it (CVE-2025-23266, "
      "CVE-2025-23267)");
  BOOST_TEST(tool_problem({"/usr/bin/nvidia-ctk", "version 1.17.8-rc.1"}) ==
             "/usr/bin/nvidia-ctk is of version 1.17.8 (before its release): "
             "containers may get out through it (CVE-2025-23266, "
             "CVE-2025-23267)");
  BOOST_TEST(tool_remedy() ==
             "install nvidia-container-toolkit 1.17.8 or newer");
}

BOOST_AUTO_TEST_CASE(nothing_is_said_of_a_new_one) {
  BOOST_TEST(tool_problem({"/usr/bin/nvidia-ctk", ctk_output}) == "");
  BOOST_TEST(tool_problem({"/usr/bin/nvidia-ctk", "version 1.20.0"}) == "");
  BOOST_TEST(tool_problem({"/usr/bin/nvidia-ctk", "version 2.0.0"}) == "");
}

BOOST_AUTO_TEST_CASE(one_that_does_not_tell_is_not_trusted) {
  BOOST_TEST(tool_problem({"/usr/bin/nvidia-ctk", ""}) ==
             "/usr/bin/nvidia-ctk does not tell its version: containers may "
             "get out through it where it is older than 1.17.8");
}

struct Folder {
  fs::path path;
  Folder() {
    std::string name = fs::temp_directory_path() / "reeve-tools-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }

  void add(const std::string& name, const std::string& script) const {
    const fs::path file = path / name;
    std::ofstream(file) << "#!/bin/sh\n" << script << '\n';
    fs::permissions(file, fs::perms::owner_all);
  }
  std::vector<ContainerTool> find(milliseconds deadline) const {
    return find_container_tools({"/nowhere", path.string()}, deadline);
  }
};

constexpr milliseconds patient{20'000};

BOOST_FIXTURE_TEST_CASE(those_that_are_there_are_asked, Folder) {
  BOOST_TEST(find(patient).empty());
  add("nvidia-ctk", "test \"$1\" = --version && echo tool version 1.17.8");
  const auto found = find(patient);
  BOOST_REQUIRE_EQUAL(found.size(), 1u);
  BOOST_TEST(found[0].path == (path / "nvidia-ctk").string());
  BOOST_TEST(found[0].output == "tool version 1.17.8\n");
}

BOOST_FIXTURE_TEST_CASE(one_that_hangs_is_killed_with_what_it_started, Folder) {
  add("nvidia-ctk", "echo version 1.17.8; sleep 1000 & sleep 1000");
  add("nvidia-container-cli", "echo cli-version: 1.17.8");
  const auto begun = std::chrono::steady_clock::now();
  const auto found = find(tool_deadline);
  const auto took = std::chrono::steady_clock::now() - begun;
  BOOST_TEST((took < std::chrono::seconds(20)));
  BOOST_REQUIRE_EQUAL(found.size(), 2u);
  BOOST_TEST(found[1].path == (path / "nvidia-ctk").string());
  BOOST_TEST(found[1].output == "");
}

BOOST_FIXTURE_TEST_CASE(one_that_fails_tells_nothing, Folder) {
  add("nvidia-ctk", "echo version 1.17.8; exit 3");
  BOOST_TEST(find(patient).at(0).output == "");
}

BOOST_FIXTURE_TEST_CASE(more_than_the_bound_is_thrown_away, Folder) {
  static_assert(tool_output_bytes_max < 100'000);
  add("nvidia-ctk", "echo version 1.17.8; head -c 100000 /dev/zero; exit 0");
  const auto found = find(patient);
  BOOST_TEST(found.at(0).output.size() == tool_output_bytes_max);
  BOOST_TEST(told(found.at(0).output) == "1.17.8");
}

}  // namespace
}  // namespace reeve::gpu::container_tools_test
