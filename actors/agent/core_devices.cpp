// Devices: unfit ones are asked into quarantine, tests are made and told, and
// each is cleaned between two owners.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/agent/core_command.hpp"
#include "cluster/limits.hpp"
#include "schema/wire.hpp"

namespace reeve::agent {

using schema::EndReason;
using schema::FactKind;

namespace {

using Builder = flatbuffers::FlatBufferBuilder;

bool is_test(GpuWork work) {
  return work == GpuWork::quick_test || work == GpuWork::full_test;
}

// Whose it is from now on. One line of a file: a name may hold anything.
std::string owner_of(const schema::TaskOrder& order) {
  std::string owner =
      fmt::format("{} {}", order.uid(), schema::text(order.user()));
  for (char& c : owner)
    if (static_cast<unsigned char>(c) < ' ') c = '?';
  return owner;
}

constexpr const char* no_answer =
    "it did not end in time: the driver does not answer";

}  // namespace

const NodeDevice* Core::device(const std::string& uuid) const {
  const auto& devices = options_.node.devices;
  const auto found =
      std::find_if(devices.begin(), devices.end(),
                   [&](const NodeDevice& one) { return one.uuid == uuid; });
  return found == devices.end() ? nullptr : &*found;
}

// ---- quarantine

void Core::want_quarantine(const std::string& uuid,
                           const gpu::Finding& finding) {
  if (!offers(uuid)) return;
  WantedQuarantine& wanted = quarantines_[uuid];
  if (wanted.command.waiting || finding.action <= wanted.finding.action) return;
  wanted.finding = finding;
  // A longer one would be refused, and the device offered on.
  if (std::string& reason = wanted.finding.reason;
      reason.size() > cluster::quarantine_reason_bytes_max)
    reason.resize(cluster::quarantine_reason_bytes_max);
}

// An unregistered node has no devices that the manager knows.
void Core::send_quarantines(Time now) {
  if (!registered_) return;
  for (auto& [uuid, wanted] : quarantines_) {
    if (wanted.command.waiting) continue;
    ++counters_.quarantines;
    effects_.messages.push_back(fmt::format("{} goes into quarantine: {}", uuid,
                                            wanted.finding.reason));
    make_quarantine(uuid, wanted);
    send(wanted.command, now);
  }
}

void Core::make_quarantine(const std::string& uuid, WantedQuarantine& wanted) {
  Builder builder(512);
  const auto body = schema::CreateQuarantineDeviceDirect(
      builder, options_.node.name.c_str(), uuid.c_str(),
      wanted.finding.reason.c_str());
  make(wanted.command, "quarantine_device", builder, body);
}

bool Core::on_quarantine_reply(const schema::Reply& reply, Time now) {
  const auto found = std::find_if(
      quarantines_.begin(), quarantines_.end(), [&](const auto& one) {
        return one.second.command.is(*reply.command_id());
      });
  if (found == quarantines_.end()) return false;
  auto& [uuid, wanted] = *found;
  const auto* no = reply.rejection();
  const bool is_there = no && schema::text(no->rule()) == "device_quarantined";
  if (!is_there && rejected(wanted.command, reply, now) && passes(*no)) {
    make_quarantine(uuid, wanted);
    return true;
  }
  quarantines_.erase(found);
  return true;
}

// ---- tests

// An order that crossed the verdict on the way is of a test that is over.
void Core::on_probe_order(const schema::ProbeOrder& order) {
  if (!options_.gpu_jobs) return;
  for (const auto* one : *order.devices()) {
    const std::string uuid = one->uuid()->str();
    if (const auto known = tests_.find(uuid);
        known != tests_.end() && known->second.id == one->test())
      continue;
    if (!tests_.contains(uuid) && tests_.size() >= tests_max)
      std::erase_if(tests_, [&](const auto& test) {
        return test.second.phase == TestPhase::over && !device(test.first);
      });
    if (!tests_.contains(uuid) && tests_.size() >= tests_max) continue;
    Test test;
    test.id = one->test();
    test.full = one->full();
    tests_[uuid] = std::move(test);
  }
}

void Core::begin_tests(Time now) {
  if (options_.node.gpus_awaited) return;
  for (auto& [uuid, test] : tests_) {
    if (test.phase != TestPhase::waiting) continue;
    const NodeDevice* tested = device(uuid);
    if (!tested) {
      GpuJobDone none;
      none.text = fmt::format("node {} has no such device (any more)",
                              options_.node.name);
      tell(test, std::move(none));
      continue;
    }
    if (jobs_.busy(uuid) || jobs_.full() || !gpus_.holders(uuid).empty())
      continue;
    GpuJob job;
    job.uuid = uuid;
    job.work = test.full ? GpuWork::full_test : GpuWork::quick_test;
    test.job = begin_job(std::move(job), now);
    test.phase = TestPhase::running;
    ++counters_.tests;
  }
}

std::uint64_t Core::begin_job(GpuJob job, Time now) {
  if (const NodeDevice* known = device(job.uuid)) job.model = known->model;
  job.probe = options_.node.gpu_probe;
  effects_.gpu_jobs.push_back(jobs_.begin(std::move(job), now));
  return effects_.gpu_jobs.back().id;
}

void Core::tell(Test& test, GpuJobDone result) {
  if (result.text.size() > cluster::test_text_bytes_max)
    result.text.resize(cluster::test_text_bytes_max);
  test.result = std::move(result);
  test.phase = TestPhase::told;
}

void Core::send_tests(Time now) {
  for (auto& [uuid, test] : tests_) {
    if (test.phase != TestPhase::told || test.report.waiting) continue;
    make_report(uuid, test);
    send(test.report, now);
  }
}

void Core::make_report(const std::string& uuid, Test& test) {
  Builder builder(1024);
  std::vector<flatbuffers::Offset<schema::DeviceFigure>> figures;
  for (const GpuFigure& figure : test.result.figures)
    figures.push_back(schema::CreateDeviceFigureDirect(
        builder, figure.name.c_str(), figure.per_second, figure.share_milli));
  const auto body = schema::CreateReportTestDirect(
      builder, options_.node.name.c_str(), uuid.c_str(), test.id,
      test.result.verdict, test.result.text.c_str(), &figures);
  make(test.report, "report_test", builder, body);
}

void Core::on_test_reply(const schema::Reply& reply, Time now) {
  const auto found =
      std::find_if(tests_.begin(), tests_.end(), [&](const auto& one) {
        return one.second.report.is(*reply.command_id());
      });
  if (found == tests_.end()) return;
  Test& test = found->second;
  const auto* no = reply.rejection();
  // Nobody waits for it any more: that is as good as an answer.
  const bool is_late = no && schema::text(no->rule()) == "test_unknown";
  if (!is_late && rejected(test.report, reply, now) && passes(*no))
    return make_report(found->first, test);
  test.report = {};
  test.result = {};
  test.phase = TestPhase::over;
}

// ---- from one owner to the next

void Core::hand_over(keeper::TaskSpec spec, const schema::TaskOrder& order,
                     Time now) {
  handover_.wait(std::move(spec), owner_of(order),
                 Time{now.value + handover_ns_max});
}

void Core::advance_devices(Time now) {
  for (const TaskKey& key : handover_.take_overdue(now))
    fail_unclean(key, "its GPUs could not be cleared in time");
  for (const GpuJob& job : jobs_.overdue(now)) {
    GpuJobDone lost;
    lost.verdict = schema::DeviceVerdict::unfinished;
    lost.text = fmt::format("the test could not be finished: {}", no_answer);
    lost.unclean = no_answer;
    finish_job(job, std::move(lost));
  }
  for (auto& spec : handover_.take_ready(gpus_, jobs_)) {
    find(spec.key)->in_runtime = true;
    effects_.launches.push_back(std::move(spec));
  }
  for (GpuJob& job : handover_.needed(gpus_, jobs_)) {
    if (jobs_.full()) break;
    counters_.handovers += job.work == GpuWork::hand_over ? 1 : 0;
    begin_job(std::move(job), now);
  }
  begin_tests(now);
}

void Core::on_gpu_job(const GpuJobDone& done) {
  if (const auto job = jobs_.end(done)) finish_job(*job, done);
}

void Core::finish_job(const GpuJob& job, GpuJobDone done) {
  if (is_test(job.work)) {
    const auto test = tests_.find(job.uuid);
    if (test != tests_.end() && test->second.phase == TestPhase::running &&
        test->second.job == job.id)
      tell(test->second, std::move(done));
    return;
  }
  if (done.unclean.empty()) return handover_.done(job.uuid, job.owner);
  ++counters_.unclean;
  want_quarantine(job.uuid,
                  {gpu::Action::quarantine,
                   fmt::format("it could not be cleared for its next owner: {}",
                               done.unclean)});
  for (const TaskKey& key : handover_.failed(job.uuid))
    fail_unclean(key, fmt::format("{} could not be cleared: {}", job.uuid,
                                  done.unclean));
}

// No fault of the session: it waits again, and this one does not count.
void Core::fail_unclean(const TaskKey& key, std::string why) {
  Fact fact;
  fact.kind = FactKind::start_failed;
  fact.reason = EndReason::device_unclean;
  fact.detail = std::move(why);
  end(key, *find(key), std::move(fact));
}

}  // namespace reeve::agent
