// Writes the log of a busy month, for tests of what reads logs:
//
//   busy_month DIR SESSIONS [SNAPSHOT_EVERY]
//
// 32 nodes with 8 GPUs each and 2 without, 14 users, 4 projects; sessions of
// a quarter of a GPU to two whole nodes, of seconds to days; nodes that are
// drained, lost and return. The same arguments give the same log. Session
// names include some that would be dangerous if they were ever taken for
// markup. With SNAPSHOT_EVERY events a snapshot is put into it.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <deque>
#include <queue>
#include <random>

#include "cluster/check.hpp"
#include "cluster/testing.hpp"
#include "store/log.hpp"

namespace {

using namespace reeve;
using namespace reeve::cluster;
using namespace reeve::cluster::testing;

constexpr std::uint32_t gpu_nodes = 32;
constexpr std::uint32_t gpus = 8;
constexpr std::uint64_t month_ns = 30ull * 24 * 3600 * second_ns;

constexpr const char* users[] = {"anna",   "ben",   "carlos", "divya", "emil",
                                 "fatima", "grace", "hiro",   "ines",  "jan",
                                 "kim",    "mo",    "nora",   "otto"};
constexpr const char* projects[] = {"default", "vision", "speech", "robotics"};
constexpr const char* names[] = {"train-resnet50",
                                 "eval",
                                 "tokenize",
                                 "llm-pretrain",
                                 "notebook",
                                 "finetune",
                                 "",
                                 "</script><img onerror=x src=y>",
                                 "protein \"fold\"",
                                 "日本語の実験"};

template <class T>
T must(Expected<T> result) {
  REEVE_CHECK(result.has_value(), result.error().text);
  return std::move(*result);
}
void must(const Status& status) {
  REEVE_CHECK(status.has_value(), status.error().text);
}

class Month {
 public:
  Month(const char* directory, std::uint64_t sessions,
        std::uint64_t snapshot_every)
      : sessions_(sessions), snapshot_every_(snapshot_every) {
    store::LogOptions options;
    options.directory = directory;
    options.create_if_missing = true;
    log_ = must(store::Log::open(options));
    cell_.checks = false;
    for (const char* name : {"vision", "speech", "robotics"}) add_project(name);
    share_with_anyone();
    for (std::uint32_t i = 0; i < gpu_nodes + 2; ++i) join(i);
  }

  void live() {
    const double gap_ns =
        static_cast<double>(month_ns) / static_cast<double>(sessions_);
    std::exponential_distribution<double> gap(1 / gap_ns);
    std::uint64_t next_trouble = cell_.now.value + 30 * hour_ns;
    for (std::uint64_t i = 0; i < sessions_; ++i) {
      const Time arrival{cell_.now.value +
                         static_cast<std::uint64_t>(gap(random_))};
      end_until(arrival);
      cell_.now = arrival;
      submit();
      place_waiting();
      if (cell_.now.value > next_trouble) {
        trouble();
        next_trouble += 20 * hour_ns;
      }
      if (i % 32 == 0) commit();
    }
    commit();
    must(log_->close());
  }

 private:
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }
  static std::string node(std::uint32_t i) {
    return fmt::format("gpu-{:02}", i);
  }

  void add_project(const char* name) {
    cell_.writer.begin(cell_.origin());
    auto& builder = cell_.writer.builder();
    cell_.writer.add(
        schema::CreateProjectCreated(builder, builder.CreateString(name)),
        Sequence{});
    cell_.settle();
  }

  // Or the month would have a line from its first day to its last, and no gaps.
  void share_with_anyone() {
    flatbuffers::FlatBufferBuilder builder;
    const auto name = builder.CreateString("default");
    schema::AccountSpecBuilder spec(builder);
    spec.add_kind(schema::AccountKind::group);
    spec.add_name(name);
    spec.add_gpu_sharing(schema::GpuSharing::anyone);
    builder.Finish(schema::CreateSetAccount(builder, spec.Finish()));
    const auto* command =
        flatbuffers::GetRoot<schema::SetAccount>(builder.GetBufferPointer());
    if (!decide_set_account(cell_.state, *command, cell_.origin("root"),
                            cell_.writer))
      throw std::runtime_error("the group cannot be set");
    cell_.settle();
  }

  void join(std::uint32_t i) {
    NodeOptions options;
    options.name =
        i < gpu_nodes ? node(i) : fmt::format("cpu-{}", i - gpu_nodes);
    options.cpu_milli = 128'000;
    options.memory_bytes = 1024 * gib;
    options.devices = i < gpu_nodes ? gpus : 0;
    options.model = i % 4 == 3 ? "A100" : "H100";
    cell_.register_node(options, true);
  }

  void submit() {
    // A few users do most.
    const auto user = std::min<std::uint32_t>(
        13, static_cast<std::uint32_t>(
                std::exponential_distribution<double>(0.3)(random_)));
    Spec spec = one_task();
    spec.user = users[user];
    spec.project = projects[(user + below(2)) % 4];
    spec.name = names[below(std::size(names))];
    static constexpr std::uint32_t counts[] = {0, 0, 1, 1, 1, 1, 2, 2, 4, 8};
    spec.gpus = counts[below(std::size(counts))];
    if (spec.gpus == 1 && below(3) == 0) spec.gpu_milli = 250 * (1 + below(2));
    spec.tasks = spec.gpus == 8 && below(4) == 0 ? 2 : 1;
    spec.cpu_milli = 1000 * (1 + spec.gpus * 4 + below(4));
    spec.memory_bytes = (4 + spec.gpus * 32) * gib;
    const auto decision = cell_.try_submit(spec);
    REEVE_CHECK(decision.has_value(), decision.error().text);
    waiting_.push_back(
        {decision->session, spec.tasks, spec.gpus, spec.gpu_milli});
  }

