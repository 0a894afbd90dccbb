// Which devices belong together: worked examples, and the greedy choice beside
// the exhaustive one.
#include "cluster/scheduling/links.hpp"

#include <boost/test/unit_test.hpp>
#include <functional>
#include <numeric>

#include "schema/types_generated.h"

namespace links_test {

using namespace reeve;
using namespace reeve::cluster::scheduling;
using schema::DeviceLink;
using Devices = std::vector<std::uint32_t>;

namespace {

Links links_of(
    std::uint32_t count,
    const std::function<DeviceLink(std::uint32_t, std::uint32_t)>& between) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
  for (std::uint32_t a = 0; a < count; ++a) {
    std::vector<DeviceLink> row;
    for (std::uint32_t b = 0; b < count; ++b)
      row.push_back(a == b ? DeviceLink::none : between(a, b));
    devices.push_back(
        schema::CreateDeviceSpecDirect(builder, "u", "A", 1, -1, &row));
  }
  builder.Finish(
      schema::CreateNodeSpecDirect(builder, "n", nullptr, 1000, 1, &devices));
  return Links(
      *flatbuffers::GetRoot<schema::NodeSpec>(builder.GetBufferPointer()));
}

// Pairs by NVLink, fours by a switch, the rest over the sockets.
DeviceLink pairs_and_fours(std::uint32_t a, std::uint32_t b) {
  if (a / 2 == b / 2) return DeviceLink::nvlink;
  return a / 4 == b / 4 ? DeviceLink::pcie_switch : DeviceLink::system;
}

Devices up_to(std::uint32_t count) {
  Devices all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

void check(const Devices& got, const Devices& expected) {
  BOOST_TEST(got == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(links)

BOOST_AUTO_TEST_CASE(a_pair_goes_to_two_that_are_joined) {
  const auto links = links_of(8, pairs_and_fours);
  check(links.best({1, 2, 3, 6}, 2), {2, 3});
  check(links.best({1, 2, 5, 6}, 2), {1, 2});
  check(links.best({0, 3, 5, 6}, 2), {0, 3});
}

// Of two pairs the one whose neighbours are taken already.
BOOST_AUTO_TEST_CASE(what_is_left_stays_together) {
  const auto links = links_of(8, pairs_and_fours);
  check(links.best({0, 1, 2, 3, 4, 5}, 2), {4, 5});
  check(links.best({0, 1, 4, 5, 6, 7}, 4), {4, 5, 6, 7});
}

BOOST_AUTO_TEST_CASE(four_go_to_one_switch) {
  const auto links = links_of(8, pairs_and_fours);
  check(links.best({1, 2, 4, 5, 6, 7}, 4), {4, 5, 6, 7});
  check(links.best(up_to(8), 8), up_to(8));
}

BOOST_AUTO_TEST_CASE(where_all_are_alike_the_lowest_numbers_do) {
  const auto links = links_of(4, [](auto, auto) { return DeviceLink::nvlink; });
  BOOST_TEST(links.uniform());
  check(links.best({1, 2, 3}, 2), {1, 2});
}

// Beyond Links::sets_max.
BOOST_AUTO_TEST_CASE(many_devices_are_chosen_by_growing_sets) {
  const auto islands = [](std::uint32_t a, std::uint32_t b) {
    return a / 8 == b / 8 ? DeviceLink::nvlink : DeviceLink::system;
  };
  const auto links = links_of(32, islands);
  auto free = up_to(32);
  free.erase(free.begin(), free.begin() + 3);
  const auto best = links.best(free, 8);
  BOOST_REQUIRE(best.size() == 8);
  BOOST_TEST(best.front() / 8 == best.back() / 8);
  BOOST_TEST(best.front() >= 8U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace links_test
