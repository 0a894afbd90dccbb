// What one session may take of its GPUs and what its processes have taken, in
// a small file that all of them map. Whoever starts them makes the file with
// the limits.
//
// The processes of a session can write the file: it holds those to their share
// that do not set out to break it. It is no border between tenants.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "gpu/share/share.hpp"

namespace reeve::gpu::share {

constexpr std::size_t share_processes_max = 256;

// The layout of the file. Only lock-free atomics: a process may be killed
// anywhere. What is used is the sum over the processes and kept nowhere else,
// so that it cannot drift from it.
struct LedgerDevice {
  char uuid[64];
  std::uint64_t memory_bytes;
  std::uint32_t compute_milli;
  std::uint32_t begin_milli;
  std::int64_t period_ns;
  // Time that was used outside its own, to be given back.
  std::atomic<std::int64_t> debt_ns;
  // The newest period in which debt was given back, and how much.
  std::atomic<std::int64_t> settled_period;
  std::atomic<std::int64_t> settled_ns;
};

struct LedgerProcess {
  std::atomic<std::int32_t> pid;    // 0: free
  std::atomic<std::uint64_t> born;  // tells a reused pid
  std::array<std::atomic<std::uint64_t>, share_devices_max> used_bytes;
};

struct LedgerFile {
  char magic[8];
  std::uint32_t version;
  std::uint32_t device_count;
  std::array<LedgerDevice, share_devices_max> devices;
  std::array<LedgerProcess, share_processes_max> processes;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

class Ledger {
 public:
  // Refuses shares that cannot be, with a sentence.
  static tl::expected<Ledger, std::string> create(
      const std::string& path, const std::vector<DeviceShare>& devices);
  static tl::expected<Ledger, std::string> open(const std::string& path);

  Ledger() = default;
  Ledger(Ledger&& other) noexcept : file_(other.file_) {
    other.file_ = nullptr;
  }
  Ledger& operator=(Ledger&& other) noexcept;
  ~Ledger();

  explicit operator bool() const { return file_ != nullptr; }
  std::size_t device_count() const { return file_->device_count; }
  LedgerDevice& device(std::size_t index) { return file_->devices[index]; }
  // The index of a device; device_count() if the session has not got it.
  std::size_t find(std::string_view uuid) const;

  enum class Answer { granted, over_limit, too_many_processes };
  // Takes memory for the calling process, or nothing of it.
  Answer take(std::size_t device, std::uint64_t bytes);
  void give_back(std::size_t device, std::uint64_t bytes);
  std::uint64_t used(std::size_t device) const;
  std::uint64_t free(std::size_t device) const;
  // Gives back what processes hold that are no more; how many there were.
  std::size_t sweep();
  // Gives back all that the calling process holds, or held before it executed
  // another program.
  void leave();

 private:
  explicit Ledger(LedgerFile* file) : file_(file) {}
  LedgerProcess* own_slot();
  void empty(LedgerProcess& process);
  bool add(LedgerProcess& own, std::size_t device, std::uint64_t bytes);

  LedgerFile* file_ = nullptr;
};

}  // namespace reeve::gpu::share
