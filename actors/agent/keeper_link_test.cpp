// The link to a keeper that does not listen.
#include "actors/agent/keeper_link.hpp"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/agent/keeper/ending.hpp"

namespace reeve::agent::keeper_link_test {
namespace {

using std::chrono::milliseconds;

// Far above what it takes, and below what a keeper is waited for.
constexpr milliseconds soon{5'000};
constexpr int patience_ms = 60'000;

struct Place {
  Place() {
    char path[] = "/tmp/keeper-link-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(path));
    directory = path;
    config = {directory + "/run", REEVE_KEEPER, {}};
  }
  ~Place() {
    (void)keeper::end_keeper(config, milliseconds(0));
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  std::string directory;
  keeper::ClientConfig config;
};

struct Heard {
  KeeperLink::Handlers handlers() {
    KeeperLink::Handlers to;
    to.events = [this](std::vector<KeeperEvent> events) {
      const std::lock_guard lock(mutex);
      for (const auto& event : events) {
        if (const auto* is = std::get_if<KeeperReady>(&event)) ready = *is;
        if (std::holds_alternative<KeeperLost>(event)) ++losses;
      }
    };
    return to;
  }
  KeeperReady await_ready() {
    for (int waited_ms = 0; waited_ms < patience_ms; waited_ms += 20) {
      {
        const std::lock_guard lock(mutex);
        if (ready.connection != 0) return ready;
      }
      ::poll(nullptr, 0, 20);
    }
    BOOST_FAIL("the link does not come up");
    return {};
  }
  std::mutex mutex;
  KeeperReady ready;
  int losses = 0;
};

// Whether the link has gone; where it hangs, the keeper is let go on.
bool ends_soon(std::unique_ptr<KeeperLink> link, int keeper) {
  auto ended = std::async(std::launch::async, [&] { link.reset(); });
  const bool in_time = ended.wait_for(soon) == std::future_status::ready;
  ::kill(keeper, SIGCONT);
  ended.wait();
  return in_time;
}

BOOST_AUTO_TEST_CASE(a_link_ends_though_its_orders_are_not_taken) {
  Place place;
  Heard heard;
  auto link = std::make_unique<KeeperLink>(place.config, heard.handlers());
  const auto ready = heard.await_ready();
  ::kill(ready.keeper_pid, SIGSTOP);
  std::vector<TaskSpec> launches(10);
  for (std::size_t at = 0; at < launches.size(); ++at) {
    launches[at].key = {at + 1, 1, 0};
    launches[at].argv = {"true", std::string(120'000, 'x')};
  }
  link->perform(ready.connection, std::move(launches), {}, {}, {}, 0);
  ::poll(nullptr, 0, 300);  // until it waits for room
  BOOST_CHECK(ends_soon(std::move(link), ready.keeper_pid));
  // Its own end is no loss.
  BOOST_CHECK_EQUAL(heard.losses, 0);
}

BOOST_AUTO_TEST_CASE(a_link_ends_though_no_keeper_answers) {
  Place place;
  auto opened = keeper::Client::open(place.config);
  BOOST_REQUIRE_MESSAGE(opened, opened.error().text);
  ::kill(opened->keeper_pid(), SIGSTOP);
  Heard heard;
  auto link = std::make_unique<KeeperLink>(place.config, heard.handlers());
  ::poll(nullptr, 0, 300);  // until it has said hello
  BOOST_CHECK(ends_soon(std::move(link), opened->keeper_pid()));
  BOOST_CHECK_EQUAL(heard.losses, 0);
}

}  // namespace
}  // namespace reeve::agent::keeper_link_test
