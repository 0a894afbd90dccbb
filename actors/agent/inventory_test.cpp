#include "actors/agent/inventory.hpp"

#include <algorithm>

#include "gpu/fake_machine.hpp"

namespace reeve::agent::inventory_test {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;

struct Host : gpu::FakeMachine {
  Node look(std::chrono::milliseconds within) const {
    HostOptions options;
    options.name = "n1";
    options.gpu_sources = sources();
    options.gpus_within = within;
    return read_host(options).value();
  }
};

bool tells_of_driver(const Node& node) {
  return std::any_of(
      node.limits.begin(), node.limits.end(), [](const std::string& limit) {
        return gpu::contains(limit, "the driver does not answer");
      });
}

BOOST_FIXTURE_TEST_CASE(a_host_has_its_gpus, Host) {
  write("device uuid=GPU-a\n");
  const Node node = look(patience);
  BOOST_REQUIRE_EQUAL(node.devices.size(), 1u);
  BOOST_TEST(!node.gpus_awaited);
  BOOST_TEST(!tells_of_driver(node));
}

BOOST_FIXTURE_TEST_CASE(what_is_to_be_told_of_gpus_is_told_where_some_are,
                        Host) {
  HostOptions options;
  options.name = "n1";
  options.gpu_sources = sources();
  options.gpus_within = patience;
  options.gpu_limits = {"a table is wrong"};
  const auto tells = [](const Node& node) {
    return std::count(node.limits.begin(), node.limits.end(),
                      "a table is wrong");
  };
  write("");
  Node node = read_host(options).value();
  BOOST_TEST(tells(node) == 0);
  write("device uuid=GPU-a\n");
  set_gpus(read(), "", "", node);
  BOOST_TEST(tells(node) == 1);
}

BOOST_FIXTURE_TEST_CASE(a_driver_that_hangs_is_not_waited_for, Host) {
  write("device uuid=GPU-a\nhang nvmlDeviceGetCount_v2\n");
  Node node = look(50ms);
  BOOST_TEST(node.devices.empty());
  BOOST_TEST(node.gpus_awaited);
  BOOST_TEST(tells_of_driver(node));
  write("device uuid=GPU-a\n");
  set_gpus(read(), "", "", node);
  BOOST_TEST(node.devices.size() == 1u);
  BOOST_TEST(!node.gpus_awaited);
  BOOST_TEST(!tells_of_driver(node));
}

}  // namespace
}  // namespace reeve::agent::inventory_test
