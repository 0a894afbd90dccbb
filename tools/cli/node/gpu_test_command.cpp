// gpu test.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/args/event_text.hpp"
#include "tools/cli/cell.hpp"
#include "tools/cli/handlers.hpp"
#include "tools/cli/interrupts.hpp"
#include "tools/cli/node/device_test_text.hpp"

namespace reeve::tools {
namespace {

using schema::DeviceVerdict;
using std::string;

// A full test takes a minute or two, a quick one seconds.
constexpr int look_every_ms = 500;
constexpr std::uint64_t nodes_limit = 100'000;

struct Target {
  string node;
  string gpu;  // its index or uuid, as the manager is asked
};

// One test that was asked for, and what is known of it.
struct Asked {
  string node;
  string gpu;
  std::uint64_t test = 0;
  bool over = false;
  DeviceVerdict verdict = DeviceVerdict::not_tested;
  string text;  // why, where there is more to say
  // From the answer that had the verdict.
  string read, to_device, fp32, bf16;
  string json;
};

class Tester {
 public:
  Tester(const Context& context, Cell& cell, bool full)
      : context_(context), cell_(cell), full_(full) {}

  Status find_targets(const Arguments& arguments) {
    if (arguments.words.size() == 2) {
      targets_.push_back({arguments.words[0], arguments.words[1]});
      return {};
    }
    const bool one = arguments.words.size() == 1;
    const auto visit = [&](const schema::NodeView& node) {
      // Of the whole cell, those that have something to test.
      if ((!one && node.simulated()) || node.devices() == nullptr) return;
      for (const auto* device : *node.devices())
        targets_.push_back({node.name()->str(), device->uuid()->str()});
    };
    return one ? view(arguments.words[0], visit) : all(visit);
  }
  bool has_targets() const { return !targets_.empty(); }

  // What is refused is told at once; the rest goes on. The exit code of the
  // first refusal, or 0.
  Expected<int> ask() {
    int code = 0;
    for (const Target& target : targets_) {
      flatbuffers::FlatBufferBuilder builder(256);
      const auto body = schema::CreateTestDeviceDirect(
          builder, target.node.c_str(), target.gpu.c_str(), full_);
      const auto reply =
          cell_.command(builder, schema::CommandBody::TestDevice, body.Union());
      if (reply) {
        Asked& asked = asked_.emplace_back();
        asked.node = target.node;
        asked.gpu = target.gpu;
        asked.test = (*reply)->seq();
        continue;
      }
      if (reply.error().code == Errc::unreachable)
        return tl::unexpected(reply.error());
      const int no = report(reply.error(), context_.json);
      if (code == 0) code = no;
    }
    return code;
  }

  // Looks at all that are not over.
  Status look() {
    std::vector<string> nodes;
    for (const Asked& asked : asked_)
      if (!asked.over) nodes.push_back(asked.node);
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    for (const string& name : nodes) {
      const auto seen = view(
          name, [&](const schema::NodeView& node) { look_at(name, node); });
      if (seen) continue;
      if (seen.error().code == Errc::not_found)
        give_up(name, "its node was removed");
      else if (seen.error().code != Errc::unreachable)
        return seen;
    }
    return {};
  }

  std::size_t left() const {
    return static_cast<std::size_t>(std::count_if(
        asked_.begin(), asked_.end(), [](const Asked& a) { return !a.over; }));
  }

  void print_result() const {
    if (context_.json) {
      std::vector<string> documents;
      for (const Asked& asked : asked_) documents.push_back(document(asked));
      print(JsonObject().raw("tests", json_array(documents)).done() + '\n');
      return;
    }
    if (asked_.empty()) return;
    Table table({{"NODE"},
                 {"GPU"},
                 {"VERDICT"},
                 {"MEMORY READ", Table::Align::right, 2},
                 {"FROM HOST", Table::Align::right, 4},
                 {"FP32", Table::Align::right, 5},
                 {"BF16", Table::Align::right, 3},
                 {"REASON", Table::Align::left, 1}});
    for (const Asked& asked : asked_) {
      table.add({asked.node, asked.gpu, verdict_text(asked.verdict), asked.read,
                 asked.to_device, asked.fp32, asked.bf16, asked.text});
      table.tone(2, tone_of(asked.verdict));
    }
    print(table.text(context_.terminal));
  }

  // All that were tested are fit to be offered.
  bool all_passed() const {
    return std::all_of(asked_.begin(), asked_.end(), [](const Asked& asked) {
      return asked.verdict == DeviceVerdict::healthy ||
             asked.verdict == DeviceVerdict::slow;
    });
  }

 private:
  using Visit = std::function<void(const schema::NodeView&)>;

