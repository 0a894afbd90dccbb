// CSV and JSON. usage_table.cpp writes for people.
#include "tools/log/usage_text.hpp"

#include <fmt/format.h>

#include <utility>

#include "schema/json.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::accounting;
using std::string;
using std::string_view;

constexpr int decimals = 6;  // of hours for programs

struct Part {
  string_view name;
  Amount amount;
};

std::vector<Part> parts_of(const UsageRow& row, bool places) {
  std::vector<Part> out = {{"held", row.held}};
  if (!places) return out;
  out.push_back({"idle", row.idle});
  out.push_back({"drained", row.drained});
  out.push_back({"lost", row.lost});
  return out;
}

bool has_places(UsageBy by) {
  return by == UsageBy::group || by == UsageBy::node;
}

string csv_field(string_view text) {
  string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

class Csv final : public UsageWriter {
 public:
  explicit Csv(const UsageShape& shape) : shape_(shape) {}

  string begin() override {
    string out = fmt::format("period,from,to,{},tasks", name_of(shape_.by));
    for (const auto& part : parts_of({}, true))
      out += fmt::format(",{0}_cpu_hours,{0}_memory_gib_hours,{0}_gpu_hours",
                         part.name);
    for (const auto& part : parts_of({}, true))
      out += fmt::format(
          ",{0}_cpu_milli_ns,{0}_memory_byte_ns,{0}_gpu_milli_ns", part.name);
    return out + '\n';
  }

  string add(const UsagePeriod& period) override {
    string out;
    for (const UsageRow& row : period.rows)
      out += line(period, row, csv_field(row.key), has_places(shape_.by));
    // The total has no key: no user or node is named by an empty field.
    return out + line(period, period.total, "", true);
  }

 private:
  string line(const UsagePeriod& period, const UsageRow& row, const string& key,
              bool places) const {
    string hours;
    string exact;
    for (const auto& part : parts_of(row, true)) {
      const Amount& a = part.amount;
      if (!places && part.name != "held") {
        hours += ",,,";
        exact += ",,,";
        continue;
      }
      hours +=
          fmt::format(",{},{},{}", rounded(a.cpu_milli_ns, cpu_hour, decimals),
                      rounded(a.memory_byte_ns, gib_hour, decimals),
                      rounded(a.gpu_milli_ns, gpu_hour, decimals));
      exact += fmt::format(",{},{},{}", to_text(a.cpu_milli_ns),
                           to_text(a.memory_byte_ns), to_text(a.gpu_milli_ns));
    }
    return fmt::format(
        "{},{},{},{},{}{}{}\n", period_name(shape_.per, period.from),
        schema::rfc3339(period.from.value), schema::rfc3339(period.to.value),
        key, row.tasks, hours, exact);
  }
  UsageShape shape_;
};

string amount_json(const Amount& a) {
  return JsonObject()
      .raw("cpu_hours", rounded(a.cpu_milli_ns, cpu_hour, decimals))
      .raw("memory_gib_hours", rounded(a.memory_byte_ns, gib_hour, decimals))
      .raw("gpu_hours", rounded(a.gpu_milli_ns, gpu_hour, decimals))
      .raw("cpu_milli_ns", to_text(a.cpu_milli_ns))
      .raw("memory_byte_ns", to_text(a.memory_byte_ns))
      .raw("gpu_milli_ns", to_text(a.gpu_milli_ns))
      .done();
}

class Json final : public UsageWriter {
 public:
  explicit Json(const UsageShape& shape) : shape_(shape) {}

  string begin() override {
    static constexpr const char* pers[] = {"null", "\"day\"", "\"month\""};
    string out = JsonObject()
                     .text("by", name_of(shape_.by))
                     .raw("per", pers[static_cast<int>(shape_.per)])
                     .time("from_at", shape_.from.value)
                     .time("to_at", shape_.to.value)
                     .raw("periods", "[")
                     .done();
    out.pop_back();  // goes on in add
    return out;
  }

  string add(const UsagePeriod& period) override {
    std::vector<string> rows;
    for (const UsageRow& row : period.rows)
      rows.push_back(row_json(row, true, has_places(shape_.by)));
    JsonObject out;
    if (shape_.per != Per::all)
      out.text("period", period_name(shape_.per, period.from));
    out.time("from_at", period.from.value)
        .time("to_at", period.to.value)
        .raw("rows", json_array(rows))
        .raw("total", row_json(period.total, false, true));
    return (std::exchange(first_, false) ? "" : ",\n") + out.done();
  }

  string end() override { return "]}\n"; }

 private:
  string row_json(const UsageRow& row, bool keyed, bool places) const {
    JsonObject out;
    if (keyed) out.text(name_of(shape_.by), row.key);
    out.number("tasks", row.tasks);
    for (const auto& part : parts_of(row, places))
      out.raw(part.name, amount_json(part.amount));
    if (places) out.raw("capacity", amount_json(row.capacity()));
    return out.done();
  }
  UsageShape shape_;
  bool first_ = true;
};

}  // namespace

string_view name_of(UsageBy by) {
  static constexpr string_view names[] = {"user", "project", "group", "node"};
  return names[static_cast<int>(by)];
}

std::unique_ptr<UsageWriter> usage_csv(const UsageShape& shape) {
  return std::make_unique<Csv>(shape);
}
std::unique_ptr<UsageWriter> usage_json(const UsageShape& shape) {
  return std::make_unique<Json>(shape);
}

Status UsageRows::within() const {
  if (count_ <= usage_rows_max) return {};
  return fail(Errc::usage,
              fmt::format("the answer would have {} rows, more than {}: choose "
                          "a shorter range or longer periods",
                          count_, usage_rows_max));
}

}  // namespace reeve::tools
