#include "cluster/device_tests.hpp"

#include "schema/wire.hpp"

namespace reeve::cluster {

using Builder = flatbuffers::FlatBufferBuilder;

std::vector<TestFigure> figures_of(const WireFigures* figures) {
  std::vector<TestFigure> out;
  if (!figures) return out;
  for (const auto* figure : *figures)
    out.push_back({std::string(schema::text(figure->name())),
                   figure->per_second(), figure->share_milli()});
  return out;
}

DeviceTests tests_of(const WireTests* tests) {
  DeviceTests out;
  if (!tests) return out;
  for (const auto* test : *tests)
    out.emplace(
        test->uuid()->str(),
        DeviceTest{Sequence{test->test()}, test->full(), Time{test->asked_at()},
                   Time{test->told_at()}, test->verdict(),
                   std::string(schema::text(test->text())),
                   figures_of(test->figures())});
  return out;
}

flatbuffers::Offset<WireFigures> build_figures(
    Builder& builder, const std::vector<TestFigure>& figures) {
  std::vector<flatbuffers::Offset<schema::DeviceFigure>> list;
  for (const TestFigure& figure : figures)
    list.push_back(schema::CreateDeviceFigureDirect(
        builder, figure.name.c_str(), figure.per_second, figure.share_milli));
  return list.empty() ? 0 : builder.CreateVector(list);
}

flatbuffers::Offset<schema::DeviceTest> build_test(Builder& builder,
                                                   std::string_view uuid,
                                                   const DeviceTest& test) {
  const auto name = builder.CreateString(uuid.data(), uuid.size());
  const auto text = build_text(builder, test.text);
  const auto figures = build_figures(builder, test.figures);
  return schema::CreateDeviceTest(builder, name, test.id.value, test.full,
                                  test.asked_at.value, test.told_at.value,
                                  test.verdict, text, figures);
}

flatbuffers::Offset<WireTests> build_tests(Builder& builder,
                                           const DeviceTests& tests) {
  std::vector<flatbuffers::Offset<schema::DeviceTest>> list;
  for (const auto& [uuid, test] : tests)
    list.push_back(build_test(builder, uuid, test));
  return list.empty() ? 0 : builder.CreateVector(list);
}

void mark_slow(Node& node) {
  for (Device& device : node.devices) {
    const auto last = node.tested.find(device.uuid);
    device.slow = last != node.tested.end() &&
                  last->second.verdict == DeviceVerdict::slow;
  }
}

}  // namespace reeve::cluster
