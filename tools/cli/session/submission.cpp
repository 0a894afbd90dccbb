#include "tools/cli/session/submission.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/constraint.hpp"
#include "cluster/limits.hpp"
#include "cluster/session_id.hpp"
#include "cluster/types.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

template <class T, class U>
Status take(T& out, Expected<U> value) {
  if (!value) return tl::unexpected(value.error());
  out = static_cast<T>(*value);
  return {};
}

using Pairs = Submission::Pairs;

void put(Pairs& pairs, string_view key, string_view value) {
  for (auto& pair : pairs)
    if (pair.first == key) {
      pair.second = value;
      return;
    }
  pairs.emplace_back(key, value);
}

// Any that an environment can have, but what nobody means: a blank is a slip in
// the quotes.
bool is_variable(string_view name) {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7F;
  });
}

// "K=V"; "K" alone takes the caller's value.
Status add_env(Submission& out, string_view text, const Surroundings& here) {
  const std::size_t equals = text.find('=');
  const string_view key = text.substr(0, equals);
  if (!is_variable(key))
    return fail(Errc::usage,
                fmt::format("\"{}\" is no variable; write KEY=VALUE, KEY "
                            "without blanks",
                            text));
  if (equals != string_view::npos) {
    put(out.env, key, text.substr(equals + 1));
    return {};
  }
  for (const auto& [name, value] : here.variables)
    if (name == key) {
      put(out.env, key, value);
      return {};
    }
  return fail(Errc::usage,
              fmt::format("{} is not set here; write {}=VALUE", key, key));
}

Status add_label(Submission& out, string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == string_view::npos)
    return fail(Errc::usage,
                fmt::format("\"{}\" is no label; write KEY=VALUE", text));
  put(out.labels, text.substr(0, equals), text.substr(equals + 1));
  return {};
}

Status add_after(Submission& out, string_view text) {
  const std::size_t colon = text.find(':');
  const auto id = parse_session_id(text.substr(0, colon));
  if (!id) return tl::unexpected(id.error());
  AfterKind kind = AfterKind::ok;
  if (colon != string_view::npos) {
    const string_view word = text.substr(colon + 1);
    if (word == "any")
      kind = AfterKind::any;
    else if (word == "failed")
      kind = AfterKind::failed;
    else if (word != "ok")
      return fail(Errc::usage,
                  fmt::format("\"{}\" is none of ok, any, failed", word));
  }
  out.after.push_back({id->value, kind});
  return {};
}

// "2", "0.25", "A100:2", "T4|P100:0.5".
Status set_gpus(Submission& out, string_view text) {
  const std::size_t colon = text.rfind(':');
  const string_view number =
      colon == string_view::npos ? text : text.substr(colon + 1);
  string_view models =
      colon == string_view::npos ? string_view() : text.substr(0, colon);
  const auto milli = parse_milli(number, "number of GPUs");
  if (!milli) return tl::unexpected(milli.error());
  const bool share = *milli < milli_per_device;
  if (!share && *milli % milli_per_device != 0)
    return fail(Errc::usage,
                fmt::format("\"{}\" GPUs: more than one GPU comes whole; ask "
                            "for {} or {}, or for a share of one such as 0.5",
                            number, *milli / milli_per_device,
                            *milli / milli_per_device + 1));
  const std::uint32_t count = share ? 1 : *milli / milli_per_device;
  if (count > cluster::gpus_per_task_max)
    return fail(Errc::usage, fmt::format("{} GPUs for one task; at most {}",
                                         count, cluster::gpus_per_task_max));
  out.gpus = *milli == 0 ? 0 : count;
  out.gpu_milli = share && *milli != 0 ? *milli : milli_per_device;
  out.gpu_models.clear();
  if (colon != string_view::npos && models.empty())
    return fail(Errc::usage,
                fmt::format("\"{}\" names no model; write A100:2", text));
  while (!models.empty()) {
    const std::size_t end = std::min(models.find('|'), models.size());
    if (end > 0) out.gpu_models.emplace_back(models.substr(0, end));
    models.remove_prefix(std::min(end + 1, models.size()));
  }
  return {};
}

