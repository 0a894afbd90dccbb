#include "gpu/share/session.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace reeve::gpu::share {
namespace {

std::string text_of(const char* kind, const cuda::Uuid& uuid) {
  std::string text = kind;
  for (int i = 0; i < 16; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", uuid.bytes[i]);
    text += digits;
    if (i == 3 || i == 5 || i == 7 || i == 9) text += '-';
  }
  return text;
}

}  // namespace

Session& Session::get() {
  static Session* const session = new Session;
  return *session;
}

Session::Session() {
  const char* path = std::getenv("REEVE_GPU_LEDGER");
  if (::access(session_ledger_path, F_OK) == 0) path = session_ledger_path;
  if (!path || !*path) return;
  auto ledger = Ledger::open(path);
  if (!ledger) {
    std::fprintf(stderr, "reeve: no GPU memory can be had: %s\n",
                 ledger.error().c_str());
    member_ = Member::refused;
    return;
  }
  ledger_ = std::move(*ledger);
  member_ = Member::yes;
  // What this process held before it executed another program is gone.
  ledger_.leave();
  std::atexit([] { Session::get().ledger_.leave(); });
}

std::size_t Session::index_of(cuda::DeviceNumber device) {
  const std::lock_guard lock(devices_mutex_);
  if (const auto at = devices_.find(device); at != devices_.end())
    return at->second;
  cuda::Uuid uuid{};
  const Driver& driver = Driver::get();
  if (!driver.device_uuid || driver.device_uuid(&uuid, device) != 0)
    return ledger_.device_count();
  std::size_t index = ledger_.find(text_of("GPU-", uuid));
  if (index == ledger_.device_count())
    index = ledger_.find(text_of("MIG-", uuid));
  if (index == ledger_.device_count())
    std::fprintf(stderr, "reeve: %s is not shared with this session\n",
                 text_of("GPU-", uuid).c_str());
  return devices_[device] = index;
}

std::size_t Session::current_device() {
  cuda::DeviceNumber device = 0;
  const Driver& driver = Driver::get();
  if (!driver.context_device || driver.context_device(&device) != 0)
    return ledger_.device_count();
  return index_of(device);
}

bool Session::take(std::size_t device, std::uint64_t bytes) {
  return device < ledger_.device_count() &&
         ledger_.take(device, bytes) == Ledger::Answer::granted;
}

void Session::give_back(std::size_t device, std::uint64_t bytes) {
  if (bytes > 0) ledger_.give_back(device, bytes);
}

void Session::keep(std::uint64_t key, const Charge& charge) {
  const std::lock_guard lock(mutex_);
  charges_.emplace(key, charge);
}

bool Session::holds(std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  return charges_.contains(key);
}

Session::Lifted Session::lift(std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = charges_.equal_range(key);
  Lifted lifted(begin, end);
  charges_.erase(begin, end);
  return lifted;
}

Session::Lifted Session::lift_context(cuda::Context context) {
  const std::lock_guard lock(mutex_);
  Lifted lifted;
  for (auto at = charges_.begin(); at != charges_.end();) {
    if (at->second.context != context) {
      ++at;
      continue;
    }
    lifted.emplace_back(*at);
    at = charges_.erase(at);
  }
  return lifted;
}

void Session::settle(const Lifted& lifted) {
  for (const auto& [key, charge] : lifted)
    give_back(charge.device, charge.bytes);
}

void Session::put_back(const Lifted& lifted) {
  for (const auto& [key, charge] : lifted) keep(key, charge);
}

}  // namespace reeve::gpu::share
