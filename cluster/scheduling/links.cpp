#include "cluster/scheduling/links.hpp"

#include <algorithm>
#include <tuple>

#include "schema/types_generated.h"

namespace reeve::cluster::scheduling {

namespace {

using Devices = std::vector<std::uint32_t>;

struct Score {
  int weakest = 255;
  int sum = 0;
  int to_others = 0;

  bool operator>(const Score& other) const {
    return std::tuple(weakest, sum, -to_others) >
           std::tuple(other.weakest, other.sum, -other.to_others);
  }
};

// At most `most`; more is said as `most`.
std::uint64_t sets_of(std::uint64_t n, std::uint64_t k, std::uint64_t most) {
  std::uint64_t count = 1;
  for (std::uint64_t i = 1; i <= k; ++i) {
    count = count * (n - k + i) / i;
    if (count > most) return most + 1;
  }
  return count;
}

std::uint8_t link_of(const schema::DeviceSpec& a, const schema::DeviceSpec& b,
                     std::uint32_t index_of_b) {
  if (a.links() && index_of_b < a.links()->size())
    return static_cast<std::uint8_t>(a.links()->Get(index_of_b));
  if (a.numa_node() < 0 || b.numa_node() < 0) return 0;
  return static_cast<std::uint8_t>(a.numa_node() == b.numa_node()
                                       ? schema::DeviceLink::host_bridge
                                       : schema::DeviceLink::system);
}

}  // namespace

Links::Links(const schema::NodeSpec& spec) {
  if (!spec.devices()) return;
  const auto& devices = *spec.devices();
  size_ = devices.size();
  matrix_.resize(std::size_t{size_} * size_);
  for (std::uint32_t a = 0; a < size_; ++a)
    for (std::uint32_t b = 0; b < size_; ++b)
      if (a != b) matrix_[a * size_ + b] = link_of(*devices[a], *devices[b], b);
  for (std::uint32_t a = 0; a < size_; ++a)
    for (std::uint32_t b = 0; b < size_; ++b)
      if (a != b && between(a, b) != between(0, 1)) uniform_ = false;
}

std::vector<std::uint32_t> Links::best(const Devices& of,
                                       std::uint32_t count) const {
  const Devices first(of.begin(), of.begin() + count);
  const auto most = *std::max_element(of.begin(), of.end());
  if (uniform_ || count < 2 || count == of.size() || most >= size_)
    return first;
  const auto score = [&](const Devices& set) {
    Score out;
    for (std::size_t i = 0; i < set.size(); ++i) {
      for (std::size_t k = i + 1; k < set.size(); ++k) {
        const int link = between(set[i], set[k]);
        out.weakest = std::min(out.weakest, link);
        out.sum += link;
      }
      for (const auto other : of)
        if (!std::binary_search(set.begin(), set.end(), other))
          out.to_others += between(set[i], other);
    }
    return out;
  };
  Devices found = first;
  auto found_score = score(found);
  const auto consider = [&](const Devices& set) {
    const auto its = score(set);
    if (!(its > found_score)) return;
    found = set;
    found_score = its;
  };
  if (sets_of(of.size(), count, sets_max) <= sets_max) {
    std::vector<bool> in(of.size());
    std::fill(in.begin(), in.begin() + count, true);
    do {
      Devices set;
      for (std::size_t i = 0; i < of.size(); ++i)
        if (in[i]) set.push_back(of[i]);
      consider(set);
    } while (std::prev_permutation(in.begin(), in.end()));
    return found;
  }
  for (const auto seed : of) {
    Devices set{seed};
    while (set.size() < count) {
      Devices best;
      Score best_score{-1, 0, 0};
      for (const auto next : of) {
        if (std::binary_search(set.begin(), set.end(), next)) continue;
        auto grown = set;
        grown.insert(std::lower_bound(grown.begin(), grown.end(), next), next);
        const auto its = score(grown);
        if (!(its > best_score)) continue;
        best = std::move(grown);
        best_score = its;
      }
      set = std::move(best);
    }
    consider(set);
  }
  return found;
}

}  // namespace reeve::cluster::scheduling
