// The two sides as one HTML page: columns of numbers for web/whatif/.
#include <fmt/format.h>

#include <algorithm>

#include "tools/page/html_page.hpp"
#include "tools/page/page_data.hpp"
#include "tools/whatif/comparison.hpp"
#include "tools/whatif/whatif_assets.hpp"

namespace reeve::tools {

using namespace cluster::simulation;
using std::string;
using Piece = UseSeries::Piece;

namespace {

// The waits at equal steps of their order say how they are distributed.
constexpr std::size_t steps = 400;

std::vector<double> quantiles(std::vector<std::uint64_t> waits) {
  std::vector<double> out;
  if (waits.empty()) return out;
  std::sort(waits.begin(), waits.end());
  for (std::size_t i = 0; i <= steps; ++i)
    out.push_back(static_cast<double>(waits[(waits.size() - 1) * i / steps]));
  return out;
}

// Shares of what was offered; -1 where nothing was.
std::vector<double> shares(const UseSeries& series, double Piece::*held,
                           double Piece::*offered) {
  std::vector<double> out;
  for (const Piece& piece : series.pieces())
    out.push_back(piece.*offered > 0 ? piece.*held / piece.*offered : -1);
  return out;
}

void add_side(PageData& data, const string& name, const Side& side,
              std::size_t pieces) {
  data.column(name + "_waits", quantiles(side.waits_ns));
  std::vector<double> waiting = side.waiting;
  std::vector<double> gpu, cpu;
  if (side.use) {
    gpu = shares(side.use->series(), &Piece::gpu_held, &Piece::gpu_offered);
    cpu = shares(side.use->series(), &Piece::cpu_held, &Piece::cpu_offered);
  }
  for (auto* series : {&waiting, &gpu, &cpu})
    series->resize(std::min(series->size(), pieces));
  data.column(name + "_waiting", waiting);
  data.column(name + "_gpu", gpu);
  data.column(name + "_cpu", cpu);
}

}  // namespace

string comparison_page(const Comparison& all) {
  const std::uint64_t piece_ns =
      all.would.use ? all.would.use->series().piece_ns() : 1;
  PageData data(JsonObject()
                    .raw("figures", comparison_json(all))
                    .truth("dated", all.dated)
                    .raw("from_ns", fmt::format("\"{}\"", all.from.value))
                    .number("window_ns", all.to.value - all.from.value)
                    .number("piece_ns", piece_ns)
                    .done());
  const std::size_t pieces =
      (end_of(all).value - all.from.value + piece_ns - 1) / piece_ns;
  add_side(data, "was", all.was, pieces);
  add_side(data, "would", all.would, pieces);
  PageParts parts;
  parts.title = fmt::format("What if: {}", all.of);
  parts.style = whatif_style;
  parts.body = whatif_body;
  parts.script = whatif_script;
  parts.data = data.packed();
  return html_page(parts);
}

}  // namespace reeve::tools
