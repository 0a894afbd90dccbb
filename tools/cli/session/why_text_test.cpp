#include "tools/cli/session/why_text.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/types.hpp"

namespace reeve::tools::why_text_test {
namespace {

struct Run {
  std::vector<std::string> nodes{};
  std::uint32_t sessions = 1;
  std::uint32_t starting = 0;
  std::vector<std::uint64_t> makes_room{};
  std::uint64_t makes_room_at = 0;
};

// At one o'clock.
std::string text(const Run& run) {
  flatbuffers::FlatBufferBuilder builder;
  const auto why = schema::CreateWhyAnswerDirect(
      builder, 0, schema::SessionState::pending, "no room");
  const auto nodes = builder.CreateVectorOfStrings(run.nodes);
  const auto room = builder.CreateVector(run.makes_room);
  builder.Finish(schema::CreateDryRunAnswer(builder, 0, 0, nodes, why,
                                            run.sessions, run.starting, room,
                                            run.makes_room_at));
  return dry_run_text(
      *flatbuffers::GetRoot<schema::DryRunAnswer>(builder.GetBufferPointer()),
      {}, hour_ns);
}

BOOST_AUTO_TEST_SUITE(why_texts)

BOOST_AUTO_TEST_CASE(a_sentence_of_the_cell_stays_in_its_line) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::CreateWhyAnswerDirect(
      builder, 0, schema::SessionState::failed, "ended (\033[2J\nforged)"));
  BOOST_TEST(why_text(*flatbuffers::GetRoot<schema::WhyAnswer>(
                          builder.GetBufferPointer()),
                      {}) == "ended ( [2J forged)\n");
}

BOOST_AUTO_TEST_CASE(a_dry_run_tells_where_it_would_start) {
  BOOST_TEST(text({.nodes = {"a"}, .starting = 1}) ==
             "it would start at once on a\n");
  BOOST_TEST(text({.nodes = {"a", "b", "a"}, .starting = 1}) ==
             "it would start at once on a (2 tasks) b\n");
}

BOOST_AUTO_TEST_CASE(a_dry_run_of_an_array_tells_how_many_would) {
  BOOST_TEST(text({.nodes = {"a", "b", "a"}, .sessions = 3, .starting = 3}) ==
             "3 of 3 sessions would start at once on a (2 tasks) b\n");
  BOOST_TEST(text({.nodes = {"a", "b"}, .sessions = 3, .starting = 2}) ==
             "2 of 3 sessions would start at once on a b\n"
             "1 session would wait: no room\n");
  std::vector<std::string> many;
  for (int i = 0; i < 18; ++i) many.push_back("n" + std::to_string(i));
  BOOST_TEST(text({.nodes = many, .sessions = 18, .starting = 18})
                 .find(" n15 and 2 more nodes\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_dry_run_tells_who_would_make_room) {
  BOOST_TEST(text({}) == "it would wait: no room\n");
  BOOST_TEST(
      text({.makes_room = {4, 2}, .makes_room_at = hour_ns}) ==
      "it would wait: no room\n"
      "to make room for it, s-4, s-2 would be told to end at once; then it "
      "starts\n");
  const auto later =
      text({.sessions = 2, .makes_room = {4}, .makes_room_at = 2 * hour_ns});
  BOOST_TEST(later.find("to make room for the first of them, s-4 would be told "
                        "to end at 1970-01-01") != std::string::npos);
  BOOST_TEST(text({.makes_room = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}})
                 .find("s-8 and 2 more would") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace reeve::tools::why_text_test
