// The specification as an engine reads it.
#include "gpu/cdi.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

namespace reeve::gpu::cdi_test {
namespace {

namespace json = boost::json;

CdiHost host_of() {
  return {{{"GPU-5c1f66a2-93d4", {"/dev/nvidia0"}},
           {"MIG-9f2c",
            {"/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap3",
             "/dev/nvidia-caps/nvidia-cap4"}}},
          {"/dev/nvidiactl", "/dev/nvidia-uvm"},
          {"/usr/lib/x86_64-linux-gnu/libcuda.so.1"}};
}

json::object read(const CdiHost& host) {
  return json::parse(cdi_specification(host)).as_object();
}

std::vector<std::string> paths_of(const json::value& edits) {
  std::vector<std::string> paths;
  for (const auto& node : edits.at("deviceNodes").as_array())
    paths.emplace_back(node.at("path").as_string());
  return paths;
}

using Texts = std::vector<std::string>;

BOOST_AUTO_TEST_CASE(each_device_is_named_by_its_place_and_its_uuid) {
  const auto all = read(host_of());
  BOOST_TEST(all.at("cdiVersion").as_string() == "0.5.0");
  BOOST_TEST(all.at("kind").as_string() == "reeve.dev/gpu");
  Texts names;
  for (const auto& device : all.at("devices").as_array())
    names.emplace_back(device.at("name").as_string());
  const Texts expected = {"0", "GPU-5c1f66a2-93d4", "1", "MIG-9f2c"};
  BOOST_TEST(names == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_instance_has_the_files_that_open_it) {
  const auto all = read(host_of());
  for (const std::size_t i : {2u, 3u}) {
    const auto paths =
        paths_of(all.at("devices").as_array().at(i).at("containerEdits"));
    const Texts expected = {"/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap3",
                            "/dev/nvidia-caps/nvidia-cap4"};
    BOOST_TEST(paths == expected, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(what_all_need_comes_with_any) {
  const auto edits = read(host_of()).at("containerEdits");
  const Texts common = {"/dev/nvidiactl", "/dev/nvidia-uvm"};
  const auto paths = paths_of(edits);
  BOOST_TEST(paths == common, boost::test_tools::per_element());
  BOOST_TEST(edits.at("env").as_array().at(0).as_string() ==
             "NVIDIA_VISIBLE_DEVICES=void");
  const auto& mount = edits.at("mounts").as_array().at(0);
  const std::string library = "/usr/lib/x86_64-linux-gnu/libcuda.so.1";
  BOOST_TEST(mount.at("hostPath").as_string() == library);
  BOOST_TEST(mount.at("containerPath").as_string() == library);
  BOOST_TEST(mount.at("options").as_array().at(0).as_string() == "ro");
}

// Some engines refuse a list of mounts that is empty.
BOOST_AUTO_TEST_CASE(without_libraries_nothing_is_mounted) {
  auto host = host_of();
  host.libraries.clear();
  BOOST_TEST(!read(host).at("containerEdits").as_object().contains("mounts"));
}

// One such name would make the whole file invalid.
BOOST_AUTO_TEST_CASE(a_uuid_that_can_be_no_name_is_left_out) {
  for (const char* uuid :
       {"MIG-GPU-1/7/0", "", "-GPU", "GPU-", "GPU 1", "a\"b"}) {
    CdiHost host{{{uuid, {"/dev/nvidia0"}}}, {}, {}};
    const auto all = read(host);
    BOOST_REQUIRE_EQUAL(all.at("devices").as_array().size(), 1u);
    BOOST_TEST(all.at("devices").as_array()[0].at("name").as_string() == "0");
  }
}

BOOST_AUTO_TEST_CASE(a_library_of_the_compiler_has_the_version_in_its_name) {
  const auto names = driver_library_names("580.159.04");
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  BOOST_TEST(has("libcuda.so.1"));
  BOOST_TEST(has("libnvidia-ml.so.1"));
  BOOST_TEST(has("libnvidia-ptxjitcompiler.so.1"));
  BOOST_TEST(has("libnvidia-gpucomp.so.580.159.04"));
  for (const auto& name : driver_library_names(""))
    BOOST_TEST(name.back() != '.', name);
}

}  // namespace
}  // namespace reeve::gpu::cdi_test