  Status view(const string& node, const Visit& visit) {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto body =
        schema::CreateNodesQueryDirect(builder, node.c_str(), 0, 1);
    const auto answer =
        cell_.ask(builder, schema::QueryBody::NodesQuery, body.Union());
    if (!answer) return tl::unexpected(answer.error());
    const auto* nodes = (*answer)->body_as_NodesAnswer();
    if (nodes == nullptr || nodes->nodes() == nullptr ||
        nodes->nodes()->size() == 0)
      return fail(Errc::not_found,
                  fmt::format("there is no node \"{}\"; \"reeve nodes\" lists "
                              "them",
                              node));
    visit(*nodes->nodes()->Get(0));
    return {};
  }

  Status all(const Visit& visit) {
    const auto more = each_node(answers_of(cell_), nodes_limit, visit);
    if (!more) return tl::unexpected(more.error());
    return {};
  }

  void look_at(const string& name, const schema::NodeView& node) {
    for (Asked& asked : asked_) {
      if (asked.over || asked.node != name) continue;
      const auto* device = find(node, asked.test);
      if (device == nullptr) {
        end(asked,
            "it was given up: the GPU was released, or is not in its "
            "node any more");
      } else if (device->testing() == nullptr ||
                 device->testing()->test() != asked.test) {
        take(asked, *device);
      } else if (schema::text(node.state()) == "lost") {
        end(asked, "its node was lost; the test is made when that is back");
      }
    }
  }

  static const schema::DeviceView* find(const schema::NodeView& node,
                                        std::uint64_t test) {
    if (node.devices() == nullptr) return nullptr;
    for (const auto* device : *node.devices())
      for (const auto* one : {device->testing(), device->tested()})
        if (one != nullptr && one->test() == test) return device;
    return nullptr;
  }

  void take(Asked& asked, const schema::DeviceView& device) {
    const schema::DeviceTest& test = *device.tested();
    asked.gpu = fmt::format("{}", device.index());
    asked.verdict = test.verdict();
    asked.read = figure_text(test, "memory_read");
    asked.to_device = figure_text(test, "to_device");
    asked.fp32 = figure_text(test, "fp32");
    asked.bf16 = figure_text(test, "bf16");
    schema::append_json(asked.json, &test, schema::DeviceTestTypeTable());
    end(asked, string(schema::text(test.text())));
  }

  void end(Asked& asked, string text) {
    asked.over = true;
    asked.text = std::move(text);
    if (!context_.quiet && !context_.json)
      say(fmt::format("GPU {} of {}: {}{}{} ({} of {})", asked.gpu, asked.node,
                      verdict_text(asked.verdict),
                      asked.text.empty() ? "" : ": ", asked.text,
                      asked_.size() - left(), asked_.size()));
  }

  void give_up(const string& node, const char* why) {
    for (Asked& asked : asked_)
      if (!asked.over && asked.node == node) end(asked, why);
  }

  static string document(const Asked& asked) {
    string out =
        JsonObject().text("node", asked.node).text("gpu", asked.gpu).done();
    if (!asked.json.empty()) {
      out.back() = ',';
      return out + asked.json.substr(1);
    }
    return JsonObject()
        .text("node", asked.node)
        .text("gpu", asked.gpu)
        .number("test", asked.test)
        .text("verdict", EnumNameDeviceVerdict(asked.verdict))
        .text("text", asked.text)
        .done();
  }

  const Context& context_;
  Cell& cell_;
  const bool full_;
  std::vector<Target> targets_;
  std::vector<Asked> asked_;
};

}  // namespace

Result command_gpu_test(const Context& context, const Arguments& arguments) {
  if (arguments.has("--quick") && arguments.has("--full"))
    return fail(Errc::usage, "--quick or --full, not both");
  Interrupts interrupts;
  auto cell = Cell::connect(context);
  if (!cell) return tl::unexpected(cell.error());
  Tester tester(context, **cell, !arguments.has("--quick"));
  if (auto found = tester.find_targets(arguments); !found)
    return tl::unexpected(found.error());
  if (!tester.has_targets()) {
    if (!context.quiet)
      say(arguments.words.empty()
              ? string("no node of this cell has a GPU that can be tested")
              : fmt::format("node {} has no GPU", arguments.words[0]));
    tester.print_result();
    return 0;
  }
  const auto refused = tester.ask();
  if (!refused) return tl::unexpected(refused.error());
  if (!context.quiet && !context.json && tester.left() > 0)
    say(fmt::format(
        "{} {} tested; Ctrl-C leaves {} to it", counted(tester.left(), "GPU"),
        tester.left() == 1 ? "is" : "are", tester.left() == 1 ? "it" : "them"));
  for (;;) {
    if (auto good = tester.look(); !good) return tl::unexpected(good.error());
    if (tester.left() == 0) break;
    if (const int signal = interrupts.wait(look_every_ms); signal != 0)
      return 128 + signal;
  }
  tester.print_result();
  if (*refused != 0) return *refused;
  return tester.all_passed() ? 0 : 1;
}

}  // namespace reeve::tools
