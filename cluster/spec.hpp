// A session's specification outside its message: packed into two byte strings
// that sessions share and one of its own, and unpacked into plain fields when
// needed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/types_generated.h"

namespace reeve::cluster {

// All text views point into what it was unpacked from.
struct Spec {
  using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

  std::string_view name;
  std::string_view user;
  std::string_view project;
  std::string_view group;
  std::string_view on_node;
  std::string_view workdir;
  schema::SessionKind kind = schema::SessionKind::batch;
  std::int32_t priority = 0;
  std::uint32_t tasks = 1;
  std::uint32_t nodes = 0;
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::uint32_t gpu_milli = 1000;
  std::uint64_t gpu_memory_bytes = 0;
  std::vector<std::string_view> gpu_models;
  std::uint64_t time_limit_ns = 0;
  std::uint64_t not_before_at = 0;
  std::uint32_t requeue_max = 0;
  std::vector<schema::Dependency> after;
  Pairs labels;
  std::vector<std::string_view> argv;
  Pairs env;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool simulated = false;
  std::uint64_t sim_duration_ns = 0;
  bool workdir_optional = false;
  std::string_view constraint;
  std::vector<std::string_view> prefer;
  std::string_view together;
  std::string_view apart;
  std::string_view within;
  std::uint64_t grace_ns = 0;
  std::uint8_t warn_signal = 0;
  std::uint64_t warn_ns = 0;
  schema::OnPreempt on_preempt = schema::OnPreempt::requeue;
  std::string_view reservation;
  std::uint64_t array_session = 0;
  std::uint32_t array_index = 0;
  std::uint32_t array_running_max = 0;
  std::uint64_t cut_off_ns = 0;
};

// `out` is cleared first. The request and the context are what sessions tend
// to have in common; the own part is the name and the command. Numbers that
// the state keeps in fields (priority, times) are in none of them.
void pack_request(const schema::SessionSpec& spec, std::string& out);
void pack_context(const schema::SessionSpec& spec, std::string& out);
void pack_own(const schema::SessionSpec& spec, std::string& out);

void unpack_request(std::string_view packed, Spec& spec);
void unpack_context(std::string_view packed, Spec& spec);
void unpack_own(std::string_view packed, Spec& spec);
std::string_view unpack_name(std::string_view packed_own);

Spec spec_of(const schema::SessionSpec& spec);

flatbuffers::Offset<schema::ResourceRequest> build_request(
    flatbuffers::FlatBufferBuilder& builder, const Spec& spec);
flatbuffers::Offset<schema::SessionSpec> build_spec(
    flatbuffers::FlatBufferBuilder& builder, const Spec& spec);

flatbuffers::Offset<flatbuffers::String> build_text(
    flatbuffers::FlatBufferBuilder& builder, std::string_view text);
flatbuffers::Offset<
    flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>>
build_texts(flatbuffers::FlatBufferBuilder& builder,
            const std::vector<std::string_view>& texts);
flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<schema::KeyValue>>>
build_pairs(flatbuffers::FlatBufferBuilder& builder, const Spec::Pairs& pairs);

}  // namespace reeve::cluster
