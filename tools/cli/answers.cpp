#include "tools/cli/answers.hpp"

#include <algorithm>

namespace reeve::tools {
namespace {

constexpr std::uint64_t page_nodes = 200;

}  // namespace

Expected<bool> each_node(
    const Answers& answers, std::uint64_t limit,
    const std::function<void(const schema::NodeView&)>& visit) {
  std::uint32_t from = 0;
  std::uint64_t seen = 0;
  for (;;) {
    flatbuffers::FlatBufferBuilder builder(128);
    const auto count = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(limit - seen, page_nodes));
    const auto body = schema::CreateNodesQuery(builder, 0, from, count);
    const auto answer =
        answers.ask(builder, schema::QueryBody::NodesQuery, body.Union());
    if (!answer) return tl::unexpected(answer.error());
    const auto* nodes = (*answer)->body_as_NodesAnswer();
    if (nodes == nullptr || nodes->nodes() == nullptr ||
        nodes->nodes()->size() == 0)
      return false;
    for (const auto* node : *nodes->nodes()) {
      from = node->node() + 1;
      ++seen;
      visit(*node);
    }
    if (!nodes->more() || seen >= limit) return nodes->more();
  }
}

}  // namespace reeve::tools
