// What a person wants to run, as options or keys of a file tell it. Pure: the
// person's surroundings (user, directory, variables) come in.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/error.hpp"
#include "cluster/units.hpp"
#include "schema/types_generated.h"

namespace reeve::tools {

inline constexpr std::int32_t priority_limit = 1'000'000;
inline constexpr std::uint32_t requeue_limit = 1'000;

// "A-B%MAX"; max 0: all at once.
struct ArrayWish {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint32_t running_max = 0;
  bool operator==(const ArrayWish&) const = default;
};
Expected<ArrayWish> parse_array(std::string_view text);

// "USR1@60s", "SIGTERM@5m", "12@1h".
struct WarningWish {
  std::uint8_t signal = 0;
  std::uint64_t before_ns = 0;
};
Expected<WarningWish> parse_warning(std::string_view text);

enum class AfterKind : std::uint8_t { ok = 0, any = 1, failed = 2 };

struct Submission {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  struct After {
    std::uint64_t session;
    AfterKind kind;
  };

  std::string name;
  std::string user;
  std::string project;
  std::string group;
  std::string on_node;
  std::string workdir;
  bool workdir_optional = false;  // nobody named it
  std::int32_t priority = 0;
  std::uint32_t tasks = 1;
  std::uint32_t nodes = 0;
  std::uint32_t cpu_milli = 1000;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 1000;
  std::uint64_t gpu_memory_bytes = 0;
  std::vector<std::string> gpu_models;
  std::uint64_t time_limit_ns = 0;
  std::uint64_t not_before_at = 0;
  std::uint32_t requeue_max = 0;
  std::vector<After> after;
  Pairs labels;
  Pairs env;
  std::vector<std::string> argv;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool simulated = false;
  std::uint64_t sim_duration_ns = 0;
  std::string constraint;
  std::vector<std::string> prefer;
  std::string together;
  std::string apart;
  std::string within;
  std::uint64_t grace_ns = 0;
  std::uint8_t warn_signal = 0;
  std::uint64_t warn_ns = 0;
  std::uint64_t cut_off_ns = 0;  // 0: the cell's default
  bool ends_on_preempt = false;
  std::string reservation;
  std::optional<ArrayWish> array;
  std::string place;  // where it stands in a file, for messages
};

// Who asks, from where. A task sees PATH, HOME, USER, LANG and what --env
// names, nothing else of the caller's variables.
struct Surroundings {
  std::string user;    // of this host
  std::string caller;  // as whom the cell knows them: the same on its own host
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string directory;
  Submission::Pairs variables;
  TimeFrame time;
};

Submission blank_submission(const Surroundings& here);

// Another user, as whom a session of theirs runs.
struct Person {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;  // empty: not known
};

// The submission is of its `user`, who is this: their ids, and their USER and
// HOME in place of the caller's.
void act_for(Submission& submission, const Person& person,
             const Surroundings& here);

// Sets what one option (its name without dashes) says. Errors name the option.
Status set_key(Submission& submission, std::string_view key,
               std::string_view value, const Surroundings& here);

// What no single key can tell: a command is there, sizes are sensible.
Status check_submission(const Submission& submission);

// The schema::SessionSpec of it.
flatbuffers::Offset<schema::SessionSpec> build_submission(
    flatbuffers::FlatBufferBuilder& builder, const Submission& submission);

// A finished schema::Command with this id. Errc::usage when it is over
// schema::command_bytes_max.
Expected<std::vector<std::byte>> encode_submit(const Submission& submission,
                                               std::uint64_t id_high,
                                               std::uint64_t id_low);

}  // namespace reeve::tools
