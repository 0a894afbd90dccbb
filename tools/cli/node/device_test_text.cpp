#include "tools/cli/node/device_test_text.hpp"

#include <fmt/format.h>

#include "schema/wire.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

const schema::DeviceFigure* find(const schema::DeviceTest& test,
                                 string_view name) {
  if (test.figures() == nullptr) return nullptr;
  for (const auto* figure : *test.figures())
    if (schema::text(figure->name()) == name) return figure;
  return nullptr;
}

string percent(std::uint32_t milli) {
  return fmt::format("{} %", (milli + 5) / 10);
}

// Three digits: "3.17 T", "55.2 G".
string scaled(std::uint64_t value) {
  const auto number = static_cast<double>(value);
  if (value >= 1'000'000'000'000) return fmt::format("{:.3g} T", number / 1e12);
  if (value >= 1'000'000'000) return fmt::format("{:.3g} G", number / 1e9);
  return fmt::format("{:.3g} M", number / 1e6);
}

bool is_arithmetic(string_view name) {
  return name == "fp32" || name == "fp64" || name == "bf16";
}

}  // namespace

Tone tone_of(schema::DeviceVerdict verdict) {
  switch (verdict) {
    case schema::DeviceVerdict::healthy: return Tone::good;
    case schema::DeviceVerdict::slow: return Tone::busy;
    case schema::DeviceVerdict::not_tested: return Tone::faint;
    case schema::DeviceVerdict::unfinished:
    case schema::DeviceVerdict::faulty: return Tone::bad;
  }
  return Tone::plain;
}

string figure_text(const schema::DeviceTest& test, string_view name) {
  const auto* figure = find(test, name);
  if (figure == nullptr) return {};
  string out = fmt::format("{}{}/s", scaled(figure->per_second()),
                           is_arithmetic(name) ? "FLOP" : "B");
  if (figure->share_milli() > 0)
    out += fmt::format(" ({})", percent(figure->share_milli()));
  return out;
}

}  // namespace reeve::tools
