// The file of container engines follows what there is.
#include "actors/agent/cdi_file.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace reeve::agent::cdi_file_test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct Folder {
  fs::path root;
  CdiFile file;

  Folder() {
    std::string name = fs::temp_directory_path() / "reeve-cdi-XXXXXX";
    root = ::mkdtemp(name.data());
    file.directory = (root / "node" / "cdi").string();
    file.library_directories = {(root / "none").string(),
                                (root / "lib").string()};
    fs::create_directories(root / "lib");
  }
  ~Folder() { fs::remove_all(root); }

  void add_library(const char* name) const {
    std::ofstream(root / "lib" / name) << "a library";
  }
  json::value kept() const {
    std::ifstream in(file.path());
    return json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
  }
};

gpu::Inventory inventory_of(std::uint32_t devices) {
  gpu::Inventory found;
  found.driver_version = "580.1";
  for (std::uint32_t i = 0; i < devices; ++i) {
    gpu::Device device;
    device.uuid = "GPU-" + std::to_string(i);
    device.minor = 7 - i;
    found.devices.push_back(device);
  }
  found.connections.assign(devices, std::vector<gpu::Connection>(devices));
  return found;
}

BOOST_FIXTURE_TEST_CASE(it_has_the_devices_and_the_libraries_there_are,
                        Folder) {
  add_library("libcuda.so.1");
  add_library("libnvidia-gpucomp.so.580.1");
  add_library("libother.so.1");
  BOOST_REQUIRE(keep_cdi_file(file, inventory_of(2)));
  const auto all = kept();
  const auto& devices = all.at("devices").as_array();
  BOOST_REQUIRE_EQUAL(devices.size(), 4u);
  BOOST_TEST(devices[3].at("name").as_string() == "GPU-1");
  BOOST_TEST(devices[3]
                 .at("containerEdits")
                 .at("deviceNodes")
                 .as_array()
                 .at(0)
                 .at("path")
                 .as_string() == "/dev/nvidia6");
  const auto& mounts = all.at("containerEdits").at("mounts").as_array();
  BOOST_REQUIRE_EQUAL(mounts.size(), 2u);
  BOOST_TEST(mounts[0].at("hostPath").as_string() ==
             (root / "lib" / "libcuda.so.1").string());
  BOOST_TEST(mounts[1].at("hostPath").as_string() ==
             (root / "lib" / "libnvidia-gpucomp.so.580.1").string());
}

BOOST_FIXTURE_TEST_CASE(it_changes_and_goes_with_the_devices, Folder) {
  BOOST_REQUIRE(keep_cdi_file(file, inventory_of(2)));
  BOOST_REQUIRE(keep_cdi_file(file, inventory_of(1)));
  BOOST_TEST(kept().at("devices").as_array().size() == 2u);
  BOOST_REQUIRE(keep_cdi_file(file, inventory_of(0)));
  BOOST_TEST(!fs::exists(file.path()));
  // Nothing is made where there is nothing to say, and nothing is wrong.
  fs::remove_all(root / "node");
  BOOST_REQUIRE(keep_cdi_file(file, inventory_of(0)));
  BOOST_TEST(!fs::exists(root / "node"));
}

// No half of it is ever there: nothing else is left in the directory, which
// engines read as a whole.
BOOST_FIXTURE_TEST_CASE(nothing_else_is_in_the_directory, Folder) {
  for (const std::uint32_t devices : {1u, 2u, 3u})
    BOOST_REQUIRE(keep_cdi_file(file, inventory_of(devices)));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(file.directory))
    names.push_back(entry.path().filename().string());
  BOOST_TEST(names == std::vector<std::string>{"reeve.json"},
             boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(a_directory_that_cannot_be_made_is_told, Folder) {
  std::ofstream(root / "node") << "a file";
  const auto kept = keep_cdi_file(file, inventory_of(1));
  BOOST_REQUIRE(!kept);
  BOOST_TEST(kept.error().text.find("is not made") != std::string::npos);
}

}  // namespace
}  // namespace reeve::agent::cdi_file_test
