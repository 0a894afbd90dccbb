#include "cluster/scheduling/case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <stdexcept>

#include "cluster/scheduling/request.hpp"

namespace reeve::cluster {

namespace {

using Words = std::vector<std::string>;
using schema::EventBody;

Words words_of(const std::string& line) {
  std::istringstream in(line);
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

[[noreturn]] void wrong(const std::string& text) {
  throw std::runtime_error(text);
}

std::uint64_t number(const std::string& text) {
  std::size_t used = 0;
  const auto value = std::stoull(text, &used);
  if (used != text.size()) wrong(text + " is no number");
  return value;
}

std::uint64_t duration(const std::string& text) {
  const auto value = number(text.substr(0, text.size() - 1));
  switch (text.back()) {
    case 's': return value * second_ns;
    case 'm': return value * 60 * second_ns;
    case 'h': return value * 3600 * second_ns;
    default: wrong(text + " is no duration");
  }
}

std::pair<std::string, std::string> pair_of(const std::string& word) {
  const auto at = word.find('=');
  if (at == std::string::npos) wrong(word + " is no key=value");
  return {word.substr(0, at), word.substr(at + 1)};
}

TestNode node_of(const Words& words) {
  TestNode node{.group = default_group};
  node.number = static_cast<std::uint32_t>(number(words.at(1).substr(1)));
  std::uint32_t gpus = 0;
  std::string model = "A";
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto [key, value] = pair_of(words[i]);
    if (key == "cpus")
      node.cpu_milli = static_cast<std::uint32_t>(1000 * number(value));
    else if (key == "memory")
      node.memory_bytes = number(value) * gib;
    else if (key == "gpus")
      gpus = static_cast<std::uint32_t>(number(value));
    else if (key == "model")
      model = value;
    else if (key == "device_memory")
      node.device_memory_bytes = number(value) * gib;
    else
      node.labels.emplace_back(key, value);
  }
  node.models = devices(gpus, model);
  return node;
}

Quota quota_of(const Words& words) {
  Quota quota;
  for (std::size_t i = 3; i < words.size(); ++i) {
    const auto [key, value] = pair_of(words[i]);
    const auto limit = number(value);
    if (key == "sessions")
      quota.sessions = limit;
    else if (key == "cpus")
      quota.cpu_milli = limit * 1000;
    else if (key == "memory")
      quota.memory_bytes = limit * gib;
    else if (key == "gpus")
      quota.gpu_milli = limit * 1000;
    else
      wrong(key + " is no limit");
  }
  return quota;
}

AccountKind kind_of(const std::string& word) {
  if (word == "user") return AccountKind::user;
  if (word == "project") return AccountKind::project;
  if (word == "group") return AccountKind::group;
  wrong(word + " is no kind of account");
}

class Run {
 public:
  explicit Run(const CaseOptions& options) : options_(options) {
    obvious_.now = cell_.now;
    set_policy("fifo,greedy");
  }

  void line(const Words& words);
  std::string told;
  std::string said;  // of it, the last

 private:
  void say(const std::string& text) {
    said = text;
    told += text + "\n";
  }

  void set_policy(const std::string& text) {
    const auto policy = parse_policy(text);
    if (!policy) wrong("no policy: " + text);
    cell_.scheduler.set_policy("default", *policy);
    obvious_.policy = policy_ = *policy;
    if (options_.plant) options_.plant(obvious_.policy);
  }

  void sharing(const Words& words);
  TestSession session_of(const Words& words) const;
  void submit(const Words& words);
  void account(const Words& words);
  void quota(const Words& words);
  void pass(const Words& words);
  void check_promises();
  void preempt(const Words& words);
  void starts(const Words& words);
  void session_step(const Words& words);
  void node_step(const Words& words);
  void device_step(const Words& words);

  std::string place(const Proposal& proposal, bool with_devices) const;
  std::string name_of(std::uint64_t id) const {
    for (const auto& [name, other] : ids_)
      if (other == id) return name;
    return "";
  }

