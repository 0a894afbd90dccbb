// The timeline as rows of letters. A letter is who held most of the device in
// that piece of time: a capital where at least half of it was held.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cluster/session_id.hpp"
#include "cluster/units.hpp"
#include "tools/cli/context.hpp"
#include "tools/log/timeline_view.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::accounting;
using std::string;

constexpr std::size_t letters = 26;
constexpr std::size_t legend_max = letters;
constexpr std::size_t tick_columns = 20;
constexpr std::size_t percent_columns = 6;  // " 100 %"
constexpr std::uint32_t no_device = UINT32_MAX;

// Distinct on light and dark terminals.
constexpr int palette[] = {33,  208, 35, 160, 98, 137,
                           170, 106, 37, 178, 62, 166};

// Who is who in the picture: rank 0 is who held most.
struct Ranking {
  std::vector<std::uint32_t> rank_of;  // by key
  std::vector<std::uint32_t> key_at;   // by rank
  std::vector<double> share;           // by rank
};

struct Row {
  NodeId node;
  std::uint32_t device = no_device;
  double capacity = 0;  // thousandths
};

struct Cell {
  std::vector<std::pair<std::uint32_t, double>> held;  // key, milli * ns
  double phase_ns[node_phases] = {};
  void add(std::uint32_t key, double amount) {
    for (auto& [known, sum] : held)
      if (known == key) return void(sum += amount);
    held.emplace_back(key, amount);
  }
};

string safe(std::string_view text, bool unicode) {
  string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool control = byte < 0x20 || byte == 0x7F;
    out += control || (byte >= 0x80 && !unicode) ? '?' : c;
  }
  return out;
}

string trimmed(string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// `text` in exactly `width` columns.
string cell_text(string text, std::size_t width) {
  const auto starts = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  };
  std::size_t points = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!starts(text[i])) continue;
    if (points == width) {
      text.resize(i);
      break;
    }
    ++points;
  }
  return text + string(width - std::min(width, points), ' ');
}

class Bars {
 public:
  Bars(const TimelineView& view, const BarOptions& options)
      : view_(view), options_(options) {
    find_rows();
    label_ = label_width();
    columns_ = options.width - label_ - 1 - percent_columns;
    bucket_ns_ = static_cast<double>(view.to.value - view.from.value) /
                 static_cast<double>(columns_);
    ranking_ = rank();
    fill();
  }

  string text() const {
    string out = axis();
    for (std::size_t i = 0; i < rows_.size(); ++i) out += row_line(i);
    if (rows_left_ > 0)
      out += fmt::format("and {}: --limit, --node or --html\n",
                         counted(rows_left_, "more row"));
    return out + legend();
  }

 private:
  std::uint32_t key_of(const TimelineAllocation& one) const {
    const TimelineRun& run = view_.timeline.runs[one.run];
    switch (options_.by) {
      case ColourBy::user: return run.user;
      case ColourBy::project: return run.project;
      case ColourBy::session: return session_keys_.at(run.session.value);
    }
    return 0;
  }

  string name_of(std::uint32_t key) const {
    switch (options_.by) {
      case ColourBy::user: return view_.timeline.users.all()[key];
      case ColourBy::project: return view_.timeline.projects.all()[key];
      case ColourBy::session: return to_text(SessionId{sessions_[key]});
    }
    return {};
  }

  void find_rows() {
    std::map<std::uint32_t, std::uint32_t> devices;
    for (const auto& span : view_.timeline.spans) {
      auto& most = devices[span.node.value];
      most = std::max(most, span.devices);
    }
    for (const auto& [node, count] : devices) {
      const double cpus = view_.ledger.nodes()[node].cpu_milli;
      if (count == 0) add_row({NodeId{node}, no_device, cpus});
      for (std::uint32_t i = 0; i < count; ++i)
        add_row({NodeId{node}, i, double{milli_per_device}});
    }
    if (options_.by != ColourBy::session) return;
    for (const auto& run : view_.timeline.runs)
      if (session_keys_
              .try_emplace(run.session.value,
                           static_cast<std::uint32_t>(sessions_.size()))
              .second)
        sessions_.push_back(run.session.value);
  }

  void add_row(const Row& row) {
    if (rows_.size() >= options_.rows_max) return void(++rows_left_);
    row_at_[{row.node.value, row.device}] = rows_.size();
    rows_.push_back(row);
  }

