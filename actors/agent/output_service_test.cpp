#include "actors/agent/output_service.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/output.hpp"
#include "bus/buffer.hpp"
#include "bus/test_support.hpp"
#include "schema/wire.hpp"

namespace reeve::agent::output_service_test {
namespace {

using bus::testing::TemporaryDirectory;

constexpr std::size_t written = output_read_bytes_max + 10;

std::size_t bytes_read(const std::string& directory, std::uint32_t asked) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::CreateOutputRead(builder, 5, 1, 0, 1, 0, asked));
  const auto answer = bus::Buffer::copy(read_chunk(
      directory,
      *flatbuffers::GetRoot<schema::OutputRead>(builder.GetBufferPointer()),
      true));
  const auto* chunk = schema::verified<schema::OutputChunk>(answer);
  BOOST_REQUIRE(chunk != nullptr && chunk->data() != nullptr);
  BOOST_TEST(chunk->end() == written);
  return chunk->data()->size();
}

BOOST_AUTO_TEST_CASE(one_answer_has_a_bounded_part_of_the_output) {
  TemporaryDirectory place;
  const std::string directory = place.path().string();
  std::ofstream(keeper::output_path(directory, {5, 1, 0}, keeper::Stream::out))
      << std::string(written, 'x');
  BOOST_TEST(bytes_read(directory, 0) == output_read_bytes_max);
  BOOST_TEST(bytes_read(directory, output_read_bytes_max - 1) ==
             output_read_bytes_max - 1);
  BOOST_TEST(bytes_read(directory, output_read_bytes_max) ==
             output_read_bytes_max);
  BOOST_TEST(bytes_read(directory, output_read_bytes_max + 1) ==
             output_read_bytes_max);
}

BOOST_AUTO_TEST_CASE(output_ends_at_its_tail_where_there_is_no_head) {
  TemporaryDirectory place;
  const std::string directory = place.path().string();
  const std::string tail =
      keeper::output_path(directory, {5, 1, 0}, keeper::Stream::out) + ".tail";
  std::filesystem::create_directory(tail);
  std::ofstream(tail + "/10") << std::string(written - 10, 'x');
  BOOST_TEST(bytes_read(directory, 0) == output_read_bytes_max);
}

// Nothing: there is no error in the answer.
std::string error_read(const std::string& directory, bool ended) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::CreateOutputRead(builder, 5, 1, 0, 2, 0, 0));
  const auto answer = bus::Buffer::copy(read_chunk(
      directory,
      *flatbuffers::GetRoot<schema::OutputRead>(builder.GetBufferPointer()),
      ended));
  const auto* chunk = schema::verified<schema::OutputChunk>(answer);
  BOOST_REQUIRE(chunk != nullptr);
  return std::string(schema::text(chunk->error()));
}

BOOST_AUTO_TEST_CASE(a_reader_is_told_that_output_is_no_longer_kept) {
  TemporaryDirectory place;
  const std::string directory = place.path().string();
  BOOST_TEST(error_read(directory, true) == "");
  keeper::empty_output(directory, {5, 1, 0});
  BOOST_TEST(error_read(directory, true).starts_with("it is no longer kept"));
  BOOST_TEST(error_read(directory, false) == "");
}

}  // namespace
}  // namespace reeve::agent::output_service_test