  CaseOptions options_;
  Policy policy_;
  TestCell cell_;
  ObviousScheduler obvious_;
  std::map<std::string, std::uint64_t> ids_;
  std::map<std::string, std::uint32_t> array_maxima_;
  bool passed_ = false;
};

TestSession Run::session_of(const Words& words) const {
  TestSession session{.memory_bytes = 0, .group = default_group};
  std::string array;
  const auto count = [](const std::string& value) {
    return static_cast<std::uint32_t>(number(value));
  };
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto [key, value] = pair_of(words[i]);
    if (key == "cpus")
      session.cpu_milli = 1000 * count(value);
    else if (key == "memory")
      session.memory_bytes = number(value) * gib;
    else if (key == "gpus")
      session.gpus = count(value);
    else if (key == "share")
      session.gpu_milli = count(value);
    else if (key == "model")
      session.gpu_models = {value};
    else if (key == "tasks")
      session.tasks = count(value);
    else if (key == "nodes")
      session.nodes = count(value);
    else if (key == "priority")
      session.priority = static_cast<std::int32_t>(count(value));
    else if (key == "time")
      session.time_limit_ns = duration(value);
    else if (key == "user")
      session.user = value;
    else if (key == "project")
      session.project = value;
    else if (key == "on")
      session.on_node = value;
    else if (key == "constraint")
      session.constraint = value;
    else if (key == "within")
      session.within = value;
    else if (key == "prefer")
      session.prefer.push_back(value);
    else if (key == "together")
      session.together = value;
    else if (key == "apart")
      session.apart = value;
    else if (key == "array")
      array = value;
    else if (key == "max")
      session.array_running_max = count(value);
    else
      wrong(key + " is nothing that a session has");
  }
  if (ids_.contains(array)) {
    session.array_session = ids_.at(array);
    session.array_running_max = array_maxima_.at(array);
  }
  if (session.gpus == 0) session.gpu_milli = 1000;
  session.nodes = std::min(session.nodes, session.tasks);
  return session;
}

void Run::submit(const Words& words) {
  auto session = session_of(words);
  const bool first = session.array_running_max > 0 && !session.array_session;
  if (first) session.array_session = ids_.size() + 1;  // itself
  const auto id = cell_.submit(session);
  ids_[words.at(1)] = id;
  array_maxima_[words.at(1)] = session.array_running_max;
  obvious_.submit(id, session);
  obvious_.cell.sessions.at(id).name = words.at(1);
}

void Run::account(const Words& words) {
  auto& known = obvious_.accounts[{kind_of(words.at(1)), words.at(2)}];
  known.weight = 1;
  known.parent.clear();
  for (std::size_t i = 3; i < words.size(); ++i) {
    const auto [key, value] = pair_of(words[i]);
    if (key == "weight")
      known.weight = static_cast<double>(number(value));
    else if (key == "parent")
      known.parent = value;
    else
      wrong(key + " is nothing that an account has");
  }
  cell_.event(EventBody::AccountChanged, [&](auto& builder) {
    const auto name = builder.CreateString(words.at(2));
    const auto parent = builder.CreateString(known.parent);
    schema::AccountSpecBuilder spec(builder);
    spec.add_kind(kind_of(words.at(1)));
    spec.add_name(name);
    spec.add_parent(parent);
    spec.add_weight_milli(static_cast<std::uint32_t>(1000 * known.weight));
    return schema::CreateAccountChanged(builder, spec.Finish()).Union();
  });
}

void Run::sharing(const Words& words) {
  for (const auto setting : schema::EnumValuesGpuSharing()) {
    if (words.at(1) != schema::EnumNameGpuSharing(setting)) continue;
    cell_.shared_by("default", setting, policy_);
    return obvious_.cell.shared_by("default", setting);
  }
  wrong(words[1] + " is no way to share");
}

void Run::quota(const Words& words) {
  const auto quota = quota_of(words);
  obvious_.accounts[{kind_of(words.at(1)), words.at(2)}].quota = quota;
  cell_.event(EventBody::QuotaSet, [&](auto& builder) {
    const auto limits = build_quota(builder, quota);
    return schema::CreateQuotaSetDirect(builder, kind_of(words.at(1)),
                                        words.at(2).c_str(), limits, 0, 0)
        .Union();
  });
}

std::string Run::place(const Proposal& proposal, bool with_devices) const {
  std::string text = name_of(proposal.session.value) + "@";
  for (const auto& task : proposal.tasks) {
    if (text.back() != '@') text += ',';
    text += fmt::format("n{}", task.node.value);
    if (!with_devices) continue;
    for (std::size_t i = 0; i < task.devices.size(); ++i)
      text += fmt::format("{}{}", i == 0 ? ':' : '+', task.devices[i].device);
  }
  return text;
}

void Run::pass(const Words& words) {
  const auto proposals = cell_.propose();
  const auto problem = obvious_.check_pass(proposals);
  std::string all = "pass";
  for (const auto& proposal : proposals) all += " " + place(proposal, true);
  say(all);
  if (!problem.empty()) wrong(problem);
  if (words.size() > 1) {
    const std::size_t count = words[1] == "nothing" ? 0 : words.size() - 1;
    bool same = count == proposals.size();
    for (std::size_t i = 0; same && i < count; ++i) {
      const auto& expected = words[i + 1];
      const bool with_devices = expected.find(':') != std::string::npos;
      same = expected.find('@') == std::string::npos
                 ? expected == name_of(proposals[i].session.value)
                 : expected == place(proposals[i], with_devices);
    }
    if (!same) wrong("expected, but it is: " + all);
  }
  for (const auto& proposal : proposals) {
    cell_.confirm(proposal);
    auto& session = obvious_.cell.sessions.at(proposal.session.value);
    session.standing = NaiveCell::Standing::placed;
  }
  check_promises();
}

// The first in the queue starts as early as it could; and who was promised a
// start before has not become later by what came behind it.
void Run::check_promises() {
  if (!obvious_.policy.planned()) return;
  const auto told_of = [&](std::uint64_t id) {
    const auto why = cell_.scheduler.why(SessionId{id});
    return why.basis == StartBasis::plan ? why.expected_start : Time{};
  };
  const auto problem = obvious_.check_promises(told_of);
  if (!problem.empty()) wrong(problem);
}

void Run::preempt(const Words& words) {
  const auto victims = cell_.scheduler.preempt(cell_.now);
  std::string all = "preempt";
  for (const auto& one : victims) all += " " + name_of(one.session.value);
  say(all);
  if (words.size() > 1) {
    const std::size_t count = words[1] == "nothing" ? 0 : words.size() - 1;
    bool same = count == victims.size();
    for (std::size_t i = 0; same && i < count; ++i)
      same = words[i + 1] == name_of(victims[i].session.value);
    if (!same) wrong("expected, but it is: " + all);
  }
  const auto problem = obvious_.check_victims(victims);
  if (!problem.empty()) wrong(problem);
}

void Run::starts(const Words& words) {
  const auto why = cell_.scheduler.why(SessionId{ids_.at(words.at(1))});
  const auto expected =
      words.at(2) == "unknown" ? 0 : cell_.now.value + duration(words.at(3));
  if (why.expected_start.value == expected) return;
  if (why.expected_start.value == 0) wrong("it is not known when it starts");
  wrong(fmt::format("it starts in {} s",
                    (why.expected_start.value - cell_.now.value) / second_ns));
}

void Run::session_step(const Words& words) {
  const auto known = ids_.find(words.at(1));
  const auto& sessions = obvious_.cell.sessions;
  const bool there = known != ids_.end() && sessions.contains(known->second);
  const bool running = there && !sessions.at(known->second).tasks.empty();
  const auto& what = words[0];
  if (what == "cancel" ? !there : !running) {
    if (options_.lenient) return;
    wrong(words.at(1) + " is not there, or does not run");
  }
  const auto id = known->second;
  obvious_.now = cell_.now;
  if (what == "end" || what == "cancel") {
    cell_.end(id, what == "end" ? schema::SessionState::succeeded
                                : schema::SessionState::cancelled);
    obvious_.end(id, what == "end");
  } else if (what == "requeue") {
    cell_.requeue(id, sessions.at(id).attempt + 1);
    obvious_.requeue(id);
  } else {
    const auto rank = static_cast<std::uint32_t>(number(words.at(2)));
    if (rank >= sessions.at(id).tasks.size()) return;
    cell_.exit(id, sessions.at(id).attempt, rank);
    obvious_.exit(id, rank);
  }
}

void Run::node_step(const Words& words) {
  const auto number_of =
      static_cast<std::uint32_t>(number(words.at(1).substr(1)));
  const auto it = obvious_.cell.nodes.find(number_of);
  if (it == obvious_.cell.nodes.end()) {
    if (options_.lenient) return;
    wrong("there is no node " + words.at(1));
  }
  it->second.away = words[0] == "lost";
  it->second.away ? cell_.lost(number_of) : cell_.returned(number_of);
}

void Run::device_step(const Words& words) {
  const auto node = static_cast<std::uint32_t>(number(words.at(1).substr(1)));
  const auto device = static_cast<std::uint32_t>(number(words.at(2)));
  const auto it = obvious_.cell.nodes.find(node);
  if (it == obvious_.cell.nodes.end() || device >= it->second.devices.size()) {
    if (options_.lenient) return;
    wrong("there is no such device");
  }
  using schema::DeviceVerdict;
  auto& known = it->second.devices[device];
  if (words[0] == "slow" || words[0] == "fast") {
    known.slow = words[0] == "slow";
    return cell_.tested(
        node, device,
        known.slow ? DeviceVerdict::slow : DeviceVerdict::healthy);
  }
  known.quarantined = words[0] == "quarantine";
  known.quarantined ? cell_.quarantined(node, device)
                    : cell_.released(node, device);
}

void Run::line(const Words& words) {
  const auto& what = words.at(0);
  const bool after_pass = std::exchange(passed_, what == "pass");
  if (what == "preempt" && !after_pass) {
    if (options_.lenient) return;
    wrong("it comes after a pass");
  }
  const bool quiet = what == "submit" || what == "wait" || what == "pass" ||
                     what == "preempt" || what == "starts";
  if (!quiet) obvious_.forget_promises();
  if (what == "policy")
    set_policy(words.at(1));
  else if (what == "node") {
    const auto node = node_of(words);
    cell_.add(node);
    obvious_.cell.add(node);
  } else if (what == "account")
    account(words);
  else if (what == "quota")
    quota(words);
  else if (what == "submit")
    submit(words);
  else if (what == "wait")
    obvious_.now = cell_.now = Time{cell_.now.value + duration(words.at(1))};
  else if (what == "pass")
    pass(words);
  else if (what == "preempt")
    preempt(words);
  else if (what == "starts")
    starts(words);
  else if (what == "lost" || what == "returned")
    node_step(words);
  else if (what == "quarantine" || what == "release" || what == "slow" ||
           what == "fast")
    device_step(words);
  else if (what == "sharing")
    sharing(words);
  else if (what == "end" || what == "cancel" || what == "requeue" ||
           what == "exit")
    session_step(words);
  else
    wrong("no such line");
}

}  // namespace