  std::string row_name(const Row& row, bool first) const {
    string out = first ? safe(view_.ledger.nodes()[row.node.value].name,
                              options_.unicode)
                       : string();
    return out;
  }

  std::size_t label_width() const {
    std::size_t widest = 4;
    for (const Row& row : rows_)
      widest = std::max(widest, row_name(row, true).size());
    return std::min(widest + 4, options_.width / 3);
  }

  Ranking rank() const {
    std::vector<double> sums;
    double all = 0;
    for (const auto& one : view_.timeline.allocations) {
      const std::uint32_t key = key_of(one);
      if (sums.size() <= key) sums.resize(key + 1);
      const double amount =
          weight(one) * static_cast<double>(one.to.value - one.from.value);
      sums[key] += amount;
      all += amount;
    }
    Ranking out;
    for (std::uint32_t key = 0; key < sums.size(); ++key)
      out.key_at.push_back(key);
    std::stable_sort(out.key_at.begin(), out.key_at.end(),
                     [&](auto a, auto b) { return sums[a] > sums[b]; });
    out.rank_of.resize(sums.size());
    for (std::uint32_t i = 0; i < out.key_at.size(); ++i) {
      out.rank_of[out.key_at[i]] = i;
      out.share.push_back(all > 0 ? sums[out.key_at[i]] / all : 0);
    }
    return out;
  }

  // GPUs where there are any in the picture, CPUs where there are none.
  double weight(const TimelineAllocation& one) const {
    if (!rows_.empty() && rows_.front().device == no_device)
      return one.cpu_milli;
    double sum = 0;
    for (const auto& share : one.devices) sum += share.milli();
    return sum;
  }

  template <class Add>
  void spread(std::size_t row, Time from, Time to, Add&& add) {
    const double first =
        static_cast<double>(from.value - view_.from.value) / bucket_ns_;
    const double last =
        static_cast<double>(to.value - view_.from.value) / bucket_ns_;
    const auto end = std::min(columns_, static_cast<std::size_t>(last) + 1);
    for (auto i = static_cast<std::size_t>(first); i < end; ++i) {
      const double left = std::max(first, static_cast<double>(i));
      const double right = std::min(last, static_cast<double>(i + 1));
      if (right > left)
        add(cells_[row * columns_ + i], (right - left) * bucket_ns_);
    }
  }

  void fill() {
    cells_.resize(rows_.size() * columns_);
    for (const auto& one : view_.timeline.allocations) {
      const std::uint32_t key = key_of(one);
      const auto draw = [&](std::uint32_t device, double milli) {
        const auto found = row_at_.find({one.node.value, device});
        if (found == row_at_.end()) return;
        spread(found->second, one.from, one.to,
               [&](Cell& cell, double ns) { cell.add(key, milli * ns); });
      };
      draw(no_device, one.cpu_milli);
      for (const auto& share : one.devices) draw(share.device(), share.milli());
    }
    for (const auto& span : view_.timeline.spans)
      for (auto at = row_at_.lower_bound({span.node.value, 0});
           at != row_at_.end() && at->first.first == span.node.value; ++at)
        spread(at->second, span.from, span.to, [&](Cell& cell, double ns) {
          cell.phase_ns[static_cast<std::size_t>(span.phase)] += ns;
        });
  }

  // What stands in a cell, and its colour (-1: none).
  std::pair<string, int> glyph(const Row& row, const Cell& cell) const {
    double held = 0;
    std::pair<std::uint32_t, double> most{0, 0};
    for (const auto& one : cell.held) {
      held += one.second;
      if (one.second > most.second) most = one;
    }
    held /= row.capacity;
    const auto& [up, drained, lost] = cell.phase_ns;
    if (lost > held && lost >= drained && lost > up) return {mark_lost(), 160};
    if (drained > held && drained > up) return {mark_drained(), 178};
    if (held <= 0) {
      if (up + drained + lost <= 0) return {" ", -1};
      return {".", 244};
    }
    const std::uint32_t rank = ranking_.rank_of[most.first];
    const bool half = held >= bucket_ns_ / 2;
    const char letter = rank >= letters
                            ? (half ? '#' : '+')
                            : static_cast<char>((half ? 'A' : 'a') + rank);
    return {string(1, letter), colour_of(rank)};
  }

