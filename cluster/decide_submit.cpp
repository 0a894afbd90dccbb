// What may be submitted: bounds, names, and whether it could ever run.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/decide.hpp"
#include "cluster/decide_internal.hpp"
#include "cluster/printable.hpp"
#include "cluster/rejecting.hpp"
#include "cluster/units.hpp"

namespace reeve::cluster {
namespace {

Check least(const char* rule, std::string_view what, std::uint64_t value,
            std::uint64_t limit) {
  if (value >= limit) return std::nullopt;
  return reject(
      RejectCode::malformed, rule,
      fmt::format("{} is {}; at least {} is needed", what, value, limit), limit,
      value);
}

// Texts may be shared inside a message, so a small one can hold a lot.
std::uint64_t text_bytes(const Spec& spec) {
  std::uint64_t bytes = 0;
  for (const auto text :
       {spec.name, spec.user, spec.project, spec.group, spec.on_node,
        spec.workdir, spec.constraint, spec.together, spec.apart, spec.within,
        spec.reservation})
    bytes += text.size();
  for (const auto text : spec.prefer) bytes += text.size();
  for (const auto text : spec.argv) bytes += text.size();
  for (const auto text : spec.gpu_models) bytes += text.size();
  for (const auto* pairs : {&spec.env, &spec.labels})
    for (const auto& [key, value] : *pairs) bytes += key.size() + value.size();
  return bytes;
}

// A signal some time before the time limit: both, or neither.
Check check_warning(const Spec& spec) {
  if (spec.warn_signal == 0 && spec.warn_ns == 0) return std::nullopt;
  if (spec.warn_signal == 0 || spec.warn_signal > signal_max)
    return reject(RejectCode::malformed, "warn_signal",
                  fmt::format("the warning's signal is 1 to {}, not {}",
                              signal_max, spec.warn_signal),
                  signal_max, spec.warn_signal);
  if (spec.time_limit_ns == 0)
    return reject(RejectCode::malformed, "warn_limit",
                  "a warning comes before the time limit, and there is none");
  if (spec.warn_ns == 0 || spec.warn_ns >= spec.time_limit_ns)
    return reject(RejectCode::malformed, "warn_ns",
                  fmt::format("the warning comes {} before the time limit of "
                              "{}: it has to be in between",
                              format_duration(spec.warn_ns),
                              format_duration(spec.time_limit_ns)),
                  spec.time_limit_ns, spec.warn_ns);
  return std::nullopt;
}

Check check_bounds(const Spec& spec, Time now) {
  const std::uint64_t wait_ns =
      spec.not_before_at > now.value ? spec.not_before_at - now.value : 0;
  const Check checks[] = {
      bound("name_bytes_max", "the length of the name", spec.name.size(),
            name_bytes_max),
      bound("argv_count_max", "the number of words of the command",
            spec.argv.size(), argv_count_max),
      bound("env_count_max", "the number of environment variables",
            spec.env.size(), env_count_max),
      bound("labels_count_max", "the number of labels", spec.labels.size(),
            labels_count_max),
      bound("dependencies_count_max", "the number of dependencies",
            spec.after.size(), dependencies_count_max),
      least("tasks_min", "the number of tasks", spec.tasks, 1),
      bound("tasks_per_session_max", "the number of tasks", spec.tasks,
            tasks_per_session_max),
      bound("nodes_max", "the number of nodes", spec.nodes, spec.tasks),
      bound("gpus_per_task_max", "the number of GPUs of a task", spec.gpus,
            gpus_per_task_max),
      least("gpu_share_min", "the share of a GPU (in thousandths)",
            spec.gpu_milli, 1),
      bound("gpu_share_max", "the share of a GPU (in thousandths)",
            spec.gpu_milli, milli_per_device),
      bound("prefer_count_max", "the number of preferences", spec.prefer.size(),
            prefer_count_max),
      bound_time("grace_ns_max", "the grace", spec.grace_ns, grace_ns_max),
      bound_time("cut_off_ns_max", "the time to be cut off", spec.cut_off_ns,
                 cut_off_ns_max),
      bound("requeue_count_max", "the number of requeues", spec.requeue_max,
            requeue_count_max),
      bound_time("time_limit_ns_max", "the time limit", spec.time_limit_ns,
                 time_limit_ns_max),
      bound_time("not_before_ns_max", "the time until it may start", wait_ns,
                 not_before_ns_max),
      bound("spec_bytes_max", "the length of all texts together",
            text_bytes(spec), spec_bytes_max),
  };
  for (const Check& check : checks)
    if (check) return check;
  if (const auto at = find_control(spec.name); at != std::string_view::npos)
    return reject(RejectCode::malformed, "name_control",
                  fmt::format("the name has a control character, at byte {}: "
                              "it would spoil each line that shows it",
                              at + 1));
  if (spec.cut_off_ns != 0 && spec.cut_off_ns < cut_off_ns_min)
    return reject(RejectCode::malformed, "cut_off_ns_min",
                  fmt::format("its tasks may be cut off for {}: it is found "
                              "after {} at the earliest",
                              format_duration(spec.cut_off_ns),
                              format_duration(cut_off_ns_min)),
                  cut_off_ns_min, spec.cut_off_ns);
  if (spec.gpus > 1 && spec.gpu_milli < milli_per_device)
    return reject(RejectCode::malformed, "gpu_share_single",
                  fmt::format("{} GPUs with a share of {} thousandths each: a "
                              "share is of one GPU only",
                              spec.gpus, spec.gpu_milli),
                  1, spec.gpus);
  if (auto no = check_warning(spec)) return no;
  if (spec.on_preempt > schema::OnPreempt::MAX)
    return reject(RejectCode::malformed, "on_preempt",
                  "this program does not know what it wants when it has to "
                  "make room");
  if (!spec.simulated && (spec.argv.empty() || spec.argv[0].empty()))
    return reject(RejectCode::malformed, "command_missing",
                  "there is no command to run");
  return std::nullopt;
}

// Only who may change accounts says whose a user id is, and what stands in an
// account holds for all. The owner's own is with each submission.
Check check_uid(const State& state, const Spec& spec,
                std::string_view principal) {
  const Accounts& accounts = state.accounts();
  if (accounts.find_removed(AccountKind::user, spec.user))
    return reject(RejectCode::wrong_state, "user_removed",
                  fmt::format("user {0} was removed; \"reeve user set {0}\" "
                              "brings them back",
                              spec.user));
  if (spec.user == state.owner() && principal == spec.user) return std::nullopt;
  if (const Account* user = accounts.find(AccountKind::user, spec.user)) {
    if (user->uid == spec.uid) return std::nullopt;
    return reject(RejectCode::forbidden, "uid_foreign",
                  fmt::format("{} has user id {} and may not run as {}",
                              spec.user, user->uid, spec.uid),
                  user->uid, spec.uid);
  }
  if (state.may_administer(principal))
    return check_new_account(state, spec.user);
  return reject(RejectCode::forbidden, "user_unknown",
                fmt::format("there is no user '{0}' yet: {1} or another admin "
                            "has to submit for {0} once, or to make the user "
                            "(reeve user set {0} --uid N)",
                            spec.user, state.owner()));
}

Check check_sharing(const Account& group, const Spec& spec) {
  const bool share = spec.gpus > 0 && spec.gpu_milli < milli_per_device;
  if (!share || group.gpu_sharing != GpuSharing::none) return std::nullopt;
  return reject(
      RejectCode::impossible, "gpu_sharing",
      fmt::format("group {} gives no shares of a GPU, and this session asks "
                  "for {} of one: ask for a whole GPU (--gpus 1), for a MIG "
                  "instance by the name of its model, or in another group",
                  group.name, format_milli(spec.gpu_milli)),
      milli_per_device, spec.gpu_milli);
}

Check check_names(const State& state, const Spec& spec,
                  std::string_view principal) {
  const Accounts& accounts = state.accounts();
  const Account* group = accounts.find(AccountKind::group, spec.group);
  if (!group)
    return reject(
        RejectCode::not_found, "group_unknown",
        fmt::format("there is no resource group '{}'; there are: {}",
                    spec.group,
                    fmt::join(accounts.names(AccountKind::group), ", ")));
  const Account* project = accounts.find(AccountKind::project, spec.project);
  if (!project)
    return reject(
        RejectCode::not_found, "project_unknown",
        fmt::format("there is no project '{}'; there are: {}", spec.project,
                    fmt::join(accounts.names(AccountKind::project), ", ")));
  if (spec.user != principal && !state.may_administer(principal))
    return reject(
        RejectCode::forbidden, "user_foreign",
        fmt::format("only {} and admins submit for others; {} may not "
                    "submit for {}",
                    state.owner(), principal, spec.user));
  if (auto no = check_uid(state, spec, principal)) return no;
  if (!project->admits(spec.user))
    return reject(RejectCode::forbidden, "project_members",
                  fmt::format("{} is not a member of project {}", spec.user,
                              spec.project));
  if (!group->admits(spec.project))
    return reject(
        RejectCode::forbidden, "group_members",
        fmt::format("project {} may not use group {}; it is for: {}",
                    spec.project, spec.group, fmt::join(group->members, ", ")));
  if (auto no = check_sharing(*group, spec)) return no;
  if (!spec.on_node.empty() && !state.node(spec.on_node))
    return reject(RejectCode::not_found, "node_unknown",
                  fmt::format("there is no node '{}' (reeve nodes lists them)",
                              spec.on_node));
  return std::nullopt;
}

// All of an array is decided at once, so its events stay far below what one
// commit takes.
Check check_array(const schema::SubmitSession& command, const Spec& spec) {
  if (!command.array()) return std::nullopt;
  const std::uint64_t from = command.array_from();
  const std::uint64_t to = command.array_to();
  if (from > to)
    return reject(RejectCode::malformed, "array_range",
                  fmt::format("an array from {} to {} is empty", from, to),
                  from, to);
  if (auto no = bound("array_index_max", "the last index of the array", to,
                      array_index_max))
    return no;
  const std::uint64_t size = to - from + 1;
  if (auto no = bound("array_size_max", "the number of sessions of the array",
                      size, array_size_max))
    return no;
  return bound("array_bytes_max",
               "the length of all texts of all sessions of the array together",
               size * text_bytes(spec), array_bytes_max);
}

// As they will be written, the largest of them; one more for their user.
Check check_commit(const Admission& admission, const Origin& origin,
                   const EventWriter& writer, Spec spec, SessionId first,
                   const schema::SubmitSession& command) {
  if (!command.array()) return std::nullopt;
  spec.array_session = first.value;
  spec.array_index = command.array_to();
  EventWriter one(writer.next(), writer.epoch());
  one.begin(origin);
  const auto packed = build_spec(one.builder(), spec);
  one.add(schema::CreateSessionSubmitted(one.builder(), first.value, packed),
          writer.next());
  const std::uint64_t events = command.array_to() - command.array_from() + 2;
  return bound("commit_bytes_max",
               "the length of the events of all sessions of the array (submit "
               "it in parts)",
               events * one.bytes().size(), admission.commit_bytes_max);
}

// Of a reservation it names: that there is one, and for them.
Check check_reservation(const State& state, const Spec& spec, Time now) {
  if (spec.reservation.empty()) return std::nullopt;
  const Reservation* found = state.reservations().find(spec.reservation);
  if (!found || found->is_over(now))
    return reject(RejectCode::not_found, "reservation_unknown",
                  fmt::format("there is no reservation '{}' (\"reeve "
                              "reservation list\" names them)",
                              spec.reservation));
  if (!is_for(*found, state.accounts(), spec.user, spec.project))
    return reject(RejectCode::forbidden, "reservation_foreign",
                  fmt::format("reservation {} is not for {} in project {}",
                              spec.reservation, spec.user, spec.project));
  return std::nullopt;
}

Check check_room(const State& state, const Admission& admission,
                 std::uint64_t sessions) {
  if (!admission.open)
    return reject(
        RejectCode::no_space, "disk_floor",
        fmt::format("the manager's disk is below its floor of free "
                    "space: {}{}nothing new is admitted until there "
                    "is room; running sessions, cancel and queries "
                    "go on",
                    admission.room, admission.room.empty() ? "" : "; "));
  const std::uint64_t waiting = state.count(SessionState::pending);
  if (waiting + sessions > admission.waiting_max)
    return reject(
        RejectCode::try_again, "sessions_waiting_max",
        fmt::format("the cell has {} and the bound is {}: try again "
                    "when some have started",
                    counted(waiting, "waiting session"), admission.waiting_max),
        admission.waiting_max, waiting);
  return std::nullopt;
}

std::vector<const Account*> accounts_over(const State& state,
                                          const Spec& spec) {
  const Accounts& accounts = state.accounts();
  std::vector<const Account*> out;
  if (const auto* user = accounts.find(AccountKind::user, spec.user))
    out.push_back(user);
  const auto* project = accounts.find(AccountKind::project, spec.project);
  for (; project != nullptr; project = project->parent == no_account
                                           ? nullptr
                                           : &accounts.at(project->parent))
    out.push_back(project);
  out.push_back(accounts.find(AccountKind::group, spec.group));
  return out;
}

// Of those whose the session will be: how far it may push, how many of theirs
// may wait, and whether their quotas could ever hold it.
Check check_accounts(const State& state, const Spec& spec,
                     std::uint64_t sessions) {
  const Amounts wanted = wanted_amounts(spec);
  const Amounts all_waiting{0, sessions, 0, 0, 0};
  for (const Account* account : accounts_over(state, spec)) {
    if (spec.priority > account->priority_max)
      return reject(
          RejectCode::over_limit, "priority_max",
          fmt::format("sessions of {} {} have a priority of at most {}, not {}",
                      schema::EnumNameAccountKind(account->kind), account->name,
                      account->priority_max, spec.priority),
          static_cast<std::uint64_t>(std::max(account->priority_max, 0)),
          static_cast<std::uint64_t>(std::max(spec.priority, 0)));
    if (const auto no = never(*account, wanted))
      return reject(RejectCode::impossible, "quota_never",
                    "it could never start: " + to_text(*no), no->limit,
                    no->wanted);
    if (const auto no = excess(*account, account->held, all_waiting))
      return reject(RejectCode::over_limit, "quota_waiting",
                    to_text(*no) + ": try again when some have started",
                    no->limit, no->held);
  }
  return std::nullopt;
}

// One for each session: what is asked beside "any" says more than that.
Check join_dependencies(Spec& spec) {
  using schema::DependencyKind;
  std::vector<schema::Dependency> kept;
  for (const auto& dependency : spec.after) {
    const auto known = std::find_if(
        kept.begin(), kept.end(), [&](const schema::Dependency& other) {
          return other.session() == dependency.session();
        });
    if (known == kept.end()) {
      kept.push_back(dependency);
    } else if (known->kind() == DependencyKind::any) {
      *known = dependency;
    } else if (dependency.kind() != DependencyKind::any &&
               dependency.kind() != known->kind()) {
      return reject(RejectCode::malformed, "dependency_opposite",
                    fmt::format("it would wait for s-{0} to succeed and for "
                                "s-{0} to fail: only one of them can be",
                                dependency.session()));
    }
  }
  spec.after = std::move(kept);
  return std::nullopt;
}

// Keeps the dependencies that still hold the session back.
Check check_dependencies(const State& state, Spec& spec) {
  if (auto no = join_dependencies(spec)) return no;
  std::vector<schema::Dependency> open;
  for (const auto& dependency : spec.after) {
    const SessionId id{dependency.session()};
    if (id.value == 0 || id >= state.next_session())
      return reject(
          RejectCode::not_found, "dependency_unknown",
          fmt::format("there is no session s-{} to wait for", id.value));
    const Session* other = state.session(id);
    if (other && !has_ended(other->state)) {
      open.push_back(dependency);
      continue;
    }
    if (!other && dependency.kind() == schema::DependencyKind::any) continue;
    if (!other)
      return reject(RejectCode::wrong_state, "dependency_forgotten",
                    fmt::format("s-{} ended so long ago that its end is only "
                                "in the log; submit without it",
                                id.value));
    if (!satisfied(dependency.kind(), other->state))
      return reject(
          RejectCode::wrong_state, "dependency_failed",
          fmt::format("s-{} has ended as {}; this session asks for '{}'",
                      id.value, schema::EnumNameSessionState(other->state),
                      schema::EnumNameDependencyKind(dependency.kind())));
  }
  spec.after = std::move(open);
  return std::nullopt;
}

}  // namespace

bool satisfied(schema::DependencyKind kind, SessionState ended) {
  switch (kind) {
    case schema::DependencyKind::ok: return ended == SessionState::succeeded;
    case schema::DependencyKind::failed:
      return ended != SessionState::succeeded;
    case schema::DependencyKind::any: return true;
  }
  return false;
}

Decision decide_submit(const State& state, const schema::SubmitSession& command,
                       const Admission& admission, const Origin& origin,
                       EventWriter& writer) {
  Spec spec = spec_of(*command.spec());
  if (spec.user.empty()) spec.user = origin.principal;
  if (spec.project.empty()) spec.project = "default";
  if (spec.group.empty()) spec.group = default_group;
  // A number in an array is not the client's to say.
  spec.array_session = 0;
  spec.array_index = 0;
  if (!command.array()) spec.array_running_max = 0;
  if (auto no = check_array(command, spec)) return tl::unexpected(*no);
  const std::uint32_t sessions =
      command.array() ? command.array_to() - command.array_from() + 1 : 1;
  if (auto no = check_room(state, admission, sessions))
    return tl::unexpected(*no);
  if (auto no = check_bounds(spec, origin.now)) return tl::unexpected(*no);
  if (auto no = check_names(state, spec, origin.principal))
    return tl::unexpected(*no);
  if (auto no = check_accounts(state, spec, sessions))
    return tl::unexpected(*no);
  if (auto no = check_dependencies(state, spec)) return tl::unexpected(*no);
  if (auto no = check_reservation(state, spec, origin.now))
    return tl::unexpected(*no);
  if (auto no = check_place(state, spec, *command.spec()))
    return tl::unexpected(*no);
  const SessionId session = state.next_session();
  if (auto no = check_commit(admission, origin, writer, spec, session, command))
    return tl::unexpected(*no);

  writer.begin(origin);
  const Sequence first = writer.next();
  auto& builder = writer.builder();
  Sequence cause;
  if (!state.accounts().find(AccountKind::user, spec.user))
    cause = writer.add(schema::CreateUserCreated(
                           builder, build_text(builder, spec.user), spec.uid),
                       Sequence{});
  if (command.array()) spec.array_session = session.value;
  for (std::uint32_t i = 0; i < sessions; ++i) {
    if (command.array()) spec.array_index = command.array_from() + i;
    const auto packed = build_spec(builder, spec);
    writer.add(
        schema::CreateSessionSubmitted(builder, session.value + i, packed),
        cause);
  }
  return Accepted{first, session, sessions};
}

}  // namespace reeve::cluster
