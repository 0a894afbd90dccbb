// What a request asks of the labels of its nodes beside its constraint: that
// `within` and the places of its company can be told there, and that all its
// nodes are in one place.
#pragma once

#include <string>
#include <vector>

#include "cluster/constraint.hpp"
#include "cluster/scheduling/request.hpp"

namespace reeve::cluster {

class LabelWishes {
 public:
  explicit LabelWishes(const Request& request);

  bool any() const { return one_place_ || !needed_.empty(); }
  // The place that the node is in: the same for all nodes where it does not
  // matter; null: a label is missing there.
  const std::string* place_of(const std::string& node,
                              const Labels& labels) const;

 private:
  std::vector<std::string> needed_;
  bool one_place_ = false;
  std::string
      told_by_;  // the label that tells the place; empty: the node is it
};

}  // namespace reeve::cluster
