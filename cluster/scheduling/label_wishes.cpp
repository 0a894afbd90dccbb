#include "cluster/scheduling/label_wishes.hpp"

#include <algorithm>

namespace reeve::cluster {

LabelWishes::LabelWishes(const Request& request) {
  if (!request.within.empty()) {
    needed_.push_back(request.within);
    one_place_ = true;
    told_by_ = request.within;
  }
  if (!request.together.empty()) {
    const auto company = parse_company(request.together);
    if (company && !company->label.empty())
      needed_.emplace_back(company->label);
    // All of a gang are together, too.
    if (company && !one_place_ && request.tasks > 1) {
      one_place_ = true;
      told_by_ = company->label;
    }
  }
  if (!request.apart.empty())
    if (const auto company = parse_company(request.apart))
      if (!company->label.empty()) needed_.emplace_back(company->label);
}

const std::string* LabelWishes::place_of(const std::string& node,
                                         const Labels& labels) const {
  static const std::string anywhere;
  const bool all = std::all_of(
      needed_.begin(), needed_.end(),
      [&](const std::string& key) { return find_label(labels, key); });
  if (!all) return nullptr;
  if (!one_place_) return &anywhere;
  return told_by_.empty() ? &node : find_label(labels, told_by_);
}

}  // namespace reeve::cluster
