#include "cluster/accounting/name_list.hpp"

namespace reeve::cluster::accounting {

std::uint32_t NameList::index(std::string_view name) {
  const auto [found, fresh] = index_.try_emplace(
      std::string(name), static_cast<std::uint32_t>(names_.size()));
  if (fresh) names_.emplace_back(name);
  return found->second;
}

}  // namespace reeve::cluster::accounting
