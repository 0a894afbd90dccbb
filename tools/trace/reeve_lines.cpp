// The reeve format of recorded workloads.
#include <fmt/format.h>

#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "cluster/limits.hpp"
#include "cluster/session_id.hpp"
#include "cluster/trace/rows.hpp"
#include "cluster/types.hpp"
#include "cluster/units.hpp"
#include "tools/cli/session/submission_file.hpp"
#include "tools/trace/trace_file.hpp"

namespace reeve::tools {
namespace {

namespace json = boost::json;
using std::string_view;
using trace::Lines;

std::string_view text_of(const json::value& value) {
  return {value.get_string().data(), value.get_string().size()};
}

// A number is seconds, a text a duration.
Expected<std::uint64_t> length(const json::value& value) {
  if (value.is_string()) return parse_duration(text_of(value));
  boost::system::error_code no_number;
  const double seconds = value.to_number<double>(no_number);
  if (no_number || !(seconds >= 0) || seconds > trace::trace_seconds_max)
    return fail(Errc::usage,
                "a duration such as \"90m\", or seconds, is expected");
  return trace::nanoseconds(seconds);
}

// A number or "+30m" counts from the trace's start, all else is a time of day.
struct Moment {
  bool absolute = false;
  std::uint64_t ns = 0;
};
Expected<Moment> moment(const json::value& value) {
  Moment out;
  const bool relative = !value.is_string() || text_of(value).starts_with('+');
  if (relative) {
    auto since = value.is_string() ? parse_duration(text_of(value).substr(1))
                                   : length(value);
    if (!since) return tl::unexpected(since.error());
    out.ns = *since;
    return out;
  }
  const auto at = parse_time(text_of(value), TimeFrame{});
  if (!at) return tl::unexpected(at.error());
  out = {true, *at};
  return out;
}

class Reader {
 public:
  Reader(string_view text, string_view file) : lines_(text, file) {}

  Expected<Trace> read() {
    for (;;) {
      const auto more = lines_.next();
      if (!more) return tl::unexpected(more.error());
      if (!*more) break;
      if (lines_.line().find_first_not_of(" \t") == string_view::npos) continue;
      if (auto good = read_line(); !good) return tl::unexpected(good.error());
    }
    // The first submission is the start of a trace with times of day.
    if (absolute_.value_or(false)) {
      std::uint64_t start = UINT64_MAX;
      for (const auto& request : out_.requests)
        start = std::min(start, request.arrival_ns);
      for (auto& request : out_.requests) {
        request.arrival_ns -= start;
        if (request.not_before_ns > 0)
          request.not_before_ns -= std::min(request.not_before_ns, start);
      }
    }
    return std::move(out_);
  }

 private:
  Status read_line() {
    boost::system::error_code broken;
    json::stream_parser parser;
    const string_view line = lines_.line();
    const std::size_t taken = parser.write(line.data(), line.size(), broken);
    if (!broken) parser.finish(broken);
    if (broken)
      return lines_.error_at(
          std::min(taken, line.size()),
          fmt::format("this line is no JSON: {}", broken.message()));
    const json::value value = parser.release();
    if (!value.is_object()) return lines_.error("a JSON object is expected");
    submission_ = Submission{};
    request_ = TraceRequest{};
    id_ = SessionId{out_.requests.size() + 1};
    bool has_time = false;
    for (const auto& [key, inner] : value.get_object()) {
      const string_view name(key.data(), key.size());
      has_time |= name == "submit_at";
      const auto good = set(name, inner);
      if (!good)
        return lines_.error_at(
            std::min(line.find(name), line.size()),
            good.error().text.starts_with(name)
                ? good.error().text
                : fmt::format("{}: {}", name, good.error().text));
    }
    if (!has_time)
      return lines_.error("submit_at is missing: when it was submitted");
    return add();
  }

  Status set(string_view key, const json::value& value) {
    const auto take = [](auto& out, auto read) -> Status {
      if (!read) return tl::unexpected(read.error());
      out = *read;
      return {};
    };
    if (key == "submit_at") return set_moment(request_.arrival_ns, value);
    if (key == "not-before") return set_moment(request_.not_before_ns, value);
    if (key == "duration") return take(request_.duration_ns, length(value));
    if (key == "waited") return take(request_.waited_ns, length(value));
    if (key == "user") {
      if (!value.is_string()) return fail(Errc::usage, "a text is expected");
      request_.user = text_of(value);
      return {};
    }
    if (key == "failed") {
      if (!value.is_bool())
        return fail(Errc::usage, "true or false is expected");
      request_.succeeded = !value.get_bool();
      return {};
    }
    if (key == "id") {
      if (value.is_string()) return take(id_, parse_session_id(text_of(value)));
      if (!value.is_int64() || value.get_int64() < 1)
        return fail(Errc::usage, "a number such as 12, or \"s-12\"");
      id_ = SessionId{static_cast<std::uint64_t>(value.get_int64())};
      return {};
    }
    return set_json_value(submission_, key, value, {});
  }

  Status set_moment(std::uint64_t& out, const json::value& value) {
    const auto at = moment(value);
    if (!at) return tl::unexpected(at.error());
    if (absolute_.value_or(at->absolute) != at->absolute)
      return fail(Errc::usage,
                  at->absolute
                      ? "a time of day, where others count from the start"
                      : "a time since the start, where others are times of "
                        "day");
    absolute_ = at->absolute;
    out = at->ns;
    return {};
  }

