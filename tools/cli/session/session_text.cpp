#include "tools/cli/session/session_text.hpp"

#include <fmt/format.h>

#include <vector>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "schema/json.hpp"
#include "tools/args/exit_code.hpp"

namespace reeve::tools {
namespace {

using std::string;
using std::string_view;

constexpr std::size_t places_shown = 2;

string quoted(string_view word) {
  const bool plain =
      !word.empty() &&
      word.find_first_of(" \t\n'\"\\$&|;<>()*?[]#~`!{}") == string_view::npos;
  if (plain) return string(word);
  string out = "'";
  for (const char c : word) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

bool lacks_exit_code(const void* table, const flatbuffers::TypeTable* type,
                     string_view field) {
  if (field != "exit_code") return false;
  if (type == schema::SessionViewTypeTable()) {
    const auto& view = *static_cast<const schema::SessionView*>(table);
    return !session_exit_code(view.state(), view.exit_code(), view.signal());
  }
  if (type != schema::TaskViewTypeTable()) return false;
  const auto& task = *static_cast<const schema::TaskView*>(table);
  return !task_exit_code(task.reason(), task.exit_code(), task.signal());
}

}  // namespace

string session_json(const schema::SessionView& view) {
  string keys;
  schema::append_json(keys, &view, schema::SessionViewTypeTable(),
                      lacks_exit_code);
  string out = fmt::format("{{\"session_id\":\"{}\",{}",
                           to_text(SessionId{view.session()}), keys.substr(1));
  // Scripts rely on this key; a list that is absent on the wire is empty.
  if (view.tasks() == nullptr) {
    out.pop_back();
    out += ",\"tasks\":[]}";
  }
  return out;
}

string request_text(const schema::ResourceRequest* request) {
  if (request == nullptr) return {};
  string out = counted_milli(request->cpu_milli(), "CPU");
  if (request->memory_bytes() != 0)
    out += ", " + format_bytes(request->memory_bytes());
  if (request->gpus() == 0) return out;
  const bool share = request->gpu_milli() < 1000;
  out += ", " + (share ? counted_milli(request->gpu_milli(), "GPU")
                       : counted(request->gpus(), "GPU"));
  if (request->gpu_models() == nullptr || request->gpu_models()->size() == 0)
    return out;
  string models;
  for (const auto* model : *request->gpu_models())
    models += (models.empty() ? "" : " or ") + model->str();
  return fmt::format("{} ({})", out, models);
}

string command_text(const schema::SessionView& view) {
  string out;
  if (view.argv() != nullptr)
    for (const auto* word : *view.argv())
      out += (out.empty() ? "" : " ") + quoted(word->string_view());
  return out.empty() && view.simulated() ? "(simulated)" : out;
}

string places_text(const schema::SessionView& view) {
  std::vector<string> names;
  if (view.tasks() != nullptr)
    for (const auto* task : *view.tasks()) {
      const string name = task->node() ? task->node()->str() : string();
      if (!name.empty() && (names.empty() || names.back() != name))
        names.push_back(name);
    }
  string out;
  for (std::size_t i = 0; i < names.size() && i < places_shown; ++i)
    out += (out.empty() ? "" : " ") + names[i];
  if (names.size() > places_shown)
    out += fmt::format(" and {} more", names.size() - places_shown);
  return out;
}

string first_failed_text(const schema::SessionView& view) {
  if (view.state() != schema::SessionState::failed || view.tasks_wanted() < 2 ||
      !view.first_failed())
    return {};
  return fmt::format("task {} of {}", *view.first_failed(),
                     view.tasks_wanted());
}

string devices_text(const schema::TaskView& task) {
  string out;
  if (task.devices() == nullptr) return out;
  for (const auto* device : *task.devices()) {
    if (!out.empty()) out += ", ";
    out +=
        fmt::format("{}:{}", device->model() ? device->model()->str() : "gpu",
                    device->device());
    if (device->milli() < 1000)
      out += fmt::format(" ({})", format_milli(device->milli()));
  }
  return out;
}

}  // namespace reeve::tools
