#include <fmt/format.h>

#include <span>

#include "cluster/spec.hpp"
#include "schema/wire.hpp"
#include "tools/cli/session/submission.hpp"
#include "tools/program.hpp"

namespace reeve::tools {
namespace {

cluster::Spec view(const Submission& s) {
  cluster::Spec out;
  out.name = s.name;
  out.user = s.user;
  out.project = s.project;
  out.group = s.group;
  out.on_node = s.on_node;
  out.workdir = s.workdir;
  out.workdir_optional = s.workdir_optional;
  out.priority = s.priority;
  out.tasks = s.tasks;
  out.nodes = s.nodes;
  out.cpu_milli = s.cpu_milli;
  out.memory_bytes = s.memory_bytes;
  out.gpus = s.gpus;
  out.gpu_milli = s.gpu_milli;
  out.gpu_memory_bytes = s.gpu_memory_bytes;
  out.gpu_models.assign(s.gpu_models.begin(), s.gpu_models.end());
  out.time_limit_ns = s.time_limit_ns;
  out.not_before_at = s.not_before_at;
  out.requeue_max = s.requeue_max;
  for (const auto& after : s.after)
    out.after.emplace_back(after.session,
                           static_cast<schema::DependencyKind>(after.kind));
  out.labels.assign(s.labels.begin(), s.labels.end());
  out.env.assign(s.env.begin(), s.env.end());
  out.argv.assign(s.argv.begin(), s.argv.end());
  out.uid = s.uid;
  out.gid = s.gid;
  out.simulated = s.simulated;
  out.sim_duration_ns = s.sim_duration_ns;
  out.constraint = s.constraint;
  out.prefer.assign(s.prefer.begin(), s.prefer.end());
  out.together = s.together;
  out.apart = s.apart;
  out.within = s.within;
  out.grace_ns = s.grace_ns;
  out.warn_signal = s.warn_signal;
  out.warn_ns = s.warn_ns;
  out.cut_off_ns = s.cut_off_ns;
  out.on_preempt =
      s.ends_on_preempt ? schema::OnPreempt::end : schema::OnPreempt::requeue;
  out.reservation = s.reservation;
  if (s.array) out.array_running_max = s.array->running_max;
  return out;
}

}  // namespace

flatbuffers::Offset<schema::SessionSpec> build_submission(
    flatbuffers::FlatBufferBuilder& builder, const Submission& submission) {
  return cluster::build_spec(builder, view(submission));
}

Expected<std::vector<std::byte>> encode_submit(const Submission& submission,
                                               std::uint64_t id_high,
                                               std::uint64_t id_low) {
  flatbuffers::FlatBufferBuilder builder(1024);
  const auto spec = build_submission(builder, submission);
  const auto& array = submission.array;
  const auto body = schema::CreateSubmitSession(
      builder, spec, array.has_value(), array ? array->from : 0,
      array ? array->to : 0);
  const schema::Id128 id(id_high, id_low);
  const auto command =
      schema::CreateCommand(builder, &id, schema::CommandBody::SubmitSession,
                            body.Union(), &this_program().protocol);
  const auto bytes = schema::finish(builder, command);
  if (bytes.size() > schema::command_bytes_max)
    return fail(Errc::usage,
                fmt::format("this session takes {} bytes and a command has at "
                            "most {}: let its command read long texts from a "
                            "file",
                            bytes.size(), schema::command_bytes_max));
  return std::vector(bytes.begin(), bytes.end());
}

}  // namespace reeve::tools
