#include "tools/cli/node/device_test_text.hpp"

#include <boost/test/unit_test.hpp>

namespace reeve::tools::device_test_text_test {
namespace {

using schema::DeviceVerdict;

struct Test {
  flatbuffers::FlatBufferBuilder builder;

  const schema::DeviceTest& make(DeviceVerdict verdict,
                                 std::uint32_t share_milli) {
    builder.Clear();
    const std::vector figures{
        schema::CreateDeviceFigureDirect(builder, "memory_read",
                                         3'170'000'000'000, share_milli),
        schema::CreateDeviceFigureDirect(builder, "to_device", 55'210'000'000),
        schema::CreateDeviceFigureDirect(builder, "fp32", 64'300'000'000'000,
                                         961)};
    builder.Finish(schema::CreateDeviceTestDirect(builder, "GPU-a", 7, true, 1,
                                                  5'000'000'000, verdict,
                                                  nullptr, &figures));
    return *flatbuffers::GetRoot<schema::DeviceTest>(
        builder.GetBufferPointer());
  }
};

BOOST_FIXTURE_TEST_CASE(figures_are_told_with_their_share_of_the_model, Test) {
  const auto& test = make(DeviceVerdict::healthy, 945);
  BOOST_TEST(figure_text(test, "memory_read") == "3.17 TB/s (95 %)");
  BOOST_TEST(figure_text(test, "to_device") == "55.2 GB/s");
  BOOST_TEST(figure_text(test, "fp32") == "64.3 TFLOP/s (96 %)");
  BOOST_TEST(figure_text(test, "bf16") == "");
}

BOOST_AUTO_TEST_CASE(each_verdict_has_its_tone) {
  BOOST_CHECK(tone_of(DeviceVerdict::healthy) == Tone::good);
  BOOST_CHECK(tone_of(DeviceVerdict::slow) == Tone::busy);
  BOOST_CHECK(tone_of(DeviceVerdict::unfinished) == Tone::bad);
  BOOST_CHECK(tone_of(DeviceVerdict::faulty) == Tone::bad);
  BOOST_CHECK(tone_of(DeviceVerdict::not_tested) == Tone::faint);
}

}  // namespace
}  // namespace reeve::tools::device_test_text_test
