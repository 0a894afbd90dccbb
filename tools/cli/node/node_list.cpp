// nodes, node show, gpus.
#include <fmt/format.h>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/args/event_text.hpp"
#include "tools/cli/answers.hpp"
#include "tools/cli/node/device_test_text.hpp"

namespace reeve::tools {
namespace {

using std::string;
using Align = Table::Align;

constexpr std::uint64_t nodes_limit = 1'000;

Expected<std::uint64_t> limit_of(const Arguments& arguments) {
  const auto text = arguments.find("--limit");
  if (!text) return nodes_limit;
  const auto limit = parse_count(*text, "number of nodes", 1);
  if (!limit)
    return fail(Errc::usage, fmt::format("--limit: {}", limit.error().text));
  return *limit;
}

struct GpuSums {
  std::size_t count = 0;
  std::uint64_t free_milli = 0;
  string models;
};

GpuSums gpu_sums(const schema::NodeView& node) {
  GpuSums out;
  if (node.devices() == nullptr) return out;
  for (const auto* device : *node.devices()) {
    ++out.count;
    out.free_milli += device->free_milli();
    const string model(schema::text(device->model()));
    if (out.models.find(model) == string::npos)
      out.models += (out.models.empty() ? "" : " ") + model;
  }
  return out;
}

string state_of(const schema::NodeView& node) {
  string out(schema::text(node.state()));
  if (node.simulated()) out += " (simulated)";
  return out;
}

string node_json(const schema::NodeView& node) {
  return schema::to_json(node);
}

void add_node(Table& table, const schema::NodeView& node) {
  const GpuSums gpus = gpu_sums(node);
  table.add(
      {string(schema::text(node.name())), state_of(node),
       fmt::format("{}/{}", format_milli(node.free_cpu_milli()),
                   format_milli(node.cpu_milli())),
       fmt::format("{}/{}", format_bytes(node.free_memory_bytes()),
                   format_bytes(node.memory_bytes())),
       gpus.count == 0
           ? string()
           : fmt::format("{}/{}", format_milli(gpus.free_milli), gpus.count),
       gpus.models, fmt::format("{}", node.tasks()),
       string(schema::text(node.group())),
       string(schema::text(node.version()))});
  table.tone(1, tone_of(schema::text(node.state())));
}

string holders_text(const schema::DeviceView& device) {
  string out;
  if (device.holders() == nullptr) return out;
  for (const auto* holder : *device.holders()) {
    out += fmt::format("{}{}", out.empty() ? "" : ", ",
                       to_text(SessionId{holder->session()}));
    if (holder->milli() < 1000)
      out += fmt::format(" ({})", format_milli(holder->milli()));
  }
  return out;
}

Table gpu_table() {
  return Table({{"NODE"},
                {"GPU", Align::right},
                {"STATE"},
                {"MODEL", Align::left, 3},
                {"FREE", Align::right, 1},
                {"FREE MEMORY", Align::right, 4},
                {"MEMORY", Align::right, 5},
                {"HELD BY", Align::left, 2}});
}

// A GPU is as its node is, unless it is in quarantine or being tested.
void add_gpu(Table& table, const schema::NodeView& node,
             const schema::DeviceView& device) {
  const bool out = device.quarantine() != nullptr;
  const bool tested = out && device.quarantine()->for_test();
  const auto state = tested ? std::string_view("TESTED")
                     : out  ? std::string_view("QUARANTINED")
                            : schema::text(node.state());
  table.add({string(schema::text(node.name())),
             fmt::format("{}", device.index()), string(state),
             string(schema::text(device.model())),
             format_milli(device.free_milli()),
             format_bytes(device.free_memory_bytes()),
             format_bytes(device.memory_bytes()), holders_text(device)});
  table.tone(2, tested ? Tone::busy : out ? Tone::bad : tone_of(state));
}

Table quarantine_table() {
  return Table({{"NODE"},
                {"GPU IN QUARANTINE"},
                {"SINCE", Align::left, 2},
                {"BY", Align::left, 3},
                {"REASON", Align::left, 1}});
}

void add_quarantine(Table& table, const schema::NodeView& node, string gpu,
                    const schema::DeviceQuarantine& quarantine) {
  table.add({string(schema::text(node.name())), std::move(gpu),
             local_time(quarantine.since_at()),
             quarantine.by_agent() ? "agent" : "hand",
             string(schema::text(quarantine.reason()))});
}

// Also of cards that are away.
void add_quarantines(Table& table, const schema::NodeView& node) {
  if (node.devices() != nullptr)
    for (const auto* device : *node.devices())
      if (device->quarantine() != nullptr)
        add_quarantine(table, node, fmt::format("{}", device->index()),
                       *device->quarantine());
  if (node.quarantined_away() != nullptr)
    for (const auto* away : *node.quarantined_away())
      add_quarantine(table, node, away->uuid()->str() + " (away)", *away);
}

Table tests_table() {
  return Table({{"NODE"},
                {"GPU"},
                {"LAST TEST"},
                {"HOW", Align::left, 3},
                {"WHEN", Align::left, 2},
                {"MEMORY READ", Align::right, 4},
                {"REASON", Align::left, 1}});
}

void add_tests(Table& table, const schema::NodeView& node) {
  if (node.devices() == nullptr) return;
  for (const auto* device : *node.devices()) {
    const auto* test = device->tested();
    if (test == nullptr) continue;
    table.add({string(schema::text(node.name())),
               fmt::format("{}", device->index()),
               verdict_text(test->verdict()), test->full() ? "full" : "quick",
               local_time(test->told_at()), figure_text(*test, "memory_read"),
               string(schema::text(test->text()))});
    table.tone(2, tone_of(test->verdict()));
  }
}

// What is below the list of GPUs, where there is any of it.
string more_text(const Table& table, const Context& context) {
  return table.empty() ? string() : '\n' + table.text(context.terminal);
}

string gpu_json(const schema::NodeView& node,
                const schema::DeviceView& device) {
  string inner;
  schema::append_json(inner, &device, schema::DeviceViewTypeTable());
  JsonObject head;
  head.text("node", schema::text(node.name()))
      .truth("simulated", node.simulated());
  string out = head.done();
  out.back() = ',';
  return out + inner.substr(1);
}

void tell_more(const Context& context, bool more, std::uint64_t limit) {
  if (more && !context.quiet)
    say(fmt::format("there are more than {}: --limit N shows them",
                    counted(limit, "node")));
}

}  // namespace

Shown list_nodes(const Context& context, const Arguments& arguments,
                 const Answers& answers) {
  const auto limit = limit_of(arguments);
  if (!limit) return tl::unexpected(limit.error());
  Table table({{"NAME"},
               {"STATE"},
               {"CPUS FREE", Align::right, 2},
               {"MEMORY FREE", Align::right, 4},
               {"GPUS FREE", Align::right, 1},
               {"MODEL", Align::left, 5},
               {"TASKS", Align::right, 3},
               {"GROUP", Align::left, 6},
               {"VERSION", Align::left, 7}});
  Table reasons({{"NODE"}, {"DRAINED BECAUSE"}});
  std::vector<string> documents;
  const auto more =
      each_node(answers, *limit, [&](const schema::NodeView& node) {
        if (!schema::text(node.drain_reason()).empty())
          reasons.add({string(schema::text(node.name())),
                       string(schema::text(node.drain_reason()))});
        if (context.json)
          documents.push_back(node_json(node));
        else
          add_node(table, node);
      });
  if (!more) return tl::unexpected(more.error());
  if (context.json) {
    print(JsonObject()
              .raw("nodes", json_array(documents))
              .truth("more", *more)
              .done() +
          '\n');
    return 0;
  }
  print(table.text(context.terminal) + more_text(reasons, context));
  tell_more(context, *more, *limit);
  return 0;
}

Shown list_gpus(const Context& context, const Arguments& arguments,
                const Answers& answers) {
  const auto limit = limit_of(arguments);
  if (!limit) return tl::unexpected(limit.error());
  Table table = gpu_table();
  Table quarantines = quarantine_table();
  Table tests = tests_table();
  std::vector<string> documents;
  const auto more =
      each_node(answers, *limit, [&](const schema::NodeView& node) {
        add_quarantines(quarantines, node);
        add_tests(tests, node);
        if (node.devices() == nullptr) return;
        for (const auto* device : *node.devices()) {
          if (context.json)
            documents.push_back(gpu_json(node, *device));
          else
            add_gpu(table, node, *device);
        }
      });
  if (!more) return tl::unexpected(more.error());
  if (context.json) {
    print(JsonObject()
              .raw("gpus", json_array(documents))
              .truth("more", *more)
              .done() +
          '\n');
    return 0;
  }
  if (table.empty()) {
    if (!context.quiet) say("no node of this cell has a GPU");
    return 0;
  }
  print(table.text(context.terminal));
  print(more_text(quarantines, context) + more_text(tests, context));
  tell_more(context, *more, *limit);
  return 0;
}

namespace {

string version_text(const schema::NodeView& node) {
  if (node.protocol() == 0) return {};
  return fmt::format("{} (protocol {})", schema::text(node.version()),
                     node.protocol());
}

Sheet node_sheet(const schema::NodeView& node) {
  Sheet sheet;
  sheet.add("node", string(schema::text(node.name())));
  sheet.add("number", fmt::format("{}", node.node()));
  sheet.add("state", state_of(node));
  sheet.add("drained because", string(schema::text(node.drain_reason())));
  sheet.add("drained by", local_time(node.drain_deadline_at()));
  sheet.add("agent", string(schema::text(node.agent())));
  sheet.add("version", version_text(node));
  sheet.add("group", string(schema::text(node.group())));
  sheet.add("CPUs",
            fmt::format("{} of {} free", format_milli(node.free_cpu_milli()),
                        format_milli(node.cpu_milli())));
  sheet.add("memory",
            fmt::format("{} of {} free", format_bytes(node.free_memory_bytes()),
                        format_bytes(node.memory_bytes())));
  sheet.add("tasks", fmt::format("{}", node.tasks()));
  if (node.labels() != nullptr)
    for (const auto* label : *node.labels())
      sheet.add("label", fmt::format("{}={}", label->key()->str(),
                                     label->value()->str()));
  if (node.reservations() != nullptr)
    for (const auto* name : *node.reservations())
      sheet.add("reservation", name->str());
  if (node.limits() != nullptr)
    for (const auto* limit : *node.limits())
      sheet.add("cannot do", limit->str());
  return sheet;
}

}  // namespace

Shown show_node(const Context& context, const Arguments& arguments,
                const Answers& answers) {
  flatbuffers::FlatBufferBuilder builder(128);
  const string& name = arguments.words[0];
  // The question without a name is one for all nodes.
  if (name.empty()) return fail(Errc::usage, "the name of a node is expected");
  const auto body = schema::CreateNodesQueryDirect(builder, name.c_str(), 0, 1);
  const auto answer =
      answers.ask(builder, schema::QueryBody::NodesQuery, body.Union());
  if (!answer) return tl::unexpected(answer.error());
  const auto* nodes = (*answer)->body_as_NodesAnswer();
  if (nodes == nullptr || nodes->nodes() == nullptr ||
      nodes->nodes()->size() == 0)
    return fail(Errc::not_found,
                fmt::format("there is no node \"{}\"; \"reeve nodes\" lists "
                            "them",
                            name));
  const auto& node = *nodes->nodes()->Get(0);
  if (context.json) {
    print(node_json(node) + '\n');
    return 0;
  }
  string out = node_sheet(node).text(context.terminal);
  if (node.devices() != nullptr && node.devices()->size() > 0) {
    Table table = gpu_table();
    for (const auto* device : *node.devices()) add_gpu(table, node, *device);
    out += '\n' + table.text(context.terminal);
  }
  Table quarantines = quarantine_table();
  add_quarantines(quarantines, node);
  Table tests = tests_table();
  add_tests(tests, node);
  out += more_text(quarantines, context) + more_text(tests, context);
  print(out);
  return 0;
}

}  // namespace reeve::tools
