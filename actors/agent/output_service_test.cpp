#include "actors/agent/output_service.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "actors/agent/keeper/output.hpp"
#include "bus/buffer.hpp"
#include "bus/test_support.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {
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

}  // namespace
}  // namespace reeve::agent