Status set_cpus(Submission& out, string_view text) {
  const auto milli = parse_milli(text, "number of CPUs");
  if (!milli) return tl::unexpected(milli.error());
  out.cpu_milli = *milli;
  return {};
}

Status set_text(string& out, string_view text) {
  if (text.empty()) return fail(Errc::usage, "a name is expected");
  if (text.size() > 255)
    return fail(Errc::usage,
                fmt::format("{} bytes; a name has at most 255", text.size()));
  out = text;
  return {};
}

Status set_workdir(Submission& out, string_view text,
                   const Surroundings& here) {
  if (text.empty()) return fail(Errc::usage, "a directory is expected");
  out.workdir_optional = false;
  out.workdir = text[0] == '/' ? string(text)
                               : fmt::format("{}/{}", here.directory, text);
  return {};
}

Status not_yet(string_view what) {
  return fail(Errc::usage,
              fmt::format("this release has no {}; leave it out", what));
}

Status set_array(Submission& out, string_view text) {
  const auto array = parse_array(text);
  if (!array) return tl::unexpected(array.error());
  out.array = *array;
  return {};
}

Status set_warning(Submission& out, string_view text) {
  const auto warning = parse_warning(text);
  if (!warning) return tl::unexpected(warning.error());
  out.warn_signal = warning->signal;
  out.warn_ns = warning->before_ns;
  return {};
}

Status set_constraint(string& out, string_view text) {
  if (auto parsed = Constraint::parse(text); !parsed)
    return tl::unexpected(parsed.error());
  out = text;
  return {};
}

Status add_preference(Submission& out, string_view text) {
  string wish;
  if (auto good = set_constraint(wish, text); !good) return good;
  out.prefer.push_back(std::move(wish));
  return {};
}

Status set_company(string& out, string_view text) {
  if (auto parsed = parse_company(text); !parsed)
    return tl::unexpected(parsed.error());
  out = text;
  return {};
}

Status set_on_preempt(Submission& out, string_view text) {
  if (text != "requeue" && text != "end")
    return fail(Errc::usage,
                fmt::format("\"{}\" is neither requeue nor end", text));
  out.ends_on_preempt = text == "end";
  return {};
}

// Where it wants to be, how it wants to end, and how often; nothing: the key is
// none of these.
std::optional<Status> set_wish(Submission& s, string_view key,
                               string_view value) {
  if (key == "array") return set_array(s, value);
  if (key == "constraint") return set_constraint(s.constraint, value);
  if (key == "prefer") return add_preference(s, value);
  if (key == "together") return set_company(s.together, value);
  if (key == "apart") return set_company(s.apart, value);
  if (key == "within") return set_text(s.within, value);
  if (key == "grace") return take(s.grace_ns, parse_duration(value));
  if (key == "cut-off") return take(s.cut_off_ns, parse_duration(value));
  if (key == "warn") return set_warning(s, value);
  if (key == "on-preempt") return set_on_preempt(s, value);
  if (key == "reservation") return set_text(s.reservation, value);
  return std::nullopt;
}

