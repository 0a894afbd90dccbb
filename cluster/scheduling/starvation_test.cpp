// An endless stream of others: who starts within a bound all the same, and
// under which orders nobody can promise that.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <random>
#include <set>

#include "cluster/scheduling/test_cell.hpp"

namespace starvation_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

constexpr std::uint64_t step_ns = 30 * second_ns;
constexpr std::uint64_t longest_ns = 30 * minute_ns;
constexpr std::size_t waiting_least = 12;

// Four nodes of four CPUs and two GPUs, two to a rack, which others keep full:
// as soon as fewer than `waiting_least` of them wait, more come.
class Stream {
 public:
  Stream(const std::string& policy, bool new_users, std::uint64_t seed)
      : random_(seed), new_users_(new_users) {
    for (std::uint32_t i = 0; i < 4; ++i)
      cell_.add({.number = i,
                 .cpu_milli = 4000,
                 .models = devices(2),
                 .labels = {{"rack", i < 2 ? "a" : "b"}}});
    cell_.scheduler.set_policy("default", *parse_policy(policy));
  }

  // Minutes until the session has started; nothing: it has not by then.
  std::optional<std::uint64_t> wait_for(const TestSession& session,
                                        std::uint64_t most_ns) {
    run_for(90 * minute_ns, 0);
    const auto from = cell_.now;
    const auto id = cell_.submit(session);
    if (!run_for(most_ns, id)) return std::nullopt;
    return (cell_.now.value - from.value) / minute_ns;
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void submit_other() {
    TestSession other{.memory_bytes = 0};
    other.cpu_milli = static_cast<std::uint32_t>(1000 * (1 + below(2)));
    other.gpus = static_cast<std::uint32_t>(below(2));
    other.time_limit_ns = minute_ns * (1 + below(longest_ns / minute_ns));
    other.user = new_users_ ? fmt::format("u{}", ++users_)
                            : fmt::format("u{}", below(3));
    lengths_[cell_.submit(other)] = other.time_limit_ns;
    ++waiting_;
  }

  // Whether the session has started.
  bool run_for(std::uint64_t duration_ns, std::uint64_t id) {
    const auto until = cell_.now.value + duration_ns;
    for (; cell_.now.value < until; cell_.now.value += step_ns) {
      while (!ends_.empty() && ends_.begin()->first <= cell_.now.value) {
        cell_.end(ends_.begin()->second);
        ends_.erase(ends_.begin());
      }
      while (waiting_ < waiting_least) submit_other();
      for (const auto started : cell_.started()) {
        if (started == id) return true;
        --waiting_;
        ends_.emplace(cell_.now.value + lengths_.at(started), started);
      }
    }
    return false;
  }

  std::mt19937_64 random_;
  bool new_users_;
  TestCell cell_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> ends_;
  std::map<std::uint64_t, std::uint64_t> lengths_;
  std::size_t waiting_ = 0;
  std::uint64_t users_ = 0;
};

// Of every size: a CPU, a node, all nodes, a rack.
const TestSession sizes[] = {
    {.memory_bytes = 0, .user = "me", .time_limit_ns = minute_ns},
    {.cpu_milli = 4000,
     .memory_bytes = 0,
     .gpus = 2,
     .user = "me",
     .time_limit_ns = 600 * minute_ns},
    {.cpu_milli = 4000, .memory_bytes = 0, .tasks = 4, .user = "me"},
    {.cpu_milli = 4000,
     .memory_bytes = 0,
     .tasks = 2,
     .nodes = 2,
     .user = "me",
     .time_limit_ns = 60 * minute_ns,
     .within = "rack"},
};

void check_starts(const std::string& policy, std::uint64_t most_ns) {
  for (const bool new_users : {false, true})
    for (std::uint64_t seed = 1; seed <= 3; ++seed)
      for (const auto& size : sizes) {
        Stream stream(policy, new_users, seed);
        const auto minutes = stream.wait_for(size, most_ns);
        BOOST_TEST(minutes.has_value(),
                   policy << ", seed " << seed << ", tasks " << size.tasks
                          << (new_users ? ", new users" : ""));
      }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(starvation)

// Those that came before, two GPUs or four CPUs of them at a time at worst;
// the patience of the head; the longest that runs.
BOOST_AUTO_TEST_CASE(by_submission_each_size_starts_within_a_bound) {
  const auto before = waiting_least * longest_ns / 4;
  for (const std::string backfill : {"none", "greedy", "easy", "conservative"})
    check_starts("fifo," + backfill, before + head_patience_ns + longest_ns);
}

// Who holds nothing, and used nothing, comes before all but those who came
// earlier and hold nothing either.
BOOST_AUTO_TEST_CASE(by_account_each_size_starts_within_a_bound) {
  for (const std::string order : {"drf", "fair_share"})
    for (const std::string backfill :
         {"none", "greedy", "easy", "conservative"})
      check_starts(order + "," + backfill,
                   (waiting_least + 1) * longest_ns + head_patience_ns);
}

// By age alone, all that counts for those of equal use; an hour older than
// others is before them.
BOOST_AUTO_TEST_CASE(by_factors_each_size_starts_within_a_bound) {
  for (const std::string backfill : {"none", "greedy", "easy", "conservative"})
    check_starts("multifactor," + backfill,
                 25 * 60 * minute_ns + head_patience_ns + longest_ns);
}

// Later ones and shorter ones come first for ever: these orders promise
// nothing to the others.
BOOST_AUTO_TEST_CASE(the_latest_or_the_shortest_first_lets_others_starve) {
  for (const std::string policy :
       {"lifo,greedy", "lifo,easy", "sjf,greedy", "sjf,conservative"}) {
    Stream stream(policy, true, 1);
    const auto minutes = stream.wait_for(sizes[1], 24 * 60 * minute_ns);
    BOOST_TEST(!minutes.has_value(), policy);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace starvation_test
