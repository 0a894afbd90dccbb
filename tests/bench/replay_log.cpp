#include "tests/bench/replay_log.hpp"

#include <fmt/format.h>

#include "cluster/check.hpp"
#include "schema/wire.hpp"

namespace reeve::bench {

using namespace cluster;
using Builder = flatbuffers::FlatBufferBuilder;

namespace {

constexpr std::uint32_t nodes = 200;
constexpr std::uint32_t tasks_per_node = 32;

std::size_t event_size(std::span<const std::byte> bytes) {
  return flatbuffers::GetPrefixedSize(
             reinterpret_cast<const std::uint8_t*>(bytes.data())) +
         sizeof(flatbuffers::uoffset_t);
}

template <class Table>
const Table& root(Builder& builder, flatbuffers::Offset<Table> table) {
  builder.Finish(table);
  return *flatbuffers::GetRoot<Table>(builder.GetBufferPointer());
}

}  // namespace

LogMaker::LogMaker(std::uint32_t waiting_max)
    : writer_(Sequence{1}, Epoch{1}), waiting_max_(waiting_max) {
  decide_creation("cell", "root", 0, {now_, {}, {}}, writer_);
  decide_epoch("manager", {now_, {}, {}}, writer_);
  for (std::uint32_t i = 0; i < nodes; ++i) {
    Builder builder;
    std::vector<flatbuffers::Offset<schema::DeviceSpec>> devices;
    for (int j = 0; j < 8; ++j)
      devices.push_back(schema::CreateDeviceSpecDirect(
          builder, fmt::format("GPU-{:08x}-{}", i, j).c_str(), "H100",
          std::uint64_t{80} << 30));
    const auto name = fmt::format("node-{:04}", i);
    const auto& spec = root(
        builder,
        schema::CreateNodeSpecDirect(builder, name.c_str(), "default", 256'000,
                                     std::uint64_t{1} << 41, &devices));
    absorb();
    REEVE_CHECK(
        decide_register(state_, name, spec, true, {now_, {}, {}}, writer_),
        "a node was refused");
  }
  absorb();
}

void LogMaker::absorb() {
  while (absorbed_ < writer_.bytes().size()) {
    const auto rest = writer_.bytes().subspan(absorbed_);
    const Status applied = state_.apply(schema::event_of(rest));
    REEVE_CHECK(applied.has_value(), applied.error().text);
    absorbed_ += event_size(rest);
  }
}

void LogMaker::submit() {
  const std::uint64_t number = ++submitted_;
  const auto name = fmt::format("train-resnet50-lr{}", number);
  const auto output = fmt::format("--output=/data/alice/runs/{}", number);
  Spec spec;
  spec.name = name;
  spec.user = number % 3 ? "alice" : "bob";
  spec.cpu_milli = 4000;
  spec.memory_bytes = std::uint64_t{16} << 30;
  spec.argv = {"/usr/bin/python3", "train.py", "--epochs=90", output};
  spec.env = {{"PYTHONUNBUFFERED", "1"}, {"DATASET", "/data/imagenet"}};
  spec.workdir = "/data/alice/resnet";
  spec.uid = 1000;
  spec.gid = 1000;
  spec.gpus = number % 8 == 0 ? 1 : 0;
  Builder builder;
  const auto& command = root(
      builder, schema::CreateSubmitSession(builder, build_spec(builder, spec)));
  const auto decision = decide_submit(
      state_, command, {}, {now_, "root", schema::Id128(7, number)}, writer_);
  REEVE_CHECK(decision, decision ? "" : decision.error().text);
  waiting_.push_back(decision->session);
  absorb();
}

void LogMaker::place() {
  const Session& session = *state_.session(waiting_.front());
  Proposal proposal{session.id, 1, {{NodeId{next_node_}, {}}}};
  const bool gpu = session.id.value % 8 == 0;
  if (gpu) {
    const auto& devices = state_.nodes()[next_node_].devices;
    for (std::uint32_t i = 0; i < devices.size(); ++i)
      if (devices[i].used_milli == 0) {
        proposal.tasks[0].devices.push_back({i, 1000, 0});
        break;
      }
  }
  next_node_ = (next_node_ + 1) % nodes;
  const auto decision = decide_place(state_, proposal, {now_, {}, {}}, writer_);
  REEVE_CHECK(decision, decision ? "" : decision.error().text);
  placed_.push_back(session.id);
  waiting_.pop_front();
  absorb();
}

void LogMaker::start() {
  const Session& session = *state_.session(placed_.front());
  Builder builder;
  const auto& fact =
      root(builder, schema::CreateFact(builder, schema::FactKind::started,
                                       session.id.value, 1, 0,
                                       static_cast<std::int32_t>(submitted_)));
  const auto& agent = state_.node(session.tasks[0].node)->agent;
  const auto principal = "agent-" + agent;
  decide_fact(state_, agent, fact, {now_, principal, {}}, writer_);
  running_.push_back(session.id);
  placed_.pop_front();
  absorb();
}

void LogMaker::exit() {
  const Session& session = *state_.session(running_.front());
  Builder builder;
  const schema::ExitFacts facts(now_.value - 5 * second_ns, now_.value,
                                std::uint64_t{3} << 30, 4 * second_ns,
                                session.id.value % 50 == 0 ? 1 : 0, 0);
  const auto& fact =
      root(builder, schema::CreateFact(builder, schema::FactKind::exited,
                                       session.id.value, 1, 0, 0,
                                       schema::EndReason::exited, &facts));
  const auto& agent = state_.node(session.tasks[0].node)->agent;
  const auto principal = "agent-" + agent;
  decide_fact(state_, agent, fact, {now_, principal, {}}, writer_);
  running_.pop_front();
  absorb();
}

void LogMaker::make(std::uint64_t events, std::uint32_t group,
                    const std::function<void(const Commit&)>& take) {
  const std::uint64_t last = state_.last_sequence().value + events;
  while (state_.last_sequence().value < last) {
    while (writer_.count() < group) {
      now_.value += 200'000;
      submit();
      if (waiting_.size() <= waiting_max_) continue;
      place();
      if (placed_.size() > 50) start();
      if (running_.size() > nodes * tasks_per_node / 4) exit();
    }
    const std::uint32_t count = writer_.count();
    take({count, writer_.take().bytes});
    absorbed_ = 0;
  }
}

void LogMaker::submit_waiting(std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    submit();
    if (writer_.count() < 1000) continue;
    writer_.take();
    absorbed_ = 0;
  }
}

}  // namespace reeve::bench
