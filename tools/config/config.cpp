#include "tools/config/config.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/value.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "cluster/constraint.hpp"
#include "cluster/limits.hpp"
#include "cluster/nearest.hpp"
#include "cluster/scheduling/scheduler.hpp"
#include "cluster/units.hpp"
#include "tools/args/arguments.hpp"
#include "tools/config/toml_text.hpp"

namespace reeve::tools {
namespace {

namespace json = boost::json;
using std::string;
using std::string_view;

Expected<string> text_of(const json::value& value);

// A table of values, a line each: "rack=r1".
Expected<string> lines_of(const json::object& table) {
  string out;
  for (const auto& [key, value] : table) {
    const auto text = text_of(value);
    if (!text) return text;
    if (value.is_object() || text->find('\n') != string::npos)
      return fail(
          Errc::usage,
          fmt::format("\"{}\": one short value is expected", string_view(key)));
    out += fmt::format("{}={}\n", string_view(key), *text);
  }
  return out;
}

// A value of the file as text for the parsers of units.
Expected<string> text_of(const json::value& value) {
  if (value.is_string()) return string(value.get_string());
  if (value.is_int64()) return fmt::format("{}", value.get_int64());
  if (value.is_double()) return fmt::format("{}", value.get_double());
  if (value.is_bool()) return string(value.get_bool() ? "true" : "false");
  if (value.is_object()) return lines_of(value.get_object());
  return fail(Errc::usage, "one value is expected here");
}

template <class T>
Status take(T& out, Expected<std::uint64_t> value) {
  if (!value) return tl::unexpected(value.error());
  out = static_cast<T>(*value);
  return {};
}

Status take_truth(bool& out, const string& text) {
  if (text != "true" && text != "false")
    return fail(Errc::usage,
                fmt::format("\"{}\" is neither true nor false", text));
  out = text == "true";
  return {};
}

Status take_name(string& out, const string& text) {
  const bool good = !text.empty() && text.size() <= 63 &&
                    text.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == string::npos;
  if (!good)
    return fail(Errc::usage,
                fmt::format("\"{}\" is no name: 1 to 63 letters, digits, "
                            "dots, dashes or underscores are expected",
                            text));
  out = text;
  return {};
}

Status take_path(string& out, const string& text) {
  if (text.empty() || text[0] != '/')
    return fail(Errc::usage, fmt::format("\"{}\" is no absolute path, such as "
                                         "\"/var/lib/reeve\"",
                                         text));
  out = text;
  return {};
}

// An address in digits: whoever names it knows who can reach it.
Status take_listen(string& out, const string& text) {
  out.clear();
  if (text.empty()) return {};
  const std::size_t colon = std::min(text.rfind(':'), text.size() - 1);
  string address = text.substr(0, colon);
  const auto port = parse_count(text.substr(colon + 1), "port", 1, 65'535);
  const bool six =
      address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (six) address = address.substr(1, address.size() - 2);
  in6_addr unused{};
  if (!port ||
      ::inet_pton(six ? AF_INET6 : AF_INET, address.c_str(), &unused) != 1)
    return fail(Errc::usage,
                fmt::format("\"{}\" is no address with a port, such as "
                            "\"127.0.0.1:9400\" or \"[::1]:9400\"",
                            text));
  out = fmt::format("{}:{}", text.substr(0, colon), *port);
  return {};
}

struct RoleName {
  Config::Role role;
  string_view name;
};
constexpr RoleName role_names[] = {{Config::Role::cell, "cell"},
                                   {Config::Role::agent, "agent"},
                                   {Config::Role::user, "user"}};

Status take_role(Config::Role& out, const string& text) {
  for (const RoleName& known : role_names)
    if (known.name == text) {
      out = known.role;
      return {};
    }
  return fail(
      Errc::usage,
      fmt::format("\"{}\" is no role: it is cell, agent or user", text));
}

// Names or addresses, one or several, separated by commas.
Status take_advertise(std::vector<string>& out, string_view text) {
  out.clear();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty() || one.size() > advertised_bytes_max ||
        one.find_first_not_of("abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789.:-_") != string_view::npos)
      return fail(Errc::usage,
                  fmt::format("\"{}\" is no name or address of a host, such as "
                              "\"head.example.org\" or \"10.0.0.1\"",
                              one));
    if (out.size() == advertised_max)
      return fail(Errc::usage, fmt::format("{} names or addresses are the most",
                                           advertised_max));
    out.emplace_back(one);
  }
  return {};
}

Status take_labels(std::vector<std::pair<string, string>>& out,
                   string_view text) {
  out.clear();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = line.find('=');
    if (equals == string_view::npos)
      return fail(Errc::usage, "a table is expected, such as {rack = \"r1\"}");
    const string_view key = line.substr(0, equals);
    if (auto good = check_label_key(key); !good) return good;
    out.emplace_back(key, line.substr(equals + 1));
  }
  return {};
}

