// How the devices of a node are connected, and which of them belong together.
#pragma once

#include <cstdint>
#include <vector>

namespace reeve::schema {
struct NodeSpec;
}

namespace reeve::cluster::scheduling {

// Between each two devices a DeviceLink; where it is not known, whether they
// are of one NUMA node.
class Links {
 public:
  explicit Links(const schema::NodeSpec& spec);

  // All are alike: nothing to choose.
  bool uniform() const { return uniform_; }

  // `count` of these devices (ascending): those whose weakest connection is
  // the strongest, then with the strongest connections in sum, then those that
  // leave the others best connected; the lowest numbers of equals. Looks at all
  // sets where there are at most `sets_max`, else at those that grow from each
  // device by the best next one.
  std::vector<std::uint32_t> best(const std::vector<std::uint32_t>& of,
                                  std::uint32_t count) const;

  static constexpr std::uint64_t sets_max = 5000;

 private:
  std::uint8_t between(std::uint32_t a, std::uint32_t b) const {
    return matrix_[a * size_ + b];
  }

  std::uint32_t size_ = 0;
  std::vector<std::uint8_t> matrix_;
  bool uniform_ = true;
};

}  // namespace reeve::cluster::scheduling
