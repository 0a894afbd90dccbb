// This process as a member of its session: which devices it may use and what
// it holds of them. One for a process, made on first use and never unmade:
// programs free device memory until they are gone.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "gpu/share/driver.hpp"
#include "gpu/share/ledger.hpp"

namespace reeve::gpu::share {

// What one allocation is charged with.
struct Charge {
  std::size_t device = 0;  // of the ledger
  std::uint64_t bytes = 0;
  cuda::Context context = nullptr;
  cuda::Pool pool = nullptr;
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
  // Gives back what was kept under a key; true where something was.
  bool drop(std::uint64_t key);
  // Gives back what lived in a context.
  void drop_context(cuda::Context context);

  std::mutex mutex;  // of all below
  std::unordered_multimap<std::uint64_t, Charge> charges;

 private:
  Session();

  Member member_ = Member::no;
  Ledger ledger_;
  std::mutex devices_mutex_;
  std::unordered_map<cuda::DeviceNumber, std::size_t> devices_;
};

}  // namespace reeve::gpu::share
