// usage: what was held and what was not, from the log.
#include "tools/log/handlers.hpp"
#include "tools/log/time_window.hpp"
#include "tools/log/usage_text.hpp"

namespace reeve::tools {
namespace {

using namespace cluster::accounting;

UsageBy by_of(const Arguments& arguments) {
  const auto given = arguments.find("--by").value_or("user");
  for (const UsageBy by : {UsageBy::project, UsageBy::group, UsageBy::node})
    if (given == name_of(by)) return by;
  return UsageBy::user;
}

Per per_of(const Arguments& arguments) {
  const auto given = arguments.find("--per");
  if (!given) return Per::all;
  return *given == "day" ? Per::day : Per::month;
}

std::unique_ptr<UsageWriter> writer_of(const Context& context,
                                       const Arguments& arguments,
                                       const UsageShape& shape) {
  if (context.json) return usage_json(shape);
  if (arguments.has("--csv")) return usage_csv(shape);
  return usage_table(shape, context.terminal);
}

}  // namespace

Result log_usage(const Context& context, const Arguments& arguments) {
  if (context.json && arguments.has("--csv"))
    return fail(Errc::usage, "--csv and --json cannot both be had");
  auto log = open_log(context, arguments);
  if (!log) return tl::unexpected(log.error());
  const auto range = time_window(context, **log, arguments);
  if (!range) return tl::unexpected(range.error());
  const UsageShape shape{by_of(arguments), per_of(arguments), range->from,
                         range->to};
  auto divided = borders(shape.per, shape.from, shape.to);
  if (!divided) return tl::unexpected(divided.error());

  const auto writer = writer_of(context, arguments, shape);
  // Nothing is printed before the end, so that a damaged log gives no half of
  // an answer.
  std::string out = writer->begin();
  UsageRows rows;
  Usage usage(shape.by, [&](const UsagePeriod& period) {
    if (rows.take(period.rows.size())) out += writer->add(period);
  });
  Window window(std::move(*divided), usage);
  const auto run = run_window(**log, *range, context.quiet, window);
  if (!run) return tl::unexpected(run.error());
  if (auto within = rows.within(); !within)
    return tl::unexpected(within.error());
  print(out + writer->end());
  return 0;
}

}  // namespace reeve::tools