// A table of managers: their names, and the hosts they are on.
Status take_members(std::vector<std::pair<string, string>>& out,
                    string_view text) {
  out.clear();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = line.find('=');
    if (equals == string_view::npos)
      return fail(Errc::usage,
                  "a table is expected, such as {m1 = \"10.0.0.1\", m2 = "
                  "\"10.0.0.2\", m3 = \"10.0.0.3\"}");
    string name;
    if (auto good = take_name(name, string(line.substr(0, equals))); !good)
      return good;
    std::vector<string> host;
    if (auto good = take_advertise(host, line.substr(equals + 1)); !good)
      return good;
    if (host.size() != 1 || host[0].find(':') != string::npos)
      return fail(Errc::usage,
                  fmt::format("{}: one name or IPv4 address of a host is "
                              "expected, without a port",
                              name));
    out.emplace_back(name, host[0]);
  }
  return {};
}

// "join", "quarantine", both with a comma between, or "none".
Status take_tests(Config::Agent& out, const string& text) {
  const string rest = text + ',';
  out.test_new_gpus = out.test_quarantined_gpus = false;
  if (text == "none") return {};
  for (std::size_t at = 0, end = 0; at < rest.size(); at = end + 1) {
    end = rest.find(',', at);
    const string word = rest.substr(at, end - at);
    bool& flag = word == "join" ? out.test_new_gpus : out.test_quarantined_gpus;
    if ((word != "join" && word != "quarantine") || std::exchange(flag, true))
      return fail(Errc::usage,
                  fmt::format("\"{}\": \"join\", \"quarantine\", "
                              "\"join,quarantine\" or \"none\" is expected",
                              text));
  }
  return {};
}

string tests_text(const Config::Agent& agent) {
  if (agent.test_new_gpus && agent.test_quarantined_gpus)
    return "join,quarantine";
  if (agent.test_new_gpus) return "join";
  return agent.test_quarantined_gpus ? "quarantine" : "none";
}

struct Key {
  string_view path;
  string_view help;
  // Without a default the sample has `example`, commented out.
  string_view example;
  Status (*set)(Config&, const string&);
  string (*get)(const Config&);  // as TOML; empty: not set
};

string quoted(const string& text) {
  return text.empty() ? text : fmt::format("\"{}\"", text);
}

string sized(std::uint64_t bytes) {
  return bytes == 0
             ? string()
             : quoted(bytes % (1 << 20) == 0 ? fmt::format("{}M", bytes >> 20)
                                             : fmt::format("{}", bytes));
}

string labels_text(const std::vector<std::pair<string, string>>& labels) {
  string out;
  for (const auto& [key, value] : labels)
    out +=
        fmt::format("{}\"{}\" = \"{}\"", out.empty() ? "{" : ", ", key, value);
  return out.empty() ? out : out + '}';
}

constexpr std::uint64_t a_million = 1'000'000;

