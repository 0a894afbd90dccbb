#include "schema/wire.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "schema/sample.hpp"
#include "tests/paths.hpp"

namespace reeve::schema::wire_test {
namespace {

using testing::Aligned;
using testing::Fill;
using testing::Schemas;

Schemas& schemas() {
  static Schemas all{std::filesystem::path(reeve::testing::source_dir()) /
                     "schema"};
  return all;
}

template <class Table>
Aligned full_sample(const std::string& identifier = Wire<Table>::identifier) {
  return schemas().binary(Wire<Table>::name, identifier,
                          schemas().sample(Wire<Table>::name, {}, Fill::all),
                          false);
}

template <class Table>
void check_refusals() {
  const Aligned whole = full_sample<Table>();
  const Bytes bytes = whole.bytes();
  BOOST_TEST(verified<Table>(bytes) != nullptr, Wire<Table>::name);
  // The last bytes may be padding that nothing refers to.
  constexpr std::size_t padding_max = 8;
  for (std::size_t size = 0; size + padding_max <= bytes.size(); ++size) {
    const Aligned cut(bytes.data(), size);
    BOOST_REQUIRE(verified<Table>(cut.bytes()) == nullptr);
  }
  BOOST_TEST(verified<Table>(full_sample<Table>("XXXX").bytes()) == nullptr);
  BOOST_TEST(verified<Table>(Bytes()) == nullptr);
}

BOOST_AUTO_TEST_CASE(cut_and_foreign_messages_are_refused) {
  check_refusals<Event>();
  check_refusals<Command>();
  check_refusals<Reply>();
  check_refusals<Query>();
  check_refusals<Answer>();
  check_refusals<AgentOrder>();
  check_refusals<OutputRead>();
  check_refusals<OutputChunk>();
  check_refusals<Heartbeat>();
  check_refusals<NodeStats>();
  check_refusals<MemberBeat>();
  check_refusals<LogRead>();
  check_refusals<LogChunk>();
  check_refusals<StateSnapshot>();
}

BOOST_AUTO_TEST_CASE(a_misaligned_message_is_refused) {
  const Aligned whole = full_sample<Command>();
  const Bytes bytes = whole.bytes();
  std::vector<std::uint64_t> room(bytes.size() / 8 + 2);
  for (std::size_t shift = 0; shift < 8; ++shift) {
    auto* to = reinterpret_cast<std::byte*>(room.data()) + shift;
    std::copy(bytes.begin(), bytes.end(), to);
    const bool taken = verified<Command>(Bytes(to, bytes.size())) != nullptr;
    BOOST_TEST(taken == (shift == 0));
  }
}

template <class Table>
void check_bound(const std::string& identifier) {
  flatbuffers::FlatBufferBuilder builder;
  const std::string text(Wire<Table>::bytes_max, 'x');
  const auto large = builder.CreateString(text);
  const auto answer = CreateWhyAnswer(builder, 1, SessionState::pending, large);
  builder.Finish(answer, identifier.c_str());
  const Aligned whole(builder.GetBufferPointer(), builder.GetSize());
  BOOST_TEST(verified<Table>(whole.bytes()) == nullptr, Wire<Table>::name);
}

BOOST_AUTO_TEST_CASE(a_message_over_its_bound_is_refused) {
  check_bound<Query>(Wire<Query>::identifier);
  check_bound<Command>(Wire<Command>::identifier);
  check_bound<Answer>(Wire<Answer>::identifier);
}

// Bytes of a size only: one past the bound nothing of them is looked at.
template <class Table>
bool looked_at(std::size_t size) {
  static const Aligned whole = full_sample<Table>();
  return verified<Table>({whole.bytes().data(), size}) != nullptr;
}

BOOST_AUTO_TEST_CASE(what_is_one_byte_past_its_bound_is_not_even_looked_at) {
  BOOST_TEST(looked_at<Query>(full_sample<Query>().bytes().size()));
  BOOST_TEST(!looked_at<Query>(query_bytes_max + 1));
  BOOST_TEST(!looked_at<Event>(event_bytes_max + 1));
  BOOST_TEST(!looked_at<StateSnapshot>(snapshot_bytes_max + 1));
  const Aligned event = schemas().binary(
      "Event", "RVE1", schemas().sample("Event", "CellCreated", Fill::all),
      true);
  BOOST_TEST(verified_event({event.bytes().data(), event_bytes_max + 1}) ==
             nullptr);
}

BOOST_AUTO_TEST_CASE(a_query_of_just_its_bound_is_taken) {
  for (std::size_t filling = query_bytes_max - 256;; ++filling) {
    flatbuffers::FlatBufferBuilder builder;
    const std::string text(filling, 'n');
    const auto body = CreateNodesQueryDirect(builder, text.c_str());
    const Bytes bytes = finish(
        builder, CreateQuery(builder, QueryBody::NodesQuery, body.Union()));
    const Aligned whole(bytes.data(), bytes.size());
    const bool taken = verified<Query>(whole.bytes()) != nullptr;
    BOOST_REQUIRE(taken == (bytes.size() <= query_bytes_max));
    if (!taken) break;
  }
}

// What a verifier with other bounds says of a whole command.
bool passes(const Aligned& whole, unsigned depth, unsigned tables) {
  const Bytes bytes = whole.bytes();
  flatbuffers::Verifier verifier(
      reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), depth,
      tables);
  return verifier.VerifyBuffer<Command>(Wire<Command>::identifier);
}

BOOST_AUTO_TEST_CASE(no_message_of_ours_is_near_the_bounds_of_its_shape) {
  const Aligned whole = full_sample<Command>();
  BOOST_TEST(passes(whole, verify_depth_max, verify_tables_max));
  BOOST_TEST(passes(whole, verify_depth_max / 2, verify_tables_max / 1'000));
  // A table in a table is depth 2.
  BOOST_TEST(!passes(whole, 1, verify_tables_max));
  BOOST_TEST(!passes(whole, verify_depth_max, 1));
}

BOOST_AUTO_TEST_CASE(a_message_of_just_its_bound_is_taken) {
  std::size_t filling = command_bytes_max - 512;
  for (;; ++filling) {
    flatbuffers::FlatBufferBuilder builder;
    const Id128 id(1, 2);
    const std::string text(filling, 'n');
    const auto body = CreateDrainNodeDirect(builder, text.c_str());
    const Bytes bytes = finish(
        builder,
        CreateCommand(builder, &id, CommandBody::DrainNode, body.Union()));
    const Aligned whole(bytes.data(), bytes.size());
    const bool taken = verified<Command>(whole.bytes()) != nullptr;
    BOOST_REQUIRE(taken == (bytes.size() <= command_bytes_max));
    if (!taken) break;
  }
}

BOOST_AUTO_TEST_CASE(a_missing_required_field_is_refused) {
  flatbuffers::FlatBufferBuilder builder;
  const auto start = builder.StartTable();
  flatbuffers::Offset<Command> empty(builder.EndTable(start));
  const Bytes bytes = finish(builder, empty);
  const Aligned whole(bytes.data(), bytes.size());
  BOOST_TEST(verified<Command>(whole.bytes()) == nullptr);
}

BOOST_AUTO_TEST_CASE(an_event_is_one_whole_size_prefixed_buffer) {
  for (const std::string& kind : schemas().members("EventBody")) {
    const Aligned whole = schemas().binary(
        "Event", "RVE1", schemas().sample("Event", kind, Fill::all), true);
    const Bytes bytes = whole.bytes();
    const Event* event = verified_event(bytes);
    BOOST_REQUIRE_MESSAGE(event != nullptr, kind);
    BOOST_TEST(EnumNameEventBody(event->body_type()) == kind);
    BOOST_TEST(&event_of(bytes) == event);
    BOOST_TEST(bytes.size() % 8 == 0u, kind);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const Aligned cut(bytes.data(), size);
      BOOST_REQUIRE(verified_event(cut.bytes()) == nullptr);
    }
    std::vector<std::byte> longer(bytes.begin(), bytes.end());
    longer.resize(longer.size() + 8);
    const Aligned over(longer.data(), longer.size());
    BOOST_TEST(verified_event(over.bytes()) == nullptr, kind);
  }
}

}  // namespace
}  // namespace reeve::schema::wire_test
