#include "cluster/scheduling/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "cluster/nearest.hpp"

namespace reeve::cluster {

namespace {

using std::string_view;

// One key: its name, the names of its values, and where it stands in a policy.
struct Key {
  string_view name;
  std::vector<string_view> values;  // by number
  std::size_t (*get)(const Policy& policy);
  void (*set)(Policy& policy, std::size_t value);
};

template <auto Member>
Key key(string_view name, std::vector<string_view> values) {
  return {name, std::move(values),
          [](const Policy& policy) {
            return static_cast<std::size_t>(policy.*Member);
          },
          [](Policy& policy, std::size_t value) {
            policy.*Member =
                static_cast<std::decay_t<decltype(policy.*Member)>>(value);
          }};
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = {
      key<&Policy::order>("order", {"fifo"}),
      key<&Policy::backfill>("backfill", {"greedy"}),
      key<&Policy::packing>("packing", {"best_fit"}),
  };
  return all;
}

string_view trimmed(string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view word_of(string_view term) {
  return trimmed(term.substr(0, term.find('=')));
}

tl::unexpected<Error> unknown(string_view what, string_view word,
                              std::span<const string_view> known) {
  const auto near = nearest(word, known);
  auto text = fmt::format("policy: there is no {} \"{}\"; ", what, word);
  text += near.empty() ? fmt::format("choose from {}", fmt::join(known, ", "))
                       : fmt::format("did you mean \"{}\"?", near);
  return fail(Errc::usage, std::move(text));
}

struct Choice {
  const Key* key;
  std::size_t value;
};

Expected<Choice> choice_in(const Key& key, string_view word) {
  const auto at = std::find(key.values.begin(), key.values.end(), word);
  if (at == key.values.end()) {
    return unknown(key.name, word, key.values);
  }
  return Choice{&key, static_cast<std::size_t>(at - key.values.begin())};
}

// "key=value", or a value that only one key has.
Expected<Choice> choice_of(string_view term) {
  const auto word = word_of(term);
  const auto equals = term.find('=');
  std::vector<string_view> known;
  for (const auto& key : keys()) {
    if (equals != string_view::npos) {
      known.push_back(key.name);
      if (key.name != word) continue;
      return choice_in(key, trimmed(term.substr(equals + 1)));
    }
    for (const auto value : key.values) known.push_back(value);
    if (auto choice = choice_in(key, word)) return choice;
  }
  return unknown(equals != string_view::npos ? "key" : "policy", word, known);
}

}  // namespace

Expected<Policy> parse_policy(string_view text) {
  Policy policy;
  std::vector<const Key*> given;
  while (true) {
    const auto comma = text.find(',');
    const auto choice = choice_of(text.substr(0, comma));
    if (!choice) return tl::unexpected(choice.error());
    const auto* key = choice->key;
    if (std::find(given.begin(), given.end(), key) != given.end()) {
      return fail(Errc::usage,
                  fmt::format("policy: {} is given twice; keep one of the two",
                              key->name));
    }
    given.push_back(key);
    key->set(policy, choice->value);
    if (comma == string_view::npos) return policy;
    text.remove_prefix(comma + 1);
  }
}

std::string to_text(const Policy& policy) {
  std::string text;
  for (const auto& key : keys()) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key.name,
                        key.values.at(key.get(policy)));
  }
  return text;
}

}  // namespace reeve::cluster