  // What no single key can tell.
  Status check() const {
    const Submission& s = submission_;
    if (s.nodes > s.tasks)
      return lines_.error(fmt::format("{} for {}", counted(s.nodes, "node"),
                                      counted(s.tasks, "task")));
    if (s.tasks > trace_tasks_max)
      return lines_.error(fmt::format("{} tasks; at most {} are possible",
                                      s.tasks, trace_tasks_max));
    if (!s.together.empty() && s.together == s.apart)
      return lines_.error(fmt::format(
          "sessions of '{}' cannot be both together and apart", s.apart));
    if (s.prefer.size() > cluster::prefer_count_max)
      return lines_.error(
          fmt::format("prefer: {} of them; at most {} are "
                      "possible",
                      s.prefer.size(), cluster::prefer_count_max));
    for (const auto& [key, text] :
         {std::pair("together", &s.together), std::pair("apart", &s.apart),
          std::pair("within", &s.within)})
      if (text->size() > cluster::name_bytes_max)
        return lines_.error(fmt::format("{}: {} bytes; at most {} are possible",
                                        key, text->size(),
                                        cluster::name_bytes_max));
    if (!s.array) return {};
    const std::uint64_t size = array_size();
    if (size > cluster::array_size_max)
      return lines_.error(
          fmt::format("array: {} sessions; at most {} are possible", size,
                      cluster::array_size_max));
    if (s.array->to > cluster::array_index_max)
      return lines_.error(fmt::format("array: index {}; at most {} is possible",
                                      s.array->to, cluster::array_index_max));
    const std::uint64_t bytes = size * text_bytes();
    if (bytes > cluster::array_bytes_max)
      return lines_.error(
          fmt::format("array: {} sessions have {} bytes of texts together; at "
                      "most {} are possible",
                      size, bytes, cluster::array_bytes_max));
    return {};
  }

  // As the cell counts them, of what a trace keeps.
  std::uint64_t text_bytes() const {
    const Submission& s = submission_;
    std::uint64_t bytes = request_.user.size();
    for (const auto* text : {&s.name, &s.project, &s.group, &s.on_node,
                             &s.constraint, &s.together, &s.apart, &s.within})
      bytes += text->size();
    for (const auto* texts : {&s.prefer, &s.gpu_models})
      for (const auto& text : *texts) bytes += text.size();
    return bytes;
  }

  std::uint64_t array_size() const {
    const auto& array = submission_.array;
    return array ? std::uint64_t{array->to} - array->from + 1 : 1;
  }

  Status add() {
    if (auto good = check(); !good) return good;
    const Submission& s = submission_;
    TraceRequest& out = request_;
    out.project = s.project;
    out.group = s.group;
    out.on_node = s.on_node;
    out.priority = s.priority;
    out.tasks = s.tasks;
    out.nodes = s.nodes;
    out.cpu_milli = s.cpu_milli;
    out.memory_bytes = s.memory_bytes;
    out.gpus = s.gpus;
    out.gpu_milli = s.gpu_milli;
    out.gpu_memory_bytes = s.gpu_memory_bytes;
    out.gpu_models = s.gpu_models;
    out.time_limit_ns = s.time_limit_ns;
    if (!out.duration_ns && s.sim_duration_ns > 0)
      out.duration_ns = s.sim_duration_ns;
    out.requeue_max = s.requeue_max;
    out.constraint = s.constraint;
    out.prefer = s.prefer;
    out.together = s.together;
    out.apart = s.apart;
    out.within = s.within;
    out.ends_on_preempt = s.ends_on_preempt;
    for (const auto& after : s.after) {
      const auto other = place_of_.find(after.session);
      if (other == place_of_.end())
        return lines_.error(fmt::format(
            "after: no line before this one is s-{}", after.session));
      out.after.push_back({other->second, static_cast<DependsOn>(after.kind)});
    }
    return add_each();
  }

  // All of an array, with ids that follow one another, as the cell has it.
  Status add_each() {
    const auto& array = submission_.array;
    const std::size_t first = out_.requests.size();
    const std::uint64_t size = array_size();
    if (first + size > trace_lines_max)
      return lines_.error(
          fmt::format("more than {} requests, the bound of a "
                      "trace",
                      trace_lines_max));
    for (std::uint64_t i = 0; i < size; ++i) {
      const SessionId id{id_.value + i};
      if (!place_of_.emplace(id.value, out_.requests.size()).second)
        return lines_.error(
            fmt::format("id: {} stands in an earlier line", to_text(id)));
      TraceRequest& out = out_.requests.emplace_back(request_);
      out.name = submission_.name.empty() ? to_text(id) : submission_.name;
      if (!array) continue;
      out.array = first;
      out.array_index = array->from + static_cast<std::uint32_t>(i);
      out.array_running_max = array->running_max;
    }
    return {};
  }

  Lines lines_;
  Trace out_;
  std::optional<bool> absolute_;
  std::unordered_map<std::uint64_t, std::size_t> place_of_;
  // Of the present line.
  Submission submission_;
  TraceRequest request_;
  SessionId id_;
};

}  // namespace

Expected<Trace> parse_reeve(string_view text, string_view file) {
  return Reader(text, file).read();
}

}  // namespace reeve::tools
