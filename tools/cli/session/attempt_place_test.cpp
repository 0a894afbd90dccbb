#include "tools/cli/session/attempt_place.hpp"

#include <boost/test/unit_test.hpp>
#include <map>
#include <utility>
#include <vector>

namespace reeve::tools::attempt_place_test {
namespace {

// A log where few events place a session; the rest do nothing.
struct Log {
  struct Placed {
    std::uint64_t session = 0;
    std::uint32_t attempt = 0;
    std::vector<std::uint32_t> nodes;
  };

  Status read(std::uint64_t from, std::uint64_t to,
              const std::function<bool(const schema::Event&)>& visit) {
    parts.emplace_back(from, to);
    for (auto at = placed.lower_bound(from);
         at != placed.end() && at->first <= to; ++at) {
      flatbuffers::FlatBufferBuilder builder;
      std::vector<flatbuffers::Offset<schema::TaskPlacement>> tasks;
      for (const std::uint32_t node : at->second.nodes)
        tasks.push_back(schema::CreateTaskPlacement(builder, node));
      const auto body = schema::CreateSessionPlacedDirect(
          builder, at->second.session, at->second.attempt, &tasks);
      schema::EventBuilder event(builder);
      event.add_seq(at->first);
      event.add_body_type(schema::EventBody::SessionPlaced);
      event.add_body(body.Union());
      builder.Finish(event.Finish());
      if (!visit(
              *flatbuffers::GetRoot<schema::Event>(builder.GetBufferPointer())))
        break;
    }
    return {};
  }

  std::optional<NodeId> find(std::uint64_t from, std::uint64_t to,
                             const AttemptTask& task) {
    parts.clear();
    const auto node = node_of_attempt(
        [this](auto begin, auto end, const auto& visit) {
          return read(begin, end, visit);
        },
        from, to, task);
    BOOST_REQUIRE(node);
    return *node;
  }

  std::map<std::uint64_t, Placed> placed;                      // by sequence
  std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;  // that were read
};

BOOST_AUTO_TEST_SUITE(attempt_place)

BOOST_AUTO_TEST_CASE(each_attempt_and_rank_has_its_own_node) {
  Log log;
  log.placed[12] = {7, 1, {3, 4}};
  log.placed[14] = {8, 1, {9, 9}};
  log.placed[20] = {7, 2, {5, 6}};
  BOOST_TEST(log.find(10, 30, {SessionId{7}, 1, 0})->value == 3u);
  BOOST_TEST(log.find(10, 30, {SessionId{7}, 1, 1})->value == 4u);
  BOOST_TEST(log.find(10, 30, {SessionId{7}, 2, 1})->value == 6u);
  BOOST_TEST(!log.find(10, 30, {SessionId{7}, 3, 0}).has_value());
  BOOST_TEST(!log.find(10, 30, {SessionId{7}, 1, 2}).has_value());
}

BOOST_AUTO_TEST_CASE(the_newest_events_are_read_first_and_each_once) {
  Log log;
  constexpr std::uint64_t from = 5;
  constexpr std::uint64_t to = 1'000'000;
  log.placed[from] = {7, 1, {3}};
  log.placed[to] = {7, 2, {4}};
  BOOST_TEST(log.find(from, to, {SessionId{7}, 2, 0})->value == 4u);
  BOOST_TEST(log.parts.size() == 1u);
  BOOST_TEST(log.parts[0].first > to - 10'000);
  BOOST_TEST(log.find(from, to, {SessionId{7}, 1, 0})->value == 3u);
  std::uint64_t end = to;
  for (const auto& [first, last] : log.parts) {
    BOOST_TEST(last == end);
    BOOST_TEST(first <= last);
    end = first - 1;
  }
  BOOST_TEST(end == from - 1);
  BOOST_TEST(log.parts.size() < 10u);
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_read_is_told) {
  const auto node = node_of_attempt(
      [](auto, auto, const auto&) -> Status {
        return fail(Errc::damaged, "gone");
      },
      1, 9, {SessionId{7}, 1, 0});
  BOOST_REQUIRE(!node);
  BOOST_TEST(node.error().text == "gone");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::attempt_place_test
