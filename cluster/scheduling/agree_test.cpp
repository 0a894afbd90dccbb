// Random small cases against the obvious scheduler, for every order, backfill,
// packing and word about preemption. Fault model: sessions end, are cancelled,
// requeued and lose tasks at any moment; nodes are lost and return, devices are
// quarantined and released, and found slow; quotas change, and who may share a
// GPU. A case that fails is made smaller
// and printed; it reads like those of examples.txt. Repeat one seed with
// REEVE_SEED=<n>; the number of seeds of each policy is REEVE_RUNS.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "cluster/scheduling/case.hpp"

namespace agree_test {

using namespace reeve;
using namespace reeve::cluster;

namespace {

const char* const orders[] = {"fifo", "lifo",       "sjf",
                              "drf",  "fair_share", "multifactor"};
const char* const backfills[] = {"none", "greedy", "easy", "conservative"};
const char* const packings[] = {"best_fit", "pack", "spread", "fragmentation"};
const char* const rooms[] = {"off", "priority", "fair"};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Each seed has its own of what is not asked for.
std::string policy_of(const std::string& given, std::uint64_t seed) {
  auto text = given;
  const auto other = seed * 0x9E3779B97F4A7C15ULL >> 32;
  if (text.find("packing") == std::string::npos)
    text += fmt::format(",packing={}", packings[other % 4]);
  if (other / 4 % 3 == 0) text += ",estimates=history";
  if (text.find("preemption") == std::string::npos && other / 12 % 4 == 0)
    text += fmt::format(",preemption={}", rooms[1 + other / 48 % 2]);
  return text;
}

// A few nodes, three users, sessions that nearly fit.
class Maker {
 public:
  Maker(std::uint64_t seed, const std::string& policy)
      : random_(seed), policy_(*parse_policy(policy)) {
    lines_.push_back("policy " + policy);
  }

  Case make() {
    const bool devices = below(3) > 0;
    const auto nodes = 1 + below(4);
    for (std::uint32_t i = 0; i < nodes; ++i) node(i, devices);
    if (below(2) == 0) accounts();
    if (devices && below(3) == 0) add(sharing());
    array_ = below(3) == 0;
    const auto steps = 10 + below(30);
    for (std::uint32_t i = 0; i < steps; ++i) step(nodes, devices);
    pass();
    return lines_;
  }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }
  const char* one_of(std::initializer_list<const char*> words) {
    return words.begin()[below(static_cast<std::uint32_t>(words.size()))];
  }
  void add(std::string line) { lines_.push_back(std::move(line)); }

  void node(std::uint32_t number, bool devices) {
    auto line = fmt::format("node n{} cpus={} memory={}", number, 2 + below(7),
                            8 * (1 + below(4)));
    if (devices && below(4) > 0) line += fmt::format(" gpus={}", 1 + below(4));
    if (devices && below(3) == 0) line += " model=B";
    if (below(2) == 0) line += fmt::format(" rack=r{}", below(2));
    add(line);
  }

  void accounts() {
    add("account project b parent=a");
    add(fmt::format("account user ann weight={}", 1 + below(3)));
    if (below(2) == 0) add(quota());
    if (below(3) == 0) add(quota());
  }

  std::string sharing() {
    return fmt::format("sharing {}",
                       one_of({"project", "user", "user", "anyone", "none"}));
  }

  std::string quota() {
    const auto whose = one_of(
        {"user ann", "user bob", "project a", "project b", "group default"});
    const auto what = one_of({"sessions", "cpus", "gpus", "memory"});
    return fmt::format("quota {} {}={}", whose, what,
                       what[0] == 'm' ? 8 * (1 + below(3)) : 1 + below(6));
  }

  void submit(bool devices) {
    auto line = fmt::format("submit s{}", ++submitted_);
    const bool member = array_ && below(3) > 0;
    // Members of an array are all alike.
    if (member) {
      if (array_line_.empty()) {
        array_first_ = submitted_;
        array_line_ = fmt::format(" cpus={} time={}m max={}", 1 + below(3),
                                  5 * (1 + below(6)), 1 + below(2));
        array_line_ += whose();
        add(line + array_line_);
      } else {
        add(line + array_line_ + fmt::format(" array=s{}", array_first_));
      }
      return;
    }
    line += fmt::format(" cpus={}", 1 + below(5));
    if (below(3) == 0) line += fmt::format(" memory={}", 2 + below(14));
    if (devices && below(3) > 0) {
      line += fmt::format(" gpus={}", 1 + below(3));
      if (below(3) == 0) line += fmt::format(" share={}", 100 * (1 + below(9)));
      if (below(5) == 0) line += fmt::format(" model={}", one_of({"A", "B"}));
    }
    if (below(4) == 0) {
      line += fmt::format(" tasks={}", 2 + below(2));
      if (below(2) == 0) line += fmt::format(" nodes={}", 1 + below(3));
      if (below(4) == 0) line += " within=rack";
    }
    if (below(3) == 0) line += fmt::format(" priority={}", 1 + below(2));
    if (below(6) == 0)
      line += fmt::format(" {}={}", one_of({"together", "apart"}),
                          one_of({"db", "db@rack"}));
    if (below(8) > 0) line += fmt::format(" time={}m", 5 * (1 + below(12)));
    if (below(6) == 0)
      line += fmt::format(
          " constraint={}",
          one_of({"rack=r0", "rack!=r0", "rack=r1", "node=n0", "node!=n1"}));
    add(line + whose());
  }

