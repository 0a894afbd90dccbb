// Tests of devices, between their messages and the state.
#pragma once

#include <string_view>

#include "cluster/state.hpp"

namespace reeve::cluster {

// A slow one computes right: it may be offered.
constexpr bool passed(DeviceVerdict verdict) {
  return verdict == DeviceVerdict::healthy || verdict == DeviceVerdict::slow;
}
constexpr bool failed(DeviceVerdict verdict) {
  return verdict == DeviceVerdict::unfinished ||
         verdict == DeviceVerdict::faulty;
}

using WireFigures =
    flatbuffers::Vector<flatbuffers::Offset<schema::DeviceFigure>>;
using WireTests = flatbuffers::Vector<flatbuffers::Offset<schema::DeviceTest>>;

std::vector<TestFigure> figures_of(const WireFigures* figures);
DeviceTests tests_of(const WireTests* tests);

// 0: there are none.
flatbuffers::Offset<WireFigures> build_figures(
    flatbuffers::FlatBufferBuilder& builder,
    const std::vector<TestFigure>& figures);
flatbuffers::Offset<schema::DeviceTest> build_test(
    flatbuffers::FlatBufferBuilder& builder, std::string_view uuid,
    const DeviceTest& test);
flatbuffers::Offset<WireTests> build_tests(
    flatbuffers::FlatBufferBuilder& builder, const DeviceTests& tests);

// `slow` of each device, as its last test has it.
void mark_slow(Node& node);

}  // namespace reeve::cluster