  static int colour_of(std::uint32_t rank) {
    return rank < std::size(palette) ? palette[rank] : 244;
  }
  string mark_lost() const { return options_.unicode ? "╳" : "!"; }
  string mark_drained() const { return options_.unicode ? "▒" : "-"; }

  string painted(const string& text, int colour) const {
    if (!options_.colour || colour < 0) return text;
    return fmt::format("\033[38;5;{}m{}\033[0m", colour, text);
  }

  string row_line(std::size_t index) const {
    const Row& row = rows_[index];
    const bool first = index == 0 || rows_[index - 1].node != row.node;
    const string device =
        row.device == no_device ? "cpu" : fmt::format("{}", row.device);
    string out = cell_text(row_name(row, first), label_ - 4) +
                 fmt::format("{:>3} ", device);
    double held = 0;
    double there_ns = 0;
    string same;
    int same_colour = -1;
    for (std::size_t i = 0; i < columns_; ++i) {
      const Cell& cell = cells_[index * columns_ + i];
      for (const auto& one : cell.held) held += one.second;
      for (const double ns : cell.phase_ns) there_ns += ns;
      const auto [text, colour] = glyph(row, cell);
      if (colour != same_colour) {
        out += painted(same, same_colour);
        same.clear();
        same_colour = colour;
      }
      same += text;
    }
    out += painted(same, same_colour);
    const double whole = there_ns * row.capacity;
    return out +
           fmt::format("{:>4.0f} %\n", whole > 0 ? 100 * held / whole : 0.0);
  }

  string axis() const {
    const std::uint64_t span_ns = view_.to.value - view_.from.value;
    string times(label_, ' ');
    string ruler(label_, ' ');
    for (std::size_t at = 0; at < columns_; at += tick_columns) {
      const std::uint64_t time_at =
          view_.from.value +
          static_cast<std::uint64_t>(bucket_ns_ * static_cast<double>(at));
      const std::size_t room = std::min(tick_columns, columns_ - at);
      // Within two days the date would only repeat itself.
      string time = local_time(time_at);
      if (bucket_ns_ * tick_columns < 5e9)
        time += fmt::format(".{:03}", time_at % second_ns / 1'000'000);
      const bool with_date = at == 0 || span_ns > 48 * 3600 * second_ns;
      const bool fits = with_date && time.size() < room;
      const string shown = fits ? time : time.substr(11);
      times += shown.size() < room ? cell_text(shown, room) : string(room, ' ');
      for (std::size_t i = 0; i < room; ++i)
        ruler += options_.unicode ? (i == 0 ? "┬" : "─") : (i == 0 ? "+" : "-");
    }
    return trimmed(times) + '\n' + ruler + '\n';
  }

  string legend() const {
    string out = "\n";
    const std::size_t count = std::min(ranking_.key_at.size(), legend_max);
    std::size_t used = 0;
    const auto entry = [&](const string& mark, int colour, const string& text) {
      const string shown = cell_text(
          text, std::min<std::size_t>(text.size(), options_.width - 4));
      const std::size_t width = 2 + shown.size() + 3;
      if (used > 0 && used + width > options_.width) {
        out = trimmed(out) + '\n';
        used = 0;
      }
      out += painted(mark, colour) + ' ' + shown + "   ";
      used += width;
    };
    for (std::uint32_t i = 0; i < count; ++i)
      entry(string(1, static_cast<char>('A' + i)), colour_of(i),
            fmt::format("{} {:.0f} %",
                        safe(name_of(ranking_.key_at[i]), options_.unicode),
                        100 * ranking_.share[i]));
    if (ranking_.key_at.size() > count)
      entry("#", 244, counted(ranking_.key_at.size() - count, "other"));
    entry(".", 244, "idle");
    entry(mark_drained(), 178, "drained");
    entry(mark_lost(), 160, "lost");
    out = trimmed(out) + "\nsmall letters: less than half of it was held\n";
    return out;
  }

  const TimelineView& view_;
  BarOptions options_;
  std::vector<Row> rows_;
  std::size_t rows_left_ = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> row_at_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> session_keys_;
  std::vector<std::uint64_t> sessions_;
  std::size_t label_ = 0;
  std::size_t columns_ = 0;
  double bucket_ns_ = 1;
  Ranking ranking_;
  std::vector<Cell> cells_;
};

}  // namespace

string timeline_bars(const TimelineView& view, const BarOptions& options) {
  return Bars(view, options).text();
}

}  // namespace reeve::tools