Status set_one(Submission& s, string_view key, string_view value,
               const Surroundings& here) {
  if (key == "name") return set_text(s.name, value);
  if (key == "cpus") return set_cpus(s, value);
  if (key == "mem") return take(s.memory_bytes, parse_memory(value));
  if (key == "gpus") return set_gpus(s, value);
  if (key == "gpu-mem") return take(s.gpu_memory_bytes, parse_memory(value));
  if (key == "tasks")
    return take(s.tasks, parse_count(value, "number of tasks", 1,
                                     cluster::tasks_per_session_max));
  if (key == "nodes")
    return take(s.nodes, parse_count(value, "number of nodes", 1,
                                     cluster::tasks_per_session_max));
  if (key == "time") {
    auto good = take(s.time_limit_ns, parse_duration(value));
    if (good && s.time_limit_ns == 0)
      return fail(Errc::usage, "a limit of 0 would end it at once");
    return good;
  }
  if (key == "priority")
    return take(s.priority, parse_integer(value, "priority", -priority_limit,
                                          priority_limit));
  if (key == "user") return set_text(s.user, value);
  if (key == "project") return set_text(s.project, value);
  if (key == "group") return set_text(s.group, value);
  if (key == "env") return add_env(s, value, here);
  if (key == "workdir") return set_workdir(s, value, here);
  if (key == "label") return add_label(s, value);
  if (key == "after") return add_after(s, value);
  if (key == "not-before")
    return take(s.not_before_at, parse_time(value, here.time));
  if (key == "requeue")
    return take(s.requeue_max,
                parse_count(value, "number of tries", 0, requeue_limit));
  if (key == "on-node") return set_text(s.on_node, value);
  if (key == "sim-duration") {
    s.simulated = true;
    return take(s.sim_duration_ns, parse_duration(value));
  }
  if (auto taken = set_wish(s, key, value)) return *taken;
  if (key == "image") return not_yet("container images");
  if (key == "volume") return not_yet("volumes");
  return fail(Errc::usage, "there is no such key");
}

}  // namespace

Submission blank_submission(const Surroundings& here) {
  Submission out;
  out.user = here.caller;
  out.uid = here.uid;
  out.gid = here.gid;
  out.workdir = here.directory;
  out.workdir_optional = true;
  for (const auto& [key, value] : here.variables) {
    const bool kept =
        key == "PATH" || key == "HOME" || key == "USER" || key == "LANG";
    if (kept) out.env.emplace_back(key, value);
  }
  return out;
}

void act_for(Submission& submission, const Person& person,
             const Surroundings& here) {
  submission.uid = person.uid;
  submission.gid = person.gid;
  auto& env = submission.env;
  const auto called = [](string_view key) {
    return [key](const auto& pair) { return pair.first == key; };
  };
  const auto change = [&](string_view key, const string& value) {
    const auto own =
        std::find_if(here.variables.begin(), here.variables.end(), called(key));
    const auto at = std::find_if(env.begin(), env.end(), called(key));
    const bool asked_for = at != env.end() && (own == here.variables.end() ||
                                               at->second != own->second);
    if (asked_for) return;
    if (at != env.end()) env.erase(at);
    if (!value.empty()) env.emplace_back(key, value);
  };
  change("USER", submission.user);
  change("HOME", person.home);
}

Status set_key(Submission& submission, string_view key, string_view value,
               const Surroundings& here) {
  auto good = set_one(submission, key, value, here);
  if (!good)
    return fail(good.error().code,
                fmt::format("{}: {}", key, good.error().text));
  return {};
}

Status check_submission(const Submission& s) {
  if (s.argv.empty() && !s.simulated)
    return fail(Errc::usage,
                "there is no command; it stands after \"--\": reeve run -- "
                "hostname");
  if (!s.argv.empty() && s.argv[0].empty())
    return fail(Errc::usage, "the command is an empty word");
  if (s.nodes > s.tasks)
    return fail(
        Errc::usage,
        fmt::format("nodes: {} for {}; each node runs at least one task",
                    counted(s.nodes, "node"), counted(s.tasks, "task")));
  if (s.gpu_memory_bytes != 0 && s.gpus == 0)
    return fail(Errc::usage, "gpu-mem: it needs gpus too, such as 0.25");
  if (s.warn_signal != 0 && s.warn_ns >= s.time_limit_ns)
    return fail(Errc::usage,
                "warn: it comes so long before the time limit; a longer time "
                "is needed, such as 1h");
  return {};
}

}  // namespace reeve::tools