std::string to_text(const Case& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

CaseResult run_case(const Case& lines, const CaseOptions& options) {
  Run run(options);
  CaseResult result;
  for (const auto& line : lines) {
    const auto words = words_of(line);
    if (words.empty() || words[0][0] == '#') continue;
    try {
      run.line(words);
    } catch (const std::exception& error) {
      result.wrong = line + ": " + error.what();
      if (!run.said.empty()) result.wrong += "\nlast: " + run.said;
      break;
    }
  }
  result.told = run.told;
  return result;
}

Case shrink(Case lines, const std::function<bool(const Case&)>& fails) {
  const auto better = [&](Case smaller) {
    if (!fails(smaller)) return false;
    lines = std::move(smaller);
    return true;
  };
  for (bool progress = true; progress;) {
    progress = false;
    for (auto size = lines.size(); size > 0; size /= 2)
      for (std::size_t at = lines.size(); at-- > 0;) {
        if (at + size > lines.size()) continue;
        auto smaller = lines;
        const auto from = smaller.begin() + static_cast<std::ptrdiff_t>(at);
        smaller.erase(from, from + static_cast<std::ptrdiff_t>(size));
        progress |= better(std::move(smaller));
      }
    for (std::size_t at = 0; at < lines.size(); ++at)
      for (auto word = words_of(lines[at]).size(); word-- > 2;) {
        auto words = words_of(lines[at]);
        if (words[word].find('=') == std::string::npos) continue;
        words.erase(words.begin() + static_cast<std::ptrdiff_t>(word));
        auto smaller = lines;
        smaller[at] = fmt::format("{}", fmt::join(words, " "));
        progress |= better(std::move(smaller));
      }
  }
  return lines;
}

}  // namespace reeve::cluster
