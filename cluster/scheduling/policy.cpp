#include "cluster/scheduling/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#include "cluster/nearest.hpp"
#include "cluster/units.hpp"

namespace reeve::cluster {

namespace {

using std::string_view;

// A key whose value is one of some words: their names, by number, and where it
// stands in a policy.
struct Choice {
  string_view name;
  std::vector<string_view> values;
  std::size_t (*get)(const Policy& policy);
  void (*set)(Policy& policy, std::size_t value);
};

template <auto Member>
Choice choice(string_view name, std::vector<string_view> values) {
  return {name, std::move(values),
          [](const Policy& policy) {
            return static_cast<std::size_t>(policy.*Member);
          },
          [](Policy& policy, std::size_t value) {
            policy.*Member =
                static_cast<std::decay_t<decltype(policy.*Member)>>(value);
          }};
}

const std::vector<Choice>& choices() {
  static const std::vector<Choice> all = {
      choice<&Policy::order>(
          "order", {"fifo", "lifo", "sjf", "drf", "fair_share", "multifactor"}),
      choice<&Policy::backfill>("backfill",
                                {"none", "greedy", "easy", "conservative"}),
      choice<&Policy::packing>("packing",
                               {"best_fit", "pack", "spread", "fragmentation"}),
      choice<&Policy::estimates>("estimates", {"limit", "history"}),
      choice<&Policy::preemption>("preemption", {"off", "priority", "fair"}),
  };
  return all;
}

// A key whose value is a number or a duration.
struct Number {
  string_view name;
  Status (*set)(Policy& policy, string_view key, string_view text);
  std::string (*get)(const Policy& policy);
};

Status set_weight(double& weight, string_view name, string_view text) {
  double value = -1;
  const auto [end, problem] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = problem == std::errc{} && end == text.data() + text.size();
  if (!whole || !(value >= 0 && value <= policy_weight_max))
    return fail(Errc::usage,
                fmt::format("policy: {} is \"{}\"; a number from 0 to {} is "
                            "needed",
                            name, text, policy_weight_max));
  weight = value;
  return {};
}

Status set_duration(std::uint64_t& duration_ns, string_view name,
                    string_view text) {
  const auto value = parse_duration(text);
  if (!value)
    return fail(Errc::usage,
                fmt::format("policy: {}: {}", name, value.error().text));
  if (*value > policy_duration_ns_max || *value < second_ns)
    return fail(Errc::usage,
                fmt::format("policy: {} is {}; it is from {} to {}", name,
                            format_duration(*value), format_duration(second_ns),
                            format_duration(policy_duration_ns_max)));
  duration_ns = *value;
  return {};
}

std::string duration_text(std::uint64_t duration_ns) {
  return fmt::format("{}s", static_cast<double>(duration_ns) / second_ns);
}

template <auto Group, auto Field>
Number weight(string_view name) {
  return {name,
          [](Policy& policy, string_view key, string_view text) {
            return set_weight(policy.*Group.*Field, key, text);
          },
          [](const Policy& policy) {
            return fmt::format("{}", policy.*Group.*Field);
          }};
}

template <auto Field>
Number duration(string_view name) {
  return {name,
          [](Policy& policy, string_view key, string_view text) {
            return set_duration(policy.*Field, key, text);
          },
          [](const Policy& policy) { return duration_text(policy.*Field); }};
}

const std::vector<Number>& numbers() {
  static const std::vector<Number> all = {
      {"depth",
       [](Policy& policy, string_view, string_view text) -> Status {
         const auto depth =
             parse_count(text, "depth of a policy", 1, backfill_depth_max);
         if (!depth) return tl::unexpected(depth.error());
         policy.depth = static_cast<std::uint32_t>(*depth);
         return {};
       },
       [](const Policy& policy) { return fmt::format("{}", policy.depth); }},
      duration<&Policy::half_life_ns>("half_life"),
      duration<&Policy::preempt_after_ns>("preempt_after"),
      weight<&Policy::weights, &ResourceWeights::cpu>("cpu_weight"),
      weight<&Policy::weights, &ResourceWeights::memory>("memory_weight"),
      weight<&Policy::weights, &ResourceWeights::gpu>("gpu_weight"),
      weight<&Policy::factors, &FactorWeights::age>("age_weight"),
      weight<&Policy::factors, &FactorWeights::size>("size_weight"),
      weight<&Policy::factors, &FactorWeights::fair>("fair_weight"),
  };
  return all;
}

string_view trimmed(string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

tl::unexpected<Error> unknown(string_view what, string_view word,
                              std::span<const string_view> known) {
  const auto near = nearest(word, known);
  auto text = fmt::format("policy: there is no {} \"{}\"; ", what, word);
  text += near.empty() ? fmt::format("choose from {}", fmt::join(known, ", "))
                       : fmt::format("did you mean \"{}\"?", near);
  return fail(Errc::usage, std::move(text));
}

// Sets one choice; false: the word is none of its values.
bool choose(Policy& policy, const Choice& among, string_view word) {
  const auto at = std::find(among.values.begin(), among.values.end(), word);
  if (at == among.values.end()) return false;
  among.set(policy, static_cast<std::size_t>(at - among.values.begin()));
  return true;
}

// Sets the key, and returns its name.
Expected<string_view> set_key(Policy& policy, string_view key,
                              string_view value) {
  std::vector<string_view> known;
  for (const auto& among : choices()) {
    known.push_back(among.name);
    if (among.name != key) continue;
    if (choose(policy, among, value)) return among.name;
    return unknown(among.name, value, among.values);
  }
  for (const auto& number : numbers()) {
    known.push_back(number.name);
    if (number.name != key) continue;
    if (auto set = number.set(policy, key, value); !set)
      return tl::unexpected(set.error());
    return number.name;
  }
  return unknown("key", key, known);
}

// A value that only one key has.
Expected<string_view> set_value(Policy& policy, string_view word) {
  std::vector<string_view> known;
  for (const auto& among : choices()) {
    if (choose(policy, among, word)) return among.name;
    known.insert(known.end(), among.values.begin(), among.values.end());
  }
  return unknown("policy", word, known);
}

// "key=value" or a value; returns the name of the key.
Expected<string_view> take_term(Policy& policy, string_view term) {
  const auto equals = term.find('=');
  if (equals == string_view::npos) return set_value(policy, trimmed(term));
  return set_key(policy, trimmed(term.substr(0, equals)),
                 trimmed(term.substr(equals + 1)));
}

// The plain disciplines of textbooks let nobody pass.
Backfill usual_backfill(Order order) {
  switch (order) {
    case Order::fifo:
    case Order::lifo:
    case Order::sjf: return Backfill::none;
    default: return Backfill::greedy;
  }
}

}  // namespace

Expected<Policy> parse_policy(string_view text) {
  Policy policy;
  std::vector<string_view> given;
  const auto is_given = [&](string_view name) {
    return std::find(given.begin(), given.end(), name) != given.end();
  };
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    const auto name = take_term(policy, text.substr(0, comma));
    if (!name) return tl::unexpected(name.error());
    if (is_given(*name)) {
      return fail(
          Errc::usage,
          fmt::format("policy: {} is given twice; keep one of the two", *name));
    }
    given.push_back(*name);
    more = comma != string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  if (is_given("order") && !is_given("backfill"))
    policy.backfill = usual_backfill(policy.order);
  return policy;
}

std::string to_text(const Policy& policy) {
  std::string text;
  const auto add = [&](string_view name, string_view value) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, value);
  };
  for (const auto& among : choices())
    add(among.name, among.values.at(among.get(policy)));
  const Policy usual;
  for (const auto& number : numbers())
    if (auto value = number.get(policy); value != number.get(usual))
      add(number.name, value);
  return text;
}

}  // namespace reeve::cluster
