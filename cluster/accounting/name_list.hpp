// Names, each kept once, numbered in the order in which they came.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace reeve::cluster::accounting {

class NameList {
 public:
  std::uint32_t index(std::string_view name);
  const std::vector<std::string>& all() const { return names_; }

 private:
  std::vector<std::string> names_;
  boost::unordered_flat_map<std::string, std::uint32_t> index_;
};

}  // namespace reeve::cluster::accounting
