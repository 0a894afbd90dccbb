// Commands and questions that pass the verification and are made of nonsense,
// through a manager's core. It answers, its state stays whole, and the log that
// it writes replays to the same state.
#include <boost/test/unit_test.hpp>

#include "actors/manager/test_harness.hpp"
#include "schema/json.hpp"
#include "schema/sample.hpp"
#include "schema/wire.hpp"
#include "tests/fuzz/mutator.hpp"
#include "tests/paths.hpp"

namespace reeve::fuzz {
namespace {

using manager::testing::TwoNodes;
using schema::testing::Aligned;
using schema::testing::Fill;

constexpr std::uint64_t commands = 60'000;
constexpr std::uint64_t questions = 20'000;
constexpr std::uint64_t events = 30'000;
constexpr std::uint64_t per_commit = 16;

// One of each kind, in full and with as little as it may have.
std::vector<std::string> corpus_of(const std::string& table,
                                   const std::string& identifier,
                                   const std::string& bodies, bool prefixed) {
  schema::testing::Schemas schemas{
      std::filesystem::path(testing::source_dir()) / "schema"};
  std::vector<std::string> corpus;
  for (const std::string& body : schemas.members(bodies))
    for (const Fill fill : {Fill::all, Fill::sparse}) {
      const Aligned made = schemas.binary(
          table, identifier, schemas.sample(table, body, fill), prefixed);
      corpus.emplace_back(reinterpret_cast<const char*>(made.bytes().data()),
                          made.bytes().size());
    }
  return corpus;
}

Aligned aligned(const std::string& bytes) {
  return {bytes.data(), bytes.size()};
}

BOOST_AUTO_TEST_SUITE(fuzz_messages)

BOOST_FIXTURE_TEST_CASE(commands_of_nonsense, TwoNodes) {
  const auto session = submitted(cluster::testing::tasks_of(2));
  place(session, {"n0", "n1"});
  Mutator mutator(corpus_of("Command", "RVC1", "CommandBody", false));
  const std::string_view principals[] = {"root",     "ann",     "agent-n0",
                                         "agent-n1", "token-1", ""};
  std::uint64_t verified = 0;
  const auto runs = commands * setting("REEVE_RUNS", 1);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const Aligned made = aligned(mutator.next());
    if (const auto* command = schema::verified<schema::Command>(made.bytes())) {
      ++verified;
      core->on_command(
          *command, principals[mutator.below(std::size(principals))], "r", now);
    }
    if (i % per_commit != 0) continue;
    now.value += second_ns / 100;
    commit();
  }
  commit();
  BOOST_TEST(verified > runs / 20);
  BOOST_TEST(!replies.empty());
  const auto sound = state().check_invariants();
  BOOST_TEST(sound.has_value(), (sound ? "" : sound.error().text));
  BOOST_TEST(replayed().digest_hex() == state().digest_hex());
}

BOOST_FIXTURE_TEST_CASE(questions_of_nonsense, TwoNodes) {
  running(cluster::testing::tasks_of(2));
  const auto before = state().digest_hex();
  Mutator mutator(corpus_of("Query", "RVQ1", "QueryBody", false));
  std::uint64_t answered = 0;
  const auto runs = questions * setting("REEVE_RUNS", 1);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const Aligned made = aligned(mutator.next());
    const auto* query = schema::verified<schema::Query>(made.bytes());
    if (query == nullptr || core->on_query(*query, "ann", "q")) continue;
    collect();
    const auto found = replies.find("q");
    BOOST_REQUIRE(found != replies.end());
    ++answered;
    // What leaves passes the same verification.
    const Aligned answer(found->second.data(), found->second.size());
    BOOST_REQUIRE(schema::verified<schema::Answer>(answer.bytes()) != nullptr);
    replies.erase(found);
  }
  BOOST_TEST(answered > 0u);
  BOOST_TEST(state().digest_hex() == before);
}

// As a tool that listens to the bus has them.
BOOST_AUTO_TEST_CASE(events_of_nonsense_have_a_text) {
  Mutator mutator(corpus_of("Event", "RVE1", "EventBody", true));
  std::uint64_t told = 0;
  const auto runs = events * setting("REEVE_RUNS", 1);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const Aligned made = aligned(mutator.next());
    const auto* event = schema::verified_event(made.bytes());
    if (event == nullptr) continue;
    ++told;
    BOOST_REQUIRE(!schema::to_json(*event).empty());
  }
  BOOST_TEST(told > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::fuzz
