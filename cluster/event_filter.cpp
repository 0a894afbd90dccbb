#include "cluster/event_filter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cluster/session_id.hpp"
#include "schema/event_generated.h"

namespace reeve {
namespace {

using schema::Event;
using schema::EventBody;
using std::string_view;

constexpr auto kinds_count = static_cast<std::size_t>(EventBody::MAX) + 1;

std::string snake_case(string_view name) {
  std::string out;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += '_';
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

const std::array<std::string, kinds_count>& kind_names() {
  static const auto names = [] {
    std::array<std::string, kinds_count> all;
    for (std::size_t i = 1; i < kinds_count; ++i)
      all[i] = snake_case(schema::EnumNamesEventBody()[i]);
    return all;
  }();
  return names;
}

template <class Names>
std::string joined(const Names& names) {
  std::string out;
  for (const auto& name : names) {
    if (string_view(name).empty()) continue;
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

std::vector<std::string> enum_names(const char* const* names) {
  std::vector<std::string> out;
  for (; *names != nullptr; ++names) out.emplace_back(*names);
  return out;
}

// The expression again, with a mark below the spot.
tl::unexpected<Error> pointing(string_view expression, std::size_t at,
                               std::string what) {
  return fail(Errc::usage, fmt::format("filter: {}\n  {}\n  {}^", what,
                                       expression, std::string(at, ' ')));
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

void skip_blanks(string_view text, std::size_t& at) {
  while (at < text.size() && is_blank(text[at])) ++at;
}

bool filter_char(char c) {
  return !is_blank(c) && c != '=' && c != '!' && c != ',';
}

string_view take_word(string_view text, std::size_t& at) {
  const std::size_t first = at;
  while (at < text.size() && filter_char(text[at])) ++at;
  return text.substr(first, at - first);
}

string_view text_of(const flatbuffers::String* string) {
  return string ? string_view(string->c_str(), string->size()) : string_view();
}

bool contains(const std::vector<std::string>& values, string_view value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// The end reason that an event names, or null.
const char* reason_of(const Event& event) {
  const auto name = [](auto reason) { return EnumNameEndReason(reason); };
  switch (event.body_type()) {
    case EventBody::TaskExited:
      return name(event.body_as_TaskExited()->reason());
    case EventBody::SessionStopping:
      return name(event.body_as_SessionStopping()->reason());
    case EventBody::SessionRequeued:
      return name(event.body_as_SessionRequeued()->reason());
    case EventBody::SessionEnded:
      return name(event.body_as_SessionEnded()->reason());
    default: return nullptr;
  }
}

// The session state that an event brings about.
const char* state_of(const Event& event) {
  switch (event.body_type()) {
    case EventBody::SessionSubmitted:
    case EventBody::SessionRequeued: return "pending";
    case EventBody::SessionPlaced: return "placed";
    case EventBody::TaskStarted: return "running";
    case EventBody::SessionStopping: return "stopping";
    case EventBody::SessionEnded:
      return EnumNameSessionState(event.body_as_SessionEnded()->state());
    default: return nullptr;
  }
}

constexpr std::uint32_t no_node = UINT32_MAX;

std::uint32_t node_of(const Event& event) {
  switch (event.body_type()) {
    case EventBody::NodeRegistered:
      return event.body_as_NodeRegistered()->node();
    case EventBody::NodeLost: return event.body_as_NodeLost()->node();
    case EventBody::NodeReturned: return event.body_as_NodeReturned()->node();
    case EventBody::NodeDrained: return event.body_as_NodeDrained()->node();
    case EventBody::NodeResumed: return event.body_as_NodeResumed()->node();
    case EventBody::NodeRemoved: return event.body_as_NodeRemoved()->node();
    case EventBody::DeviceQuarantined:
      return event.body_as_DeviceQuarantined()->node();
    case EventBody::DeviceReleased:
      return event.body_as_DeviceReleased()->node();
    case EventBody::DeviceTestRequested:
      return event.body_as_DeviceTestRequested()->node();
    case EventBody::DeviceTested: return event.body_as_DeviceTested()->node();
    default: return no_node;
  }
}

}  // namespace

std::uint64_t session_of(const Event& event) {
  switch (event.body_type()) {
    case EventBody::SessionSubmitted:
      return event.body_as_SessionSubmitted()->session();
    case EventBody::SessionPlaced:
      return event.body_as_SessionPlaced()->session();
    case EventBody::TaskStarted: return event.body_as_TaskStarted()->session();
    case EventBody::TaskExited: return event.body_as_TaskExited()->session();
    case EventBody::DeadlinePassed:
      return event.body_as_DeadlinePassed()->session();
    case EventBody::SessionStopping:
      return event.body_as_SessionStopping()->session();
    case EventBody::SessionRequeued:
      return event.body_as_SessionRequeued()->session();
    case EventBody::SessionWarned:
      return event.body_as_SessionWarned()->session();
    case EventBody::SessionEnded:
      return event.body_as_SessionEnded()->session();
    default: return 0;
  }
}

string_view kind_of(const Event& event) {
  const auto index = static_cast<std::size_t>(event.body_type());
  return index < kinds_count ? string_view(kind_names()[index]) : string_view();
}

Expected<EventFilter::Term> EventFilter::parse_term(string_view expression,
                                                    std::size_t& at) {
  static constexpr string_view keys[] = {"session",   "kind",   "node", "user",
                                         "principal", "reason", "state"};
  Term term{};
  const std::size_t key_at = at;
  const string_view key = take_word(expression, at);
  const auto* known = std::find(std::begin(keys), std::end(keys), key);
  if (known == std::end(keys))
    return pointing(
        expression, key_at,
        fmt::format("\"{}\" is no key; keys are {}", key, joined(keys)));
  term.key = static_cast<Key>(known - std::begin(keys));
  skip_blanks(expression, at);
  term.negated = at < expression.size() && expression[at] == '!';
  if (term.negated) ++at;
  if (at >= expression.size() || expression[at] != '=')
    return pointing(expression, at,
                    fmt::format("\"=\" or \"!=\" is expected after {}", key));
  do {
    ++at;
    skip_blanks(expression, at);
    const std::size_t value_at = at;
    term.values.emplace_back(take_word(expression, at));
    if (term.values.back().empty())
      return pointing(expression, value_at,
                      fmt::format("a value is expected for {}", key));
    if (auto good = check_values(expression, value_at, term); !good)
      return tl::unexpected(good.error());
    skip_blanks(expression, at);
  } while (at < expression.size() && expression[at] == ',');
  return term;
}

// Judges the newest value; a session's is kept as its number.
Status EventFilter::check_values(string_view expression, std::size_t at,
                                 Term& term) {
  std::string& value = term.values.back();
  const auto one_of = [&](const auto& names) -> Status {
    if (std::find(std::begin(names), std::end(names), value) != std::end(names))
      return {};
    return pointing(expression, at,
                    fmt::format("\"{}\" is none of {}", value, joined(names)));
  };
  switch (term.key) {
    case Key::session: {
      const auto id = parse_session_id(value);
      if (!id) return pointing(expression, at, id.error().text);
      value = fmt::format("{}", id->value);
      return {};
    }
    case Key::kind: return one_of(kind_names());
    case Key::reason: return one_of(enum_names(schema::EnumNamesEndReason()));
    case Key::state: return one_of(enum_names(schema::EnumNamesSessionState()));
    case Key::node:
    case Key::user:
    case Key::principal: return {};
  }
  return {};
}

Expected<EventFilter> EventFilter::parse(string_view expression) {
  EventFilter filter;
  std::size_t at = 0;
  skip_blanks(expression, at);
  while (at < expression.size()) {
    auto term = parse_term(expression, at);
    if (!term) return tl::unexpected(term.error());
    filter.learns_ |= term->key == Key::node || term->key == Key::user;
    filter.terms_.push_back(std::move(*term));
    skip_blanks(expression, at);
    if (at == expression.size()) break;
    const std::size_t word_at = at;
    if (take_word(expression, at) != "and")
      return pointing(expression, word_at, "\"and\" is expected here");
    skip_blanks(expression, at);
    if (at == expression.size())
      return pointing(expression, at, "a term is expected after \"and\"");
  }
  return filter;
}

bool EventFilter::passes(const Event& event) {
  if (learns_) learn(event);
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    return holds(term, event) != term.negated;
  });
}

void EventFilter::know_node(std::uint32_t node, std::string name) {
  node_names_[node] = std::move(name);
}

bool EventFilter::names_nodes() const {
  return std::any_of(terms_.begin(), terms_.end(),
                     [](const Term& term) { return term.key == Key::node; });
}

std::uint64_t EventFilter::only_session() const {
  for (const Term& term : terms_)
    if (term.key == Key::session && !term.negated && term.values.size() == 1)
      return std::stoull(term.values.front());
  return 0;
}

void EventFilter::learn(const Event& event) {
  if (const auto* body = event.body_as_NodeRegistered()) {
    if (body->spec()) node_names_[body->node()] = text_of(body->spec()->name());
  } else if (const auto* submitted = event.body_as_SessionSubmitted()) {
    if (submitted->spec())
      session_users_[submitted->session()] = text_of(submitted->spec()->user());
  } else if (const auto* placed = event.body_as_SessionPlaced()) {
    auto& nodes = placed_on_[placed->session()];
    nodes.clear();
    for (const auto* task : *placed->tasks()) nodes.push_back(task->node());
  }
}

bool EventFilter::holds(const Term& term, const Event& event) const {
  switch (term.key) {
    case Key::session: {
      const std::uint64_t session = session_of(event);
      return session != 0 && contains(term.values, fmt::format("{}", session));
    }
    case Key::kind: return contains(term.values, kind_of(event));
    case Key::node: return about_node(term, event);
    case Key::user: {
      const auto user = session_users_.find(session_of(event));
      return user != session_users_.end() &&
             contains(term.values, user->second);
    }
    case Key::principal:
      return contains(term.values, text_of(event.principal()));
    case Key::reason: {
      const char* reason = reason_of(event);
      return reason != nullptr && contains(term.values, reason);
    }
    case Key::state: {
      const char* state = state_of(event);
      return state != nullptr && contains(term.values, state);
    }
  }
  return false;
}

bool EventFilter::about_node(const Term& term, const Event& event) const {
  const std::uint32_t node = node_of(event);
  if (node != no_node) return names_node(term, node);
  const auto nodes = placed_on_.find(session_of(event));
  if (nodes == placed_on_.end()) return false;
  return std::any_of(nodes->second.begin(), nodes->second.end(),
                     [&](std::uint32_t id) { return names_node(term, id); });
}

bool EventFilter::names_node(const Term& term, std::uint32_t node) const {
  if (contains(term.values, fmt::format("{}", node))) return true;
  const auto name = node_names_.find(node);
  return name != node_names_.end() && contains(term.values, name->second);
}

}  // namespace reeve