  struct Wish {
    SessionId session;
    std::uint32_t tasks;
    std::uint32_t gpus;
    std::uint32_t milli;
  };
  struct End {
    Time at;
    SessionId session;
    std::uint32_t tasks;
    bool operator>(const End& other) const { return at > other.at; }
  };

  // The same devices on each of its nodes, which is all that Cell offers.
  bool place(const Wish& wish) {
    const std::uint32_t first = below(gpu_nodes);
    std::vector<std::string> chosen;
    std::vector<DeviceGrant> devices;
    for (std::uint32_t i = 0; i < gpu_nodes && chosen.size() < wish.tasks;
         ++i) {
      const Node* candidate = cell_.state.node(node((first + i) % gpu_nodes));
      if (!candidate || !candidate->offered()) continue;
      if (candidate->cpu_milli - candidate->used_cpu_milli < 40'000) continue;
      std::vector<DeviceGrant> free;
      for (std::uint32_t d = 0; d < gpus && free.size() < wish.gpus; ++d) {
        const Device& device = candidate->devices[d];
        if (device.used_milli + wish.milli <= 1000)
          free.push_back({.device = d,
                          .milli = wish.milli,
                          .memory_bytes = wish.milli * 80 * gib / 1000});
      }
      if (free.size() < wish.gpus) continue;
      chosen.push_back(candidate->name);
      devices = std::move(free);
    }
    if (chosen.size() < wish.tasks) return false;
    if (!cell_.try_place(wish.session, chosen, devices)) return false;
    for (std::uint32_t rank = 0; rank < wish.tasks; ++rank)
      cell_.start(wish.session, rank);
    // As long as the month can bear with so many sessions.
    const double mean_ns = 1.1 * static_cast<double>(month_ns) * gpu_nodes *
                           gpus / static_cast<double>(sessions_) / 6;
    std::lognormal_distribution<double> length(std::log(mean_ns), 1.1);
    ends_.push(
        {Time{cell_.now.value + static_cast<std::uint64_t>(length(random_))},
         wish.session, wish.tasks});
    return true;
  }

  void place_waiting() {
    for (int tries = 0; tries < 4 && !waiting_.empty(); ++tries) {
      if (!place(waiting_.front())) waiting_.push_back(waiting_.front());
      waiting_.pop_front();
    }
  }

  void end_until(Time at) {
    while (!ends_.empty() && ends_.top().at <= at) {
      const End end = ends_.top();
      ends_.pop();
      const Session* session = cell_.state.session(end.session);
      if (!session || has_ended(session->state)) continue;
      cell_.now = std::max(cell_.now, end.at);
      const std::int32_t code = below(12) == 0 ? 1 : 0;
      for (std::uint32_t rank = 0; rank < end.tasks; ++rank)
        cell_.fact(end.session, {.rank = rank, .exit_code = code});
      place_waiting();
    }
  }

  void trouble() {
    for (const auto& [index, lost] : troubled_) {
      if (lost)
        join(index);
      else
        cell_.resume(node(index));
    }
    troubled_.clear();
    for (int i = 0; i < 3; ++i) {
      const std::uint32_t index = below(gpu_nodes);
      const bool lost = below(2) == 0;
      const Node* victim = cell_.state.node(node(index));
      if (!victim->offered()) continue;
      troubled_.emplace_back(index, lost);
      if (!lost) {
        cell_.drain(victim->name);
        continue;
      }
      const auto holders = victim->holders;
      cell_.lose(victim->name);
      for (const SessionId holder : holders)
        while (cell_.task_lost(holder)) {
        }
    }
  }

  void commit() {
    const std::uint64_t last = cell_.state.last_sequence().value;
    if (last == committed_) return;
    const std::size_t from = cell_.offset_of(Sequence{committed_ + 1});
    must(log_->append(1, static_cast<std::uint32_t>(last - committed_),
                      std::span(cell_.log()).subspan(from)));
    committed_ = last;
    if (snapshot_every_ == 0 || last < snapshot_at_ + snapshot_every_) return;
    const auto bytes = cell_.state.encode_snapshot();
    must(log_->put_snapshot(last, State::digest_of(bytes), bytes));
    snapshot_at_ = last;
  }

  std::uint64_t sessions_;
  std::uint64_t snapshot_every_;
  std::uint64_t snapshot_at_ = 0;
  std::uint64_t committed_ = 0;
  std::mt19937_64 random_{1};
  std::unique_ptr<store::Log> log_;
  Cell cell_{Time{1'793'491'200 * second_ns}};
  std::deque<Wish> waiting_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  std::vector<std::pair<std::uint32_t, bool>> troubled_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: busy_month DIR SESSIONS [SNAPSHOT_EVERY]\n");
    return 2;
  }
  const auto number = [](const char* text) {
    return std::strtoull(text, nullptr, 10);
  };
  Month(argv[1], number(argv[2]), argc > 3 ? number(argv[3]) : 0).live();
  return 0;
}
