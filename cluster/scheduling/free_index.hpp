// Free capacity of the nodes of one kind (one set of device models) in one
// pool. Nodes stand on shelves by the number of whole free devices, partly
// used devices on shelves by whose shares they hold and by their free
// thousandths; each shelf is cut into 8 x 8 cells by the magnitude of the
// node's free CPU and free memory. A search visits only cells whose magnitudes
// suffice, and checks exactly there.
#pragma once

#include <array>
#include <bitset>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "cluster/scheduling/node.hpp"

namespace reeve::cluster::scheduling {

struct Entry {
  static constexpr std::uint32_t no_device = 0xFFFFFFFF;
  std::uint32_t node = 0;
  std::uint32_t device = no_device;
};

// Cells are numbered cpu magnitude * 8 + memory magnitude.
std::uint8_t cell_of(std::uint64_t cpu_milli, std::uint64_t memory_bytes);

// The cells (a bit each) in which a node with this much free may stand.
std::uint64_t cells_from(std::uint64_t cpu_milli, std::uint64_t memory_bytes);

// Those for `times` tasks of this need.
std::uint64_t cells_for(const Need& need, std::uint32_t times);

struct Shelf {
  std::uint64_t filled = 0;  // a bit per cell that is not empty
  std::array<std::vector<Entry>, 64> cells;
};

class FreeIndex {
 public:
  explicit FreeIndex(std::vector<ModelId> models)
      : models_(std::move(models)) {}

  const std::vector<ModelId>& models() const { return models_; }

  // Brings the entries of `node` up to what it has free now; a node that is
  // not offered leaves the index.
  void update(std::vector<Node>& nodes, Node& node);
  void remove(std::vector<Node>& nodes, Node& node);

  // Free whole devices on all nodes together.
  std::uint64_t whole_devices() const { return whole_devices_; }

  // The most whole devices that a shelf exists for.
  std::uint32_t whole_level_max() const {
    return static_cast<std::uint32_t>(whole_.size()) - 1;
  }
  const Shelf& whole(std::uint32_t level) const { return whole_[level]; }

  // The first non-empty shelf of devices with this one's shares, at or above
  // `milli`; 1000 is none.
  std::uint32_t next_share_level(AccountIndex sharer,
                                 std::uint32_t milli) const;
  const Shelf& share(AccountIndex sharer, std::uint32_t milli) const {
    return *shares_.find(sharer)->second->shelves[milli];
  }

 private:
  void place(std::vector<Node>& nodes, Shelf& shelf, Spot& spot, Entry entry,
             std::uint16_t level, std::uint8_t cell);
  void take_off(std::vector<Node>& nodes, Shelf& shelf, Spot& spot);
  void update_device(std::vector<Node>& nodes, Node& node, std::uint32_t device,
                     std::uint8_t cell);
  void take_off_share(std::vector<Node>& nodes, Spot& spot);

  struct Shares {
    std::array<std::unique_ptr<Shelf>, milli_per_device> shelves;
    std::bitset<milli_per_device> filled;
  };

  std::vector<ModelId> models_;
  std::vector<Shelf> whole_ = std::vector<Shelf>(1);
  // Of those that hold any.
  boost::unordered_flat_map<AccountIndex, std::unique_ptr<Shares>> shares_;
  std::uint64_t whole_devices_ = 0;
};

}  // namespace reeve::cluster::scheduling
