// Commands and questions that pass the verification and are made of nonsense,
// through a manager's core. It answers, its state stays whole, and the log that
// it writes replays to the same state.
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "actors/manager/test_harness.hpp"
#include "schema/json.hpp"
#include "schema/sample.hpp"
#include "schema/wire.hpp"
#include "tests/fuzz/mutator.hpp"
#include "tests/paths.hpp"

namespace reeve::fuzz::messages_test {
namespace {

using manager::testing::TwoNodes;
using schema::testing::Aligned;
using schema::testing::Fill;

constexpr std::uint64_t commands = 300'000;
constexpr std::uint64_t questions = 100'000;
constexpr std::uint64_t events = 100'000;
constexpr std::uint64_t applications = 20'000;
constexpr std::uint64_t per_commit = 16;

// Names and numbers that mean something to the cell of the test, where they
// are asked for.
void make_plausible(boost::json::value& value, std::string_view key) {
  if (auto* object = value.if_object()) {
    object->erase("protocol");  // as what comes with the first release
    for (auto& [name, inner] : *object) make_plausible(inner, name);
  } else if (auto* list = value.if_array()) {
    for (auto& inner : *list) make_plausible(inner, key);
  } else if (value.is_string()) {
    if (key == "node" || key == "agent" || key == "nodes") value = "n0";
    if (key == "device" || key == "uuid") value = "GPU-n0-0";
    if (key == "user" || key == "name") value = "ann";
    if (key == "project" || key == "parent" || key == "group") value = "";
  } else if (key == "session" || key == "attempt") {
    value = 1;
  }
}

// One of each kind, in full and with as little as it may have, as the schema
// gives it and with what is plausible.
std::vector<std::string> corpus_of(const std::string& table,
                                   const std::string& identifier,
                                   const std::string& bodies, bool prefixed) {
  schema::testing::Schemas schemas{
      std::filesystem::path(testing::source_dir()) / "schema"};
  std::vector<std::string> corpus;
  for (const std::string& body : schemas.members(bodies))
    for (const Fill fill : {Fill::all, Fill::sparse}) {
      boost::json::value sample = schemas.sample(table, body, fill);
      for (const bool plausible : {false, true}) {
        if (plausible) make_plausible(sample, "");
        const Aligned made =
            schemas.binary(table, identifier, sample.as_object(), prefixed);
        corpus.emplace_back(reinterpret_cast<const char*>(made.bytes().data()),
                            made.bytes().size());
      }
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
  const std::string_view principals[] = {"root", "root", "ann",    "n0",
                                         "n1",   "",     "token-1"};
  std::uint64_t verified = 0;
  const std::size_t before = log.size();
  const auto runs = commands * setting("REEVE_RUNS", 1);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const Aligned made = aligned(mutator.next_alike());
    const auto* command = schema::verified<schema::Command>(made.bytes());
    // Of one that came before, the answer is all that is looked at. Another id
    // may be in the place of something else.
    if (command != nullptr && mutator.below(8) != 0) {
      *const_cast<schema::Id128*>(command->id()) = next_id();
      command = schema::verified<schema::Command>(made.bytes());
    }
    if (command != nullptr) {
      ++verified;
      core->on_command(
          *command, principals[mutator.below(std::size(principals))], "r", now);
    }
    if (i % per_commit != 0) continue;
    tick(second_ns / 100);
    commit();
    orders();
  }
  commit();
  BOOST_TEST_MESSAGE(runs << " commands, " << verified << " verified, "
                          << log.size() - before << " commits");
  BOOST_TEST(verified > runs / 4);
  BOOST_TEST(log.size() > before + 10);
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
    const Aligned made = aligned(mutator.next_alike());
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

// As one that follows a log of a later release has them, or of one who lies.
BOOST_FIXTURE_TEST_CASE(events_of_nonsense_are_applied_or_refused, TwoNodes) {
  running(cluster::testing::tasks_of(2));
  Mutator mutator(corpus_of("Event", "RVE1", "EventBody", false));
  std::uint64_t applied = 0;
  cluster::State fresh = replayed();
  const auto runs = applications * setting("REEVE_RUNS", 1);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const Aligned made = aligned(mutator.next_alike());
    const auto* event = schema::verified<schema::Event>(made.bytes());
    if (event == nullptr) continue;
    // Its place in the log, which another field may share with it.
    auto* table = const_cast<flatbuffers::Table*>(
        reinterpret_cast<const flatbuffers::Table*>(event));
    table->SetField<std::uint64_t>(schema::Event::VT_SEQ,
                                   fresh.last_sequence().value + 1, 0);
    table->SetField<std::uint64_t>(schema::Event::VT_EPOCH, 9, 0);
    if (!schema::verified<schema::Event>(made.bytes())) continue;
    if (fresh.apply(*event))
      ++applied;
    else
      fresh = replayed();  // of a contradiction nobody goes on from
  }
  BOOST_TEST(applied > runs / 20);
}

// As a tool that listens to the bus has them.
BOOST_AUTO_TEST_CASE(events_of_nonsense_have_a_text) {
  Mutator mutator(corpus_of("Event", "RVE1", "EventBody", true));
  std::uint64_t told = 0;
  const auto runs = events * setting("REEVE_RUNS", 1);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const Aligned made = aligned(mutator.next_alike());
    const auto* event = schema::verified_event(made.bytes());
    if (event == nullptr) continue;
    ++told;
    BOOST_REQUIRE(!schema::to_json(*event).empty());
  }
  BOOST_TEST(told > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::fuzz::messages_test
