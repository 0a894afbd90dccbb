// Usage for people. Owners have a line each and the rest of the capacity
// below; groups and nodes have a line for each resource.
#include <fmt/format.h>

#include <algorithm>

#include "tools/cli/context.hpp"
#include "tools/log/usage_text.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::accounting;
using std::string;
using Align = Table::Align;

// Short windows hold small parts of an hour.
int decimals_of(const UsageShape& shape) {
  const std::uint64_t span_ns = shape.to.value - shape.from.value;
  if (span_ns < 60 * second_ns) return 5;
  return span_ns < 10 * 3600 * second_ns ? 3 : 2;
}

string upper(std::string_view text) {
  string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

string percent(Wide part, Wide whole) {
  return whole == 0 ? string() : rounded(part * 100, whole, 1) + " %";
}

string head(const UsageShape& shape, const Terminal& terminal) {
  Sheet sheet;
  const std::uint64_t span_ns = shape.to.value - shape.from.value;
  sheet.add("from", local_time(shape.from.value));
  sheet.add("to", fmt::format("{}  ({})", local_time(shape.to.value),
                              format_duration(span_ns)));
  return sheet.text(terminal) + '\n';
}

std::vector<Table::Column> columns(const UsageShape& shape,
                                   std::vector<Table::Column> rest) {
  std::vector<Table::Column> out;
  if (shape.per != Per::all)
    out.push_back({shape.per == Per::day ? "DAY" : "MONTH"});
  out.push_back({upper(name_of(shape.by))});
  out.push_back({"TASKS", Align::right, 6});
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

class Owners final : public UsageWriter {
 public:
  Owners(const UsageShape& shape, const Terminal& terminal)
      : shape_(shape),
        terminal_(terminal),
        decimals_(decimals_of(shape)),
        table_(columns(shape, {{"CPU HOURS", Align::right, 1},
                               {"GiB HOURS", Align::right, 3},
                               {"GPU HOURS", Align::right},
                               {"OF GPUS", Align::right, 2}})) {}

  string add(const UsagePeriod& period) override {
    const Amount all = period.total.capacity();
    std::vector<UsageRow> rows = period.rows;
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& a, const auto& b) {
                       if (a.held.gpu_milli_ns != b.held.gpu_milli_ns)
                         return a.held.gpu_milli_ns > b.held.gpu_milli_ns;
                       return a.held.cpu_milli_ns > b.held.cpu_milli_ns;
                     });
    const auto count = [](std::uint64_t n) { return fmt::format("{}", n); };
    for (const auto& row : rows)
      line(period, row.key, count(row.tasks), row.held, all, Tone::plain);
    const UsageRow& total = period.total;
    line(period, "all held", count(total.tasks), total.held, all, Tone::strong);
    line(period, "idle", "", total.idle, all, Tone::faint);
    const Amount none;
    if (total.drained != none)
      line(period, "drained", "", total.drained, all, Tone::busy);
    if (total.lost != none)
      line(period, "lost", "", total.lost, all, Tone::bad);
    line(period, "capacity", "", all, all, Tone::strong);
    return {};
  }

  string end() override {
    return head(shape_, terminal_) + table_.text(terminal_);
  }

 private:
  void line(const UsagePeriod& period, const string& name, string tasks,
            const Amount& amount, const Amount& all, Tone tone) {
    std::vector<string> cells;
    if (shape_.per != Per::all)
      cells.push_back(period_name(shape_.per, period.from));
    const std::size_t name_at = cells.size();
    cells.push_back(name);
    cells.push_back(std::move(tasks));
    cells.push_back(rounded(amount.cpu_milli_ns, cpu_hour, decimals_));
    cells.push_back(rounded(amount.memory_byte_ns, gib_hour, decimals_));
    cells.push_back(rounded(amount.gpu_milli_ns, gpu_hour, decimals_));
    cells.push_back(percent(amount.gpu_milli_ns, all.gpu_milli_ns));
    table_.add(std::move(cells));
    table_.tone(name_at, tone);
  }
  UsageShape shape_;
  Terminal terminal_;
  int decimals_;
  Table table_;
};

class Places final : public UsageWriter {
 public:
  Places(const UsageShape& shape, const Terminal& terminal)
      : shape_(shape),
        terminal_(terminal),
        decimals_(decimals_of(shape)),
        table_(columns(shape, {{"HOURS OF"},
                               {"HELD", Align::right},
                               {"IDLE", Align::right, 1},
                               {"DRAINED", Align::right, 2},
                               {"LOST", Align::right, 3},
                               {"ALL", Align::right, 4},
                               {"IN USE", Align::right, 5}})) {}

  string add(const UsagePeriod& period) override {
    for (const auto& row : period.rows)
      lines(period, row, row.key, Tone::plain);
    lines(period, period.total, "all", Tone::strong);
    return {};
  }

  string end() override {
    return head(shape_, terminal_) + table_.text(terminal_);
  }

 private:
  void lines(const UsagePeriod& period, const UsageRow& row, const string& name,
             Tone tone) {
    const struct {
      const char* name;
      Wide Amount::*part;
      Wide unit;
    } resources[] = {{"CPU", &Amount::cpu_milli_ns, cpu_hour},
                     {"GiB", &Amount::memory_byte_ns, gib_hour},
                     {"GPU", &Amount::gpu_milli_ns, gpu_hour}};
    const Amount all = row.capacity();
    for (const auto& [resource, part, unit] : resources) {
      if (all.*part == 0 && row.held.*part == 0) continue;
      std::vector<string> cells;
      if (shape_.per != Per::all)
        cells.push_back(period_name(shape_.per, period.from));
      const std::size_t name_at = cells.size();
      cells.push_back(name);
      cells.push_back(fmt::format("{}", row.tasks));
      cells.push_back(resource);
      for (const Amount* amount :
           {&row.held, &row.idle, &row.drained, &row.lost, &all})
        cells.push_back(rounded(amount->*part, unit, decimals_));
      cells.push_back(percent(row.held.*part, all.*part));
      table_.add(std::move(cells));
      table_.tone(name_at, tone);
    }
  }
  UsageShape shape_;
  Terminal terminal_;
  int decimals_;
  Table table_;
};

}  // namespace

std::unique_ptr<UsageWriter> usage_table(const UsageShape& shape,
                                         const Terminal& terminal) {
  if (shape.by == UsageBy::group || shape.by == UsageBy::node)
    return std::make_unique<Places>(shape, terminal);
  return std::make_unique<Owners>(shape, terminal);
}

}  // namespace reeve::tools
