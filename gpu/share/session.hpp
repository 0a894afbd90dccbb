// This process as a member of its session: which devices it may use and what
// it holds of them. One for a process, made on first use and never unmade:
// programs free device memory until they are gone.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gpu/share/driver.hpp"
#include "gpu/share/ledger.hpp"

namespace reeve::gpu::share {

// What one allocation is charged with.
struct Charge {
  std::size_t device = 0;  // of the ledger
  std::uint64_t bytes = 0;
  cuda::Context context = nullptr;
};

class Session {
 public:
  // The file is session_ledger_path where that is there, else the one that
  // REEVE_GPU_LEDGER names. Without any nothing is held back; with a file that
  // cannot be used, everything is.
  static Session& get();

  enum class Member { no, yes, refused };
  Member member() const { return member_; }
  Ledger& ledger() { return ledger_; }

  // The ledger's index of a device; device_count() where it is not shared.
  std::size_t index_of(cuda::DeviceNumber device);
  std::size_t current_device();

  bool take(std::size_t device, std::uint64_t bytes);
  void give_back(std::size_t device, std::uint64_t bytes);

  // By address, handle of an array, handle of a graph.
  void keep(std::uint64_t key, const Charge& charge);
  bool holds(std::uint64_t key);

  // What is freed is lifted before the driver is told: from then on another
  // thread may be given the same key. It stays charged until it is settled.
  using Lifted = std::vector<std::pair<std::uint64_t, Charge>>;
  Lifted lift(std::uint64_t key);
  Lifted lift_context(cuda::Context context);
  void settle(const Lifted& lifted);
  void put_back(const Lifted& lifted);

 private:
  Session();

  std::mutex mutex_;  // of the charges
  std::unordered_multimap<std::uint64_t, Charge> charges_;

  Member member_ = Member::no;
  Ledger ledger_;
  std::mutex devices_mutex_;
  std::unordered_map<cuda::DeviceNumber, std::size_t> devices_;
};

}  // namespace reeve::gpu::share
