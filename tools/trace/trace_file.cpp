#include "tools/trace/trace_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "cluster/units.hpp"
#include "tools/trace/text_file.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

struct Format {
  string_view name;
  Expected<Trace> (*parse)(string_view text, string_view file);
};
constexpr Format formats[] = {{"openb", parse_openb},
                              {"helios", parse_helios},
                              {"swf", parse_swf},
                              {"reeve", parse_reeve}};

// What a refused file looks like: its first lines in another format.
string_view looks_like(string_view text, string_view refused_as) {
  std::size_t end = 0;
  for (int lines = 0; lines < 40 && end < text.size(); ++lines)
    end = std::min(text.find('\n', end), text.size() - 1) + 1;
  for (const auto& format : formats) {
    if (format.name == refused_as) continue;
    const auto trace = format.parse(text.substr(0, end), "");
    if (trace && trace->requests.size() + trace->never_ran > 0)
      return format.name;
  }
  return {};
}

bool is_number(string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == string_view::npos;
}

Expected<std::vector<TraceNode>> counted_nodes(string_view count,
                                               string_view group) {
  const auto number =
      parse_count(count, "number of simulated nodes", 1, trace_nodes_max);
  if (!number) return tl::unexpected(number.error());
  const string prefix =
      group.empty() ? string("sim-") : fmt::format("{}-", group);
  return made_up_nodes(static_cast<std::uint32_t>(*number), prefix, "A100",
                       group);
}

// "GROUP=16,OTHER=2".
Expected<std::vector<TraceNode>> grouped_nodes(string_view text) {
  std::vector<TraceNode> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = one.find('=');
    const bool whole = equals != string_view::npos && equals > 0 &&
                       is_number(one.substr(equals + 1));
    if (!whole)
      return fail(
          Errc::usage,
          fmt::format("\"{}\": GROUP=N is expected, as in gpus=20", one));
    auto nodes = counted_nodes(one.substr(equals + 1), one.substr(0, equals));
    if (!nodes) return nodes;
    std::move(nodes->begin(), nodes->end(), std::back_inserter(out));
  }
  return out;
}

}  // namespace

Expected<Trace> read_trace(const string& path, string_view format) {
  const auto known =
      std::find_if(std::begin(formats), std::end(formats),
                   [&](const Format& one) { return one.name == format; });
  if (known == std::end(formats))
    return fail(Errc::usage, fmt::format("\"{}\" is none of the formats {}",
                                         format, trace_formats));
  const auto text = read_text_file(path);
  if (!text) return tl::unexpected(text.error());
  auto trace = known->parse(*text, path);
  if (!trace) {
    const string_view other = looks_like(*text, format);
    if (!other.empty())
      return fail(trace.error().code,
                  fmt::format("{}; it looks like --format {}",
                              trace.error().text, other));
    return trace;
  }
  if (trace->requests.empty())
    return fail(Errc::usage, fmt::format("{} holds no request", path));
  return trace;
}

Expected<std::vector<TraceNode>> read_nodes(const string& text) {
  if (is_number(text)) return counted_nodes(text, "");
  const auto file = read_text_file(text);
  if (!file) return tl::unexpected(file.error());
  auto nodes = parse_openb_nodes(*file, text);
  if (nodes && nodes->empty())
    return fail(Errc::usage, fmt::format("{} holds no node", text));
  return nodes;
}

Expected<std::vector<TraceNode>> read_node_lists(
    std::span<const string> texts) {
  std::vector<TraceNode> out;
  for (const string& text : texts) {
    auto nodes =
        text.find('=') != string::npos ? grouped_nodes(text) : read_nodes(text);
    if (!nodes) return nodes;
    std::move(nodes->begin(), nodes->end(), std::back_inserter(out));
  }
  std::unordered_set<string_view> names;
  for (const auto& node : out)
    if (!names.insert(node.name).second)
      return fail(Errc::usage,
                  fmt::format("--nodes: node \"{}\" stands twice", node.name));
  return out;
}

}  // namespace reeve::tools
