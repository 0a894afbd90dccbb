// The simulator itself: what it models, and that it repeats a seed.
#include <boost/test/unit_test.hpp>
#include <cstring>

#include "cluster/decide.hpp"
#include "tests/sim/cell.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/log.hpp"

namespace reeve::sim::sim_test {
namespace {

struct VirtualDisk {
  Loop loop;
  Random random{1};
  Probes probes;
  Disk disk{random, probes, loop};

  void write(const char* text) {
    disk.append("f", std::as_bytes(std::span(text, std::strlen(text))));
  }
  std::string content() const {
    const auto& bytes = disk.read("f");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sim)

BOOST_AUTO_TEST_CASE(the_same_seed_runs_the_same_way) {
  for (const std::uint64_t seed : {3, 5}) {
    Cell first(seed);
    first.run();
    Cell second(seed);
    second.run();
    BOOST_TEST(first.world().loop.steps() == second.world().loop.steps());
    BOOST_TEST(first.world().loop.fingerprint() ==
               second.world().loop.fingerprint());
  }
}

BOOST_AUTO_TEST_CASE(another_seed_runs_another_way) {
  Cell first(3);
  first.run();
  Cell second(4);
  second.run();
  BOOST_TEST(first.world().loop.fingerprint() !=
             second.world().loop.fingerprint());
}

BOOST_FIXTURE_TEST_CASE(what_was_synced_outlives_a_loss_of_power, VirtualDisk) {
  write("synced");
  BOOST_TEST((disk.sync("f") == Disk::Sync::done));
  write("unsynced");
  disk.lose_power();
  BOOST_TEST(content().starts_with("synced"));
  BOOST_TEST(content().size() <= std::string("syncedunsynced").size());
}

BOOST_FIXTURE_TEST_CASE(a_loss_of_power_tears_the_last_write, VirtualDisk) {
  for (int i = 0; i < 100; ++i) {
    write("0123456789");
    disk.lose_power();
  }
  BOOST_TEST(probes.count(Probe::write_torn) > 0u);
  BOOST_TEST(content().size() < 1'000u);
}

BOOST_FIXTURE_TEST_CASE(nothing_is_safe_after_a_sync_that_failed, VirtualDisk) {
  disk.fail_syncs(1'000'000);
  write("first");
  BOOST_TEST((disk.sync("f") == Disk::Sync::failed));
  disk.fail_syncs(0);
  write("second");
  BOOST_TEST((disk.sync("f") == Disk::Sync::done));
  BOOST_TEST(content() == "firstsecond");
  disk.lose_power();
  BOOST_TEST(content().size() <= std::string("first").size());
}

BOOST_FIXTURE_TEST_CASE(a_log_that_is_short_of_its_mark_does_not_open,
                        VirtualDisk) {
  cluster::EventWriter writer(Sequence{1}, Epoch{1});
  cluster::decide_epoch("m", {Time{1}, {}, {}}, writer);
  const auto batch = writer.take();
  auto log = Log::open(disk, probes);
  BOOST_REQUIRE(log);
  BOOST_REQUIRE(log->write(1, batch.count, batch.bytes));
  BOOST_REQUIRE(log->sync());
  BOOST_REQUIRE(log->mark());
  BOOST_REQUIRE(Log::open(disk, probes));
  disk.rewrite("log", {});
  const auto reopened = Log::open(disk, probes);
  BOOST_REQUIRE(!reopened);
  BOOST_TEST((reopened.error().code == Errc::damaged));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace reeve::sim::sim_test
