// What could never run is said at submit, with the numbers.
#include "cluster/scheduling/capacity.hpp"

#include <boost/test/unit_test.hpp>

#include "cluster/scheduling/test_cell.hpp"
#include "schema/types_generated.h"

namespace capacity_test {

using namespace reeve::cluster;

namespace {

std::vector<Shape> cell() {
  return {{"default", false, 64000, 256 * gib, {{"A100", 8, 80 * gib}}, 2},
          {"default", false, 32000, 128 * gib, {{"T4", 4, 16 * gib}}, 3},
          {"default", false, 128000, 64 * gib, {}, 1},
          {"lab", true, 4000, 8 * gib, {}, 1}};
}

Request request(const TestSession& session) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(session_spec(builder, session));
  return request_of(*flatbuffers::GetRoot<reeve::schema::SessionSpec>(
      builder.GetBufferPointer()));
}

// Empty when the request is possible.
std::string verdict(const TestSession& session) {
  return impossible(cell(), request(session)).value_or("");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(capacity)

BOOST_AUTO_TEST_CASE(a_request_is_brought_to_normal_form) {
  const auto shares = request({.gpus = 1,
                               .gpu_milli = 5000,
                               .gpu_models = {"T4", "a100", "t4"},
                               .tasks = 0,
                               .nodes = 7});
  BOOST_TEST(shares.gpu_milli == 1000U);
  BOOST_TEST((shares.gpu_models == std::vector<std::string>{"a100", "t4"}));
  BOOST_TEST(shares.tasks == 1U);
  BOOST_TEST(shares.nodes == 1U);
  BOOST_TEST(shares.group == "default");
  const auto plain = request({.gpu_memory_bytes = 5, .gpu_models = {"x"}});
  BOOST_TEST((plain == request({})));
}

BOOST_AUTO_TEST_CASE(what_fits_an_empty_cell_is_possible) {
  const TestSession rows[] = {
      {},
      {.cpu_milli = 128000},
      {.memory_bytes = 256 * gib},
      {.gpus = 8},
      {.gpus = 8, .gpu_models = {"a100"}},
      {.gpus = 1, .gpu_models = {"h100", "T4"}},
      {.gpus = 1, .gpu_milli = 500, .gpu_memory_bytes = 80 * gib},
      {.gpus = 1, .tasks = 28},
      {.gpus = 1, .gpu_milli = 250, .gpu_models = {"t4"}, .tasks = 48},
      {.gpus = 2, .tasks = 9, .nodes = 5},
      {.cpu_milli = 4000, .group = "lab", .simulated = true},
  };
  for (const auto& row : rows) BOOST_TEST(verdict(row) == "");
}

BOOST_AUTO_TEST_CASE(what_never_fits_is_said_with_the_largest_there_is) {
  const std::pair<TestSession, std::string> rows[] = {
      {{.cpu_milli = 129000},
       "needs 129 CPUs in a task; the largest node of group default has 128 "
       "CPUs"},
      {{.memory_bytes = 257 * gib},
       "needs 257.0 GiB of memory in a task; the largest node of group default "
       "has 256.0 GiB"},
      {{.gpus = 16},
       "needs 16 GPUs in a task; the largest node of group default has 8 "
       "(A100)"},
      {{.gpus = 5, .gpu_models = {"t4"}},
       "needs 5 GPUs in a task; the largest node of group default has 4 (T4)"},
      {{.gpus = 1, .gpu_models = {"h100"}},
       "needs GPUs of model h100; group default has none, it has A100, T4"},
      {{.gpus = 1, .gpu_milli = 500, .gpu_memory_bytes = 81 * gib},
       "needs 81.0 GiB of memory on a GPU; the largest GPU has 80.0 GiB"},
      {{.cpu_milli = 100000, .gpus = 1},
       "needs 100 CPUs, 1.0 GiB of memory and 1 GPU in one task; group "
       "default has each of them, but no node all together"},
      {{.gpus = 1, .tasks = 29},
       "needs room for 29 tasks at once; group default takes 28, empty"},
      {{.gpus = 8, .tasks = 3, .nodes = 3},
       "needs 3 nodes with room for 1 task each; group default has 2 such "
       "nodes"},
      {{.gpus = 4, .tasks = 8, .nodes = 5},
       "needs 3 of its 5 nodes with room for 2 tasks each; group default has 2 "
       "such "
       "nodes"},
      {{.gpus = 1, .group = "lab", .simulated = true},
       "needs 1 GPU in a task; simulated nodes of group lab has none"},
      {{.group = "lab"}, "no node in group lab: nothing could run it"},
      {{.simulated = true},
       "no simulated node in group default: nothing could run it"},
  };
  for (const auto& [session, text] : rows) BOOST_TEST(verdict(session) == text);
}

BOOST_AUTO_TEST_CASE(of_many_models_the_first_are_told) {
  Shape node{"default", false, 64000, 256 * gib, {}, 1};
  for (int number = 10; number < 21; ++number)
    node.gpus.push_back({"G" + std::to_string(number), 1, gib});
  const auto text =
      impossible({node}, request({.gpus = 1, .gpu_models = {"h100"}}));
  BOOST_TEST(text.value_or("") ==
             "needs GPUs of model h100; group default has none, it has G10, "
             "G11, G12, G13, G14, G15, G16, G17 and 3 more");
}

BOOST_AUTO_TEST_CASE(mig_instances_are_given_to_those_who_name_their_model) {
  const std::vector<Shape> cut = {{"default",
                                   false,
                                   64000,
                                   256 * gib,
                                   {{"A100 MIG 1g.10gb", 7, 10 * gib}},
                                   1}};
  const auto verdict_of = [&](const TestSession& session) {
    return impossible(cut, request(session)).value_or("");
  };
  BOOST_TEST(verdict_of({.gpus = 2, .gpu_models = {"a100 mig 1g.10gb"}}) == "");
  BOOST_TEST(
      verdict_of({.gpus = 1}) ==
      "needs 1 GPU in a task; group default has MIG instances only, which are "
      "given to those who name their model, as in --gpus 'A100 MIG 1g.10gb:1'");
  BOOST_TEST(verdict_of({.gpus = 8, .gpu_models = {"A100 MIG 1g.10gb"}}) ==
             "needs 8 GPUs in a task; the largest node of group default has 7 "
             "(A100 MIG 1g.10gb)");
}

BOOST_AUTO_TEST_CASE(shapes_count_devices_by_model_and_memory) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(
      node_spec(builder, {.number = 1, .models = {"T4", "A100", "T4"}}));
  const auto shape = shape_of(*flatbuffers::GetRoot<reeve::schema::NodeSpec>(
      builder.GetBufferPointer()));
  BOOST_REQUIRE_EQUAL(shape.gpus.size(), 2);
  BOOST_TEST(shape.gpus[0].model == "T4");
  BOOST_TEST(shape.gpus[0].count == 2U);
  BOOST_TEST(shape.group == "default");
  BOOST_TEST(fits_empty(shape, request({.gpus = 3})));
  BOOST_TEST(!fits_empty(shape, request({.gpus = 4})));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace capacity_test