const Key keys[] = {
    {"data", "Where the cell keeps its data; --data goes before it.",
     "\"/var/lib/reeve\"",
     [](Config& c, const string& t) { return take_path(c.data, t); },
     [](const Config& c) { return quoted(c.data); }},
    {"port", "Port of the bus on loopback; 0 chooses a free one.", "",
     [](Config& c, const string& t) {
       return take(c.port, parse_count(t, "port", 0, 65'535));
     },
     [](const Config& c) { return fmt::format("{}", c.port); }},
    {"cell", "Name of the cell; fixed once it has data.", "",
     [](Config& c, const string& t) { return take_name(c.cell, t); },
     [](const Config& c) { return quoted(c.cell); }},
    {"role",
     "What is here: a \"cell\" with all its parts; an \"agent\", which is a "
     "node of a cell that another host leads; a \"user\" of one. \"reeve "
     "join\" "
     "writes the last two.",
     "", [](Config& c, const string& t) { return take_role(c.role, t); },
     [](const Config& c) {
       return quoted(string(role_names[static_cast<int>(c.role)].name));
     }},
    {"bus.listen",
     "Address and port where other hosts reach the bus, by TLS; without, it "
     "is on loopback alone.",
     "\"10.0.0.1:4222\"",
     [](Config& c, const string& t) { return take_listen(c.bus.listen, t); },
     [](const Config& c) { return quoted(c.bus.listen); }},
    {"bus.advertise",
     "Names or addresses of this host that others reach it by, separated by "
     "commas; that of bus.listen without.",
     "\"head.example.org, 10.0.0.1\"",
     [](Config& c, const string& t) {
       return take_advertise(c.bus.advertise, t);
     },
     [](const Config& c) {
       return quoted(fmt::format("{}", fmt::join(c.bus.advertise, ", ")));
     }},
    {"bus.cluster_port",
     "Where the bus servers of several managers reach one another.", "",
     [](Config& c, const string& t) {
       return take(c.bus.cluster_port, parse_count(t, "port", 1, 65'535));
     },
     [](const Config& c) { return fmt::format("{}", c.bus.cluster_port); }},
    {"manager.name", "Name of this manager among those of the cell.", "\"m1\"",
     [](Config& c, const string& t) { return take_name(c.manager.name, t); },
     [](const Config& c) { return quoted(c.manager.name); }},
    {"manager.members",
     "The managers that the cell begins with, 1, 3 or 5, with the address of "
     "each: one leads, the others stand by. Who joins later is in the log.",
     "{m1 = \"10.0.0.1\", m2 = \"10.0.0.2\", m3 = \"10.0.0.3\"}",
     [](Config& c, const string& t) {
       return take_members(c.manager.members, t);
     },
     [](const Config& c) { return labels_text(c.manager.members); }},
    {"manager.joined_by",
     "Number of the token by which this manager joined; 0: it was there from "
     "the start.",
     "",
     [](Config& c, const string& t) {
       return take(c.manager.joined_by,
                   parse_count(t, "number of a token", 0, INT64_MAX));
     },
     [](const Config& c) { return fmt::format("{}", c.manager.joined_by); }},
    {"manager.queue_sessions_max",
     "Sessions that may wait; further ones are told to try again.", "",
     [](Config& c, const string& t) {
       return take(c.manager.queue_sessions_max,
                   parse_count(t, "number of sessions", 1, 100 * a_million));
     },
     [](const Config& c) {
       return fmt::format("{}", c.manager.queue_sessions_max);
     }},
    {"manager.mailbox_messages_max",
     "Commands that may wait for the manager; further ones are told to try "
     "again.",
     "",
     [](Config& c, const string& t) {
       return take(c.manager.mailbox_messages_max,
                   parse_count(t, "number of messages", 16, 100 * a_million));
     },
     [](const Config& c) {
       return fmt::format("{}", c.manager.mailbox_messages_max);
     }},
    {"manager.schedulers",
     "Schedulers that share the resource groups: each has every so many-th of "
     "them.",
     "",
     [](Config& c, const string& t) {
       return take(
           c.manager.schedulers,
           parse_count(t, "number of schedulers", 1, cluster::schedulers_max));
     },
     [](const Config& c) { return fmt::format("{}", c.manager.schedulers); }},
    {"manager.node_lost_after",
     "A node of which nothing is heard for so long is lost; longer, where its "
     "heartbeats came late before.",
     "",
     [](Config& c, const string& t) -> Status {
       const auto after = parse_duration(t);
       if (!after) return tl::unexpected(after.error());
       if (*after < cluster::node_lost_after_ns_min ||
           *after > cluster::node_lost_after_ns_max)
         return fail(
             Errc::usage,
             fmt::format("a node is lost after {} at the earliest and "
                         "{} at the latest",
                         format_duration(cluster::node_lost_after_ns_min),
                         format_duration(cluster::node_lost_after_ns_max)));
       c.manager.node_lost_after_ns = *after;
       return {};
     },
     [](const Config& c) {
       return quoted(format_duration(c.manager.node_lost_after_ns));
     }},
    {"agent.enabled", "Whether this host runs sessions.", "",
     [](Config& c, const string& t) { return take_truth(c.agent.enabled, t); },
     [](const Config& c) {
       return string(c.agent.enabled ? "true" : "false");
     }},
    {"agent.name", "Name of this node; the host's name without.", "\"host-7\"",
     [](Config& c, const string& t) { return take_name(c.agent.name, t); },
     [](const Config& c) { return quoted(c.agent.name); }},
    {"agent.group", "Resource group of this node; \"default\" without.",
     "\"train\"",
     [](Config& c, const string& t) { return take_name(c.agent.group, t); },
     [](const Config& c) { return quoted(c.agent.group); }},
    {"agent.cpus", "CPUs offered; all of the host without.", "4",
     [](Config& c, const string& t) -> Status {
       const auto milli = parse_milli(t, "number of CPUs");
       if (!milli) return tl::unexpected(milli.error());
       if (*milli == 0)
         return fail(Errc::usage, "a node offers more than 0 CPUs");
       c.agent.cpu_milli = *milli;
       return {};
     },
     [](const Config& c) {
       return c.agent.cpu_milli == 0 ? string()
                                     : format_milli(c.agent.cpu_milli);
     }},
    {"agent.memory", "Memory offered; all of the host without.", "\"16G\"",
     [](Config& c, const string& t) {
       return take(c.agent.memory_bytes, parse_memory(t));
     },
     [](const Config& c) { return sized(c.agent.memory_bytes); }},
    {"agent.runtime_dir",
     "Where running tasks keep their files; <data>/node without.",
     "\"/var/lib/reeve/node\"",
     [](Config& c, const string& t) {
       return take_path(c.agent.runtime_dir, t);
     },
     [](const Config& c) { return quoted(c.agent.runtime_dir); }},
    {"agent.cdi_dir",
     "Where the file is kept that tells container engines of the GPUs (CDI); "
     "<runtime_dir>/cdi without.",
     "\"/etc/cdi\"",
     [](Config& c, const string& t) {
       return take_path(c.agent.cdi_directory, t);
     },
     [](const Config& c) { return quoted(c.agent.cdi_directory); }},
    {"agent.output_bytes_max",
     "Output kept of each task and stream: the first half and the newest.", "",
     [](Config& c, const string& t) {
       return take(c.agent.output_bytes_max, parse_bytes(t));
     },
     [](const Config& c) { return sized(c.agent.output_bytes_max); }},
    {"agent.kept_output_bytes_max",
     "Output kept of all ended tasks; beyond it the oldest goes.", "",
     [](Config& c, const string& t) {
       return take(c.agent.kept_output_bytes_max, parse_bytes(t));
     },
     [](const Config& c) { return sized(c.agent.kept_output_bytes_max); }},
    {"agent.labels", "What sessions may ask of this node (--constraint).",
     "{rack = \"r1\", disk = \"nvme\"}",
     [](Config& c, const string& t) { return take_labels(c.agent.labels, t); },
     [](const Config& c) { return labels_text(c.agent.labels); }},
    {"agent.gpu_tests",
     "GPUs that are tested without being asked to: \"join\" (quickly, before "
     "they are offered for the first time), \"quarantine\" (in full, once, "
     "when their agent has found them unfit), both, or \"none\".",
     "", [](Config& c, const string& t) { return take_tests(c.agent, t); },
     [](const Config& c) { return quoted(tests_text(c.agent)); }},
    {"agent.gpu_probe",
     "The program that tests GPUs and clears them; reeve-gpu-probe beside this "
     "one without.",
     "\"/usr/local/bin/reeve-gpu-probe\"",
     [](Config& c, const string& t) { return take_path(c.agent.gpu_probe, t); },
     [](const Config& c) { return quoted(c.agent.gpu_probe); }},
    {"agent.gpu_models",
     "What models of GPUs reach, beside those that this program knows: a test "
     "finds slow what stays below. docs/gpu.md says what stands in the file.",
     "\"/etc/reeve/gpu-models\"",
     [](Config& c, const string& t) {
       return take_path(c.agent.gpu_models, t);
     },
     [](const Config& c) { return quoted(c.agent.gpu_models); }},
    {"agent.gpu_mps_dir",
     "Where the site's nvidia-cuda-mps-control has its pipes: shares of GPUs "
     "go through MPS, which serves one user at a time; not through it "
     "without.",
     "\"/run/nvidia-mps\"",
     [](Config& c, const string& t) {
       return take_path(c.agent.mps_directory, t);
     },
     [](const Config& c) { return quoted(c.agent.mps_directory); }},
    {"log.floor", "Free disk space below which no new session is admitted.", "",
     [](Config& c, const string& t) {
       return take(c.log.floor_bytes, parse_bytes(t));
     },
     [](const Config& c) { return sized(c.log.floor_bytes); }},
    {"log.snapshot_every",
     "Events from one snapshot to the next: they bound the time of a start, "
     "and "
     "of a look at a past moment.",
     "",
     [](Config& c, const string& t) {
       return take(c.log.snapshot_every_events,
                   parse_count(t, "number of events", 1'000));
     },
     [](const Config& c) {
       return fmt::format("{}", c.log.snapshot_every_events);
     }},
    {"log.snapshots_max",
     "Disk space for all snapshots; beyond it older ones are thinned evenly.",
     "",
     [](Config& c, const string& t) {
       return take(c.log.snapshots_bytes_max, parse_bytes(t));
     },
     [](const Config& c) { return sized(c.log.snapshots_bytes_max); }},
    {"metrics.listen",
     "Where figures are for Prometheus to read, at /metrics; nowhere without. "
     "Everyone who reaches the address may read them.",
     "\"127.0.0.1:9400\"",
     [](Config& c, const string& t) {
       return take_listen(c.metrics.listen, t);
     },
     [](const Config& c) { return quoted(c.metrics.listen); }},
};

const Key* find_key(string_view path) {
  for (const Key& key : keys)
    if (key.path == path) return &key;
  return nullptr;
}

bool is_section(string_view path) {
  for (const Key& key : keys)
    if (key.path.size() > path.size() && key.path.starts_with(path) &&
        key.path[path.size()] == '.')
      return true;
  return false;
}

string_view nearest_key(string_view path) {
  std::vector<string_view> known;
  for (const Key& key : keys) known.push_back(key.path);
  const string_view near = nearest(path, known);
  if (!near.empty()) return near;
  // The right word in the wrong section.
  const string_view word = path.substr(path.rfind('.') + 1);
  for (const Key& key : keys)
    if (key.path.substr(key.path.rfind('.') + 1) == word) return key.path;
  return {};
}

class Reader {
 public:
  Reader(const TomlDocument& document, string_view file)
      : document_(document), file_(file) {}

  Status read(const json::object& object, const string& prefix,
              Config& config) {
    for (const auto& [name, value] : object) {
      const string path = prefix.empty()
                              ? string(name)
                              : prefix + '.' + string(string_view(name));
      if (value.is_object() && is_section(path)) {
        auto good = read(value.get_object(), path, config);
        if (!good) return good;
        continue;
      }
      if (auto good = set(path, value, config); !good)
        return fail(Errc::usage, fmt::format("{}:{}: {}", file_, line(path),
                                             good.error().text));
    }
    return {};
  }

 private:
  static Status set(const string& path, const json::value& value,
                    Config& config) {
    const Key* key = find_key(path);
    if (key == nullptr) {
      const string_view near = nearest_key(path);
      return fail(Errc::usage,
                  near.empty()
                      ? fmt::format("there is no key \"{}\"", path)
                      : fmt::format("there is no key \"{}\"; did you mean "
                                    "\"{}\"?",
                                    path, near));
    }
    const auto text = text_of(value);
    if (!text)
      return fail(Errc::usage, fmt::format("{}: {}", path, text.error().text));
    auto good = key->set(config, *text);
    if (!good)
      return fail(Errc::usage, fmt::format("{}: {}", path, good.error().text));
    return {};
  }

  std::size_t line(const string& path) const {
    const auto found = document_.lines.find(path);
    return found == document_.lines.end() ? 1 : found->second;
  }

  const TomlDocument& document_;
  string_view file_;
};

// What the keys say together; fills in where it listens.
Status check_members(Config& config, string_view file) {
  const auto& members = config.manager.members;
  const auto refuse = [&](const string& what) -> Status {
    return fail(Errc::usage, fmt::format("{}: {}", file, what));
  };
  if (members.empty())
    return config.manager.name.empty()
               ? Status()
               : refuse(
                     "manager.name is for one of several managers: set "
                     "manager.members, too");
  if (config.role != Config::Role::cell)
    return refuse("manager.members is for role \"cell\"");
  const std::size_t count = members.size();
  const bool odd = count == 1 || count == 3 || count == 5;
  if (count > managers_max || (!odd && config.manager.joined_by == 0))
    return refuse(
        fmt::format("a cell begins with 1, 3 or 5 managers, not {}: of an even "
                    "number no more may fail than of one less",
                    count));
  const auto own = std::find_if(
      members.begin(), members.end(),
      [&](const auto& one) { return one.first == config.manager.name; });
  if (own == members.end())
    return refuse(fmt::format(
        "manager.name is \"{}\", and manager.members has no such manager",
        config.manager.name));
  for (const auto& one : members)
    for (const auto& other : members)
      if (&one != &other && one.second == other.second)
        return refuse(fmt::format("{} and {} have the same address, {}",
                                  one.first, other.first, one.second));
  if (config.bus.listen.empty())
    config.bus.listen = fmt::format(
        "{}:{}", own->second, config.port != 0 ? config.port : members_port);
  if (config.bus.advertise.empty()) config.bus.advertise = {own->second};
  if (config.agent.name.empty()) config.agent.name = config.manager.name;
  return {};
}

}  // namespace

Expected<Config> parse_config(string_view text, string_view file) {
  const auto document = parse_toml(text, file);
  if (!document) return tl::unexpected(document.error());
  Config config;
  auto good = Reader(*document, file).read(document->root, "", config);
  if (good) good = check_members(config, file);
  if (!good) return tl::unexpected(good.error());
  return config;
}

Expected<Config> load_config(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in && !std::filesystem::is_directory(file)) text << in.rdbuf();
  if (!in || std::filesystem::is_directory(file))
    return fail(Errc::not_found,
                fmt::format("the settings file {} cannot be read: {}",
                            file.string(), std::strerror(errno)));
  if (text.view().size() > config_bytes_max)
    return fail(Errc::usage, fmt::format("{} has {} bytes; a settings file "
                                         "has at most {}",
                                         file.string(), text.view().size(),
                                         config_bytes_max));
  return parse_config(text.view(), file.string());
}

string sample_config() {
  const Config defaults;
  string out =
      "# Settings of one Reeve node. Every key is here with its default;\n"
      "# \"reeve config check FILE\" explains a file.\n";
  string_view section;
  for (const Key& key : keys) {
    const auto dot = key.path.find('.');
    const bool inner = dot != string_view::npos;
    if (inner && key.path.substr(0, dot) != section) {
      section = key.path.substr(0, dot);
      out += fmt::format("\n[{}]\n", section);
    }
    const string_view name = inner ? key.path.substr(dot + 1) : key.path;
    const string value = key.get(defaults);
    out += fmt::format("\n# {}\n", key.help);
    out += value.empty() ? fmt::format("# {} = {}\n", name, key.example)
                         : fmt::format("{} = {}\n", name, value);
  }
  return out;
}

string explain_config(const Config& config) {
  string out;
  for (const Key& key : keys) {
    const string value = key.get(config);
    out +=
        fmt::format("{} = {}\n", key.path, value.empty() ? "(not set)" : value);
  }
  return out;
}

}  // namespace reeve::tools