  std::string whose() {
    return fmt::format(" user={} project={}", one_of({"ann", "bob", "cid"}),
                       one_of({"a", "b", "c"}));
  }

  std::string any() { return fmt::format("s{}", 1 + below(submitted_)); }

  void step(std::uint32_t nodes, bool devices) {
    const auto kind = below(100);
    if (submitted_ == 0 || kind < 45) return submit(devices);
    if (kind < 60) return pass();
    if (kind < 72)
      return add(below(8) == 0 ? "wait 61m"
                               : fmt::format("wait {}m", 1 + below(15)));
    if (kind < 88) return add("end " + any());
    if (kind < 91) return add("cancel " + any());
    if (kind < 93) return add("exit " + any() + " 0");
    if (kind < 95) return add("requeue " + any());
    if (devices && kind < 96 && below(3) == 0) return add(sharing());
    if (kind < 96) return add(quota());
    if (devices && kind < 98)
      return add(fmt::format("{} n{} {}",
                             one_of({"quarantine", "release", "slow", "fast"}),
                             below(nodes), below(3)));
    add(fmt::format("{} n{}", one_of({"lost", "returned", "returned"}),
                    below(nodes)));
  }

  void pass() {
    add("pass");
    if (policy_.preemption != MakeRoom::off) add("preempt");
  }

  std::mt19937_64 random_;
  Policy policy_;
  Case lines_;
  std::uint32_t submitted_ = 0;
  bool array_ = false;
  std::string array_line_;
  std::uint32_t array_first_ = 0;
};

Case random_case(std::uint64_t seed, const std::string& policy) {
  return Maker(seed, policy).make();
}

const CaseOptions random_options{.lenient = true, .plant = {}};

bool fails(const Case& lines) {
  return !run_case(lines, random_options).wrong.empty();
}

std::vector<std::uint64_t> seeds() {
  const auto first = number_from("REEVE_SEED", 1);
  const auto runs =
      std::getenv("REEVE_SEED") ? 1 : number_from("REEVE_RUNS", 60);
  std::vector<std::uint64_t> all;
  for (auto seed = first; seed < first + runs; ++seed) all.push_back(seed);
  return all;
}

void check_agrees(const std::string& policy) {
  for (const auto seed : seeds()) {
    const auto lines = random_case(seed, policy_of(policy, seed));
    if (!fails(lines)) continue;
    const auto small = shrink(lines, fails);
    BOOST_ERROR("REEVE_SEED=" << seed << ", made smaller:\n"
                              << to_text(small)
                              << run_case(small, random_options).wrong);
    return;
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(agree)

BOOST_AUTO_TEST_CASE(each_order_with_each_backfill_agrees_with_the_obvious) {
  for (const std::string order : orders)
    for (const std::string backfill : backfills)
      check_agrees(order + "," + backfill);
}

BOOST_AUTO_TEST_CASE(each_packing_takes_the_best_of_all_places) {
  for (const std::string packing : packings)
    for (const std::string backfill : {"none", "greedy"})
      check_agrees("fifo," + backfill + ",packing=" + packing);
}

BOOST_AUTO_TEST_CASE(who_makes_room_are_the_cheapest_of_all_sets) {
  for (const std::string order : orders)
    for (const std::string word : {"priority", "fair"})
      check_agrees(order + ",greedy,preempt_after=5m,preemption=" + word);
}

BOOST_AUTO_TEST_CASE(the_same_input_gives_the_same_output) {
  for (const std::string order : orders)
    for (const std::string backfill : backfills)
      for (const auto seed : seeds()) {
        const auto policy = policy_of(order + "," + backfill, seed);
        const auto lines = random_case(seed, policy);
        const auto told = run_case(lines, random_options).told;
        BOOST_REQUIRE_MESSAGE(told == run_case(lines, random_options).told,
                              "REEVE_SEED=" << seed << ", " << policy);
      }
}

// The obvious scheduler is told of another order than the real one: two
// sessions that cannot start together tell them apart.
BOOST_AUTO_TEST_CASE(a_planted_disagreement_is_found_and_made_small) {
  const CaseOptions planted{.lenient = true, .plant = [](Policy& policy) {
                              policy.order = Order::lifo;
                            }};
  const auto differs = [&](const Case& lines) {
    return !run_case(lines, planted).wrong.empty();
  };
  std::uint64_t seed = 1;
  while (!differs(random_case(seed, "fifo,none"))) ++seed;
  BOOST_TEST(seed < 20);
  const auto lines = random_case(seed, "fifo,none");
  const auto small = shrink(lines, differs);
  BOOST_TEST(differs(small));
  BOOST_TEST(lines.size() > 12);
  BOOST_TEST(small.size() <= 5, to_text(small));
  // Without any one of its lines nothing is wrong.
  for (std::size_t i = 0; i < small.size(); ++i) {
    auto less = small;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    BOOST_TEST(!differs(less), to_text(less));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace agree_test
