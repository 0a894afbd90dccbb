#include "cluster/constraint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace reeve {
namespace {

constexpr std::string_view known_keys[] = {"node", "gpu_model", "gpus", "cpus"};

bool blank(char c) {
  return c == ' ' || c == '\t';
}

bool word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), word_char);
}

std::optional<double> number_of(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_model(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

Labels labels_of(const LabelList* list) {
  Labels labels;
  if (!list) return labels;
  for (const auto* pair : *list)
    labels.emplace_back(pair->key()->str(), pair->value()->str());
  return labels;
}

const std::string* find_label(const Labels& labels, std::string_view key) {
  for (const auto& [name, value] : labels)
    if (name == key) return &value;
  return nullptr;
}

Status check_label_key(std::string_view key) {
  if (!is_word(key))
    return fail(Errc::usage,
                fmt::format("the key of a label has letters, digits and -_./ "
                            "only; this one is '{}'",
                            key));
  if (std::find(std::begin(known_keys), std::end(known_keys), key) !=
      std::end(known_keys))
    return fail(
        Errc::usage,
        fmt::format("'{}' is known of every node without a label", key));
  return {};
}

// One pass from left to right; each level of binding is a function.
class ConstraintParser {
 public:
  explicit ConstraintParser(std::string_view text) : text_(text) {}

  Expected<Constraint> parse() {
    if (auto good = either(); !good) return tl::unexpected(good.error());
    skip_blanks();
    if (at_ < text_.size()) return wrong("\"&&\" or \"||\" is expected here");
    return std::move(out_);
  }

 private:
  using Step = Constraint::Step;
  using Compare = Constraint::Compare;
  using Subject = Constraint::Subject;

  tl::unexpected<Error> wrong(std::string_view what) const {
    return fail(Errc::usage, fmt::format("constraint: {}\n  {}\n  {}^", what,
                                         text_, std::string(at_, ' ')));
  }

  void skip_blanks() {
    while (at_ < text_.size() && blank(text_[at_])) ++at_;
  }

  bool take(std::string_view sign) {
    skip_blanks();
    if (text_.substr(at_, sign.size()) != sign) return false;
    at_ += sign.size();
    return true;
  }

  Status either() {
    if (auto good = both(); !good) return good;
    while (take("||")) {
      if (auto good = both(); !good) return good;
      out_.steps_.push_back(Step::either);
    }
    return {};
  }

  Status both() {
    if (auto good = one(); !good) return good;
    while (take("&&")) {
      if (auto good = one(); !good) return good;
      out_.steps_.push_back(Step::both);
    }
    return {};
  }

  Status one() {
    skip_blanks();
    if (++depth_ > constraint_depth_max)
      return wrong(
          fmt::format("more than {} levels deep", constraint_depth_max));
    Status good;
    if (take("!")) {
      good = one();
      if (good) out_.steps_.push_back(Step::negate);
    } else if (take("(")) {
      good = either();
      if (good && !take(")")) good = wrong("\")\" is expected here");
    } else {
      good = term();
    }
    --depth_;
    return good;
  }

  std::string_view word() {
    const std::size_t first = at_;
    while (at_ < text_.size() && word_char(text_[at_])) ++at_;
    return text_.substr(first, at_ - first);
  }

  Compare comparison() {
    if (take("!=")) return Compare::unequal;
    if (take("==") || take("=")) return Compare::equal;
    if (take("<=")) return Compare::at_most;
    if (take(">=")) return Compare::at_least;
    if (take("<")) return Compare::less;
    if (take(">")) return Compare::more;
    return Compare::is_set;
  }

  static Subject subject_of(std::string_view key) {
    if (key == "node") return Subject::node;
    if (key == "gpu_model") return Subject::gpu_model;
    if (key == "gpus") return Subject::gpus;
    if (key == "cpus") return Subject::cpus;
    return Subject::label;
  }

  Status term() {
    const std::string_view key = word();
    if (key.empty()) return wrong("a key is expected here");
    Constraint::Term term;
    term.key = key;
    term.subject = subject_of(key);
    term.compare = comparison();
    if (term.compare != Compare::is_set)
      if (auto good = value(term); !good) return good;
    out_.terms_.push_back(std::move(term));
    out_.steps_.push_back(Step::term);
    return {};
  }

  Status value(Constraint::Term& term) {
    skip_blanks();
    const std::size_t value_at = at_;
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
      const std::size_t end = text_.find(text_[at_], at_ + 1);
      if (end == std::string_view::npos)
        return wrong("this quote is not closed");
      term.value = text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    } else {
      term.value = word();
      if (term.value.empty()) return wrong("a value is expected here");
    }
    const bool of_texts =
        term.subject == Subject::node || term.subject == Subject::gpu_model;
    const bool of_numbers =
        term.subject == Subject::gpus || term.subject == Subject::cpus;
    const bool ordered =
        term.compare != Compare::equal && term.compare != Compare::unequal;
    if (!ordered && !of_numbers) return {};
    const auto number = number_of(term.value);
    at_ = number && !of_texts ? at_ : value_at;
    if (of_texts) return wrong(fmt::format("{} has no order", term.key));
    if (!number) return wrong("a number is expected here");
    term.number = *number;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  Constraint out_;
};

Expected<Constraint> Constraint::parse(std::string_view text) {
  if (text.size() > constraint_bytes_max)
    return fail(Errc::usage,
                fmt::format("a constraint has at most {} bytes, not {}",
                            constraint_bytes_max, text.size()));
  return ConstraintParser(text).parse();
}

bool Constraint::compares(Compare compare, double left, double right) {
  switch (compare) {
    case Compare::is_set: return left > 0;
    case Compare::equal: return left == right;
    case Compare::unequal: return left != right;
    case Compare::less: return left < right;
    case Compare::at_most: return left <= right;
    case Compare::more: return left > right;
    case Compare::at_least: return left >= right;
  }
  return false;
}

bool Constraint::holds(const Term& term, const NodeFacts& node) {
  const bool unequal = term.compare == Compare::unequal;
  switch (term.subject) {
    case Subject::node:
      return term.compare == Compare::is_set ||
             (node.name == term.value) != unequal;
    case Subject::gpu_model: {
      const auto& models = node.gpu_models;
      if (term.compare == Compare::is_set) return !models.empty();
      const bool any = std::any_of(models.begin(), models.end(), [&](auto m) {
        return same_model(m, term.value);
      });
      return any != unequal;
    }
    case Subject::gpus: return compares(term.compare, node.gpus, term.number);
    case Subject::cpus:
      return compares(term.compare, node.cpu_milli / 1000.0, term.number);
    case Subject::label: break;
  }
  const std::string* value =
      node.labels ? find_label(*node.labels, term.key) : nullptr;
  if (!value) return unequal;
  if (term.compare == Compare::is_set) return true;
  if (unequal || term.compare == Compare::equal)
    return (*value == term.value) != unequal;
  const auto number = number_of(*value);
  return number && compares(term.compare, *number, term.number);
}

bool Constraint::matches(const NodeFacts& node) const {
  if (steps_.empty()) return true;
  std::vector<bool> stack;
  std::size_t next = 0;
  const auto pop = [&] {
    const bool top = stack.back();
    stack.pop_back();
    return top;
  };
  for (const Step step : steps_) {
    if (step == Step::term) {
      stack.push_back(holds(terms_[next++], node));
    } else if (step == Step::negate) {
      stack.back() = !stack.back();
    } else {
      const bool right = pop();
      const bool left = pop();
      stack.push_back(step == Step::both ? left && right : left || right);
    }
  }
  return stack.back();
}

Expected<Company> parse_company(std::string_view text) {
  const std::size_t sign = text.find('@');
  Company company{text.substr(0, sign), {}};
  if (sign != std::string_view::npos) company.label = text.substr(sign + 1);
  const bool good = is_word(company.word) &&
                    (sign == std::string_view::npos || is_word(company.label));
  if (good) return company;
  return fail(Errc::usage,
              fmt::format("'{}' is no group of sessions: it is a word, or a "
                          "word and the label whose value is the place, like "
                          "\"train\" or \"train@rack\"",
                          text));
}

}  // namespace reeve
