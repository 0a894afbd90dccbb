#include "gpu/probe/result.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace reeve::gpu::probe {
namespace {

namespace json = boost::json;

tl::unexpected<std::string> no(std::string_view what) {
  return tl::unexpected<std::string>(
      fmt::format("a line that is no result of the probe: {}", what));
}

std::string text_at(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  if (!value || !value->is_string()) return "";
  return std::string(value->get_string());
}

bool number_of(const json::value& value, double& number) {
  if (!value.is_number()) return false;
  number = value.to_number<double>();
  return true;
}

}  // namespace

std::string to_line(const Result& result) {
  json::object to = {{"check", result.check}, {"seconds", result.seconds}};
  json::object figures;
  for (const Figure& figure : result.figures)
    figures[figure.name] = figure.value;
  to["figures"] = figures;
  json::array wrong;
  for (const auto& sentence : result.wrong)
    wrong.push_back(json::string(sentence));
  to["wrong"] = wrong;
  if (!result.error.empty()) to["error"] = result.error;
  return json::serialize(to);
}

tl::expected<Result, std::string> parse_line(std::string_view line) {
  if (line.size() > result_line_bytes_max) return no("it is too long");
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error) return no(error.message());
  const json::object* from = value.if_object();
  if (!from) return no("not an object");
  Result result;
  result.check = text_at(*from, "check");
  if (result.check.empty()) return no("it names no check");
  result.error = text_at(*from, "error");
  const json::value* seconds = from->if_contains("seconds");
  if (!seconds || !number_of(*seconds, result.seconds))
    return no("it tells no seconds");
  const json::value* figures = from->if_contains("figures");
  if (!figures || !figures->is_object()) return no("it has no figures");
  for (const auto& [name, number] : figures->get_object()) {
    double figure = 0;
    if (!number_of(number, figure)) return no("a figure is no number");
    result.figures.push_back({std::string(name), figure});
  }
  const json::value* wrong = from->if_contains("wrong");
  if (!wrong || !wrong->is_array()) return no("it does not tell what is wrong");
  for (const json::value& sentence : wrong->get_array()) {
    if (!sentence.is_string()) return no("a sentence is no text");
    result.wrong.emplace_back(sentence.get_string());
  }
  return result;
}

}  // namespace reeve::gpu::probe
