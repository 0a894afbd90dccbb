// Which nodes a session may run on, or would rather: an expression over the
// labels of nodes, as people write it.
//
//   rack=r1 && (disk=nvme || !shared) && gpus>=4
//
// A term is a key alone (the label is there), or a key, one of = != < <= > >=
// and a value, bare or in quotes. A label that is not there equals nothing:
// `!=` holds for it, an order does not. < and the like compare numbers. Known
// without a label are node (the name), cpus, gpus (how many) and gpu_model
// (that of any of its devices).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/error.hpp"
#include "schema/types_generated.h"

namespace reeve {

inline constexpr std::size_t constraint_bytes_max = 1024;
inline constexpr std::size_t constraint_depth_max = 16;

using Labels = std::vector<std::pair<std::string, std::string>>;
using LabelList = flatbuffers::Vector<flatbuffers::Offset<schema::KeyValue>>;

Labels labels_of(const LabelList* list);
// Null where it is not there.
const std::string* find_label(const Labels& labels, std::string_view key);
// A key of a label: letters, digits and -_./, and none of those known without.
Status check_label_key(std::string_view key);

// What an expression may ask of a node. Views and pointer are the caller's.
struct NodeFacts {
  std::string_view name;
  const Labels* labels = nullptr;
  std::uint32_t cpu_milli = 0;
  std::uint32_t gpus = 0;
  std::vector<std::string_view> gpu_models;
};

class Constraint {
 public:
  // Holds everywhere.
  Constraint() = default;

  // The error shows the place.
  static Expected<Constraint> parse(std::string_view text);

  bool matches(const NodeFacts& node) const;
  bool is_empty() const { return steps_.empty(); }

 private:
  friend class ConstraintParser;
  enum class Subject : std::uint8_t { label, node, gpu_model, gpus, cpus };
  enum class Compare : std::uint8_t {
    is_set,
    equal,
    unequal,
    less,
    at_most,
    more,
    at_least
  };
  struct Term {
    Subject subject = Subject::label;
    Compare compare = Compare::is_set;
    std::string key;
    std::string value;
    double number = 0;  // of the value, where it has to be one
  };
  // Backwards Polish: a term pushes whether it holds.
  enum class Step : std::uint8_t { term, negate, both, either };

  static bool holds(const Term& term, const NodeFacts& node);
  static bool compares(Compare compare, double left, double right);

  std::vector<Step> steps_;
  std::vector<Term> terms_;
};

// "word" or "word@label", of `together` and `apart`: which sessions belong
// together, and what counts as one place (empty: a node).
struct Company {
  std::string_view word;
  std::string_view label;
};
Expected<Company> parse_company(std::string_view text);

}  // namespace reeve
