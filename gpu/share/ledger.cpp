#include "gpu/share/ledger.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace reeve::gpu::share {
namespace {

constexpr char magic[8] = {'r', 'e', 'e', 'v', 'e', 'g', 's', '1'};
constexpr std::uint32_t version = 1;

tl::unexpected<std::string> no(std::string sentence) {
  return tl::unexpected<std::string>(std::move(sentence));
}

// When a process began, by /proc/PID/stat; 0: there is none.
std::uint64_t born(pid_t pid) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[1024];
  const ssize_t got = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (got <= 0) return 0;
  text[got] = '\0';
  // The name in parentheses may hold anything; field 22 counts after it.
  const char* at = std::strrchr(text, ')');
  if (!at || at[2] == 'Z' || at[2] == 'X') return 0;
  for (int field = 2; field < 22; ++field) {
    at = std::strchr(at + 1, ' ');
    if (!at) return 0;
  }
  return std::strtoull(at + 1, nullptr, 10);
}

// Of this process, read once: a child reads its own.
std::uint64_t own_born() {
  static std::atomic<pid_t> pid{0};
  static std::atomic<std::uint64_t> when{0};
  const pid_t self = ::getpid();
  if (pid.load() != self) {
    when.store(born(self));
    pid.store(self);
  }
  return when.load();
}

// One with this pid and another birth is of a process that is no more. While a
// slot is being taken it has none, and where /proc cannot be read.
bool is_own(const LedgerProcess& process) {
  if (process.pid.load() != ::getpid()) return false;
  const std::uint64_t noted = process.born.load();
  return noted == 0 || own_born() == 0 || noted == own_born();
}

std::string wrong_share(const DeviceShare& share) {
  if (share.uuid.empty() || share.uuid.size() >= sizeof(LedgerDevice::uuid))
    return "a GPU share names no device";
  if (share.memory_bytes == 0)
    return "the share of " + share.uuid + " has no memory";
  if (share.compute_milli == 0 || share.compute_milli > whole_milli)
    return "the share of " + share.uuid + " is " +
           std::to_string(share.compute_milli) +
           " thousandths; it must be from 1 to 1000";
  if (share.begin_milli > whole_milli - share.compute_milli)
    return "the share of " + share.uuid + " ends after its period";
  if (share.period_ns < 1'000'000 || share.period_ns > 1'000'000'000)
    return "the period of " + share.uuid + " is not from 1 ms to 1 s";
  return "";
}

tl::expected<LedgerFile*, std::string> map(const std::string& path, int fd) {
  void* data = ::mmap(nullptr, sizeof(LedgerFile), PROT_READ | PROT_WRITE,
                      MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return no(path + " cannot be mapped: " + std::strerror(errno));
  return static_cast<LedgerFile*>(data);
}

void fill(LedgerFile& file, const std::vector<DeviceShare>& devices) {
  file.version = version;
  file.device_count = static_cast<std::uint32_t>(devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    LedgerDevice& to = file.devices[i];
    std::memcpy(to.uuid, devices[i].uuid.c_str(), devices[i].uuid.size() + 1);
    to.memory_bytes = devices[i].memory_bytes;
    to.compute_milli = devices[i].compute_milli;
    to.begin_milli = devices[i].begin_milli;
    to.period_ns = devices[i].period_ns;
  }
  std::memcpy(file.magic, magic, sizeof magic);
}

}  // namespace

Ledger& Ledger::operator=(Ledger&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

Ledger::~Ledger() {
  if (file_) ::munmap(file_, sizeof *file_);
}

std::string wrong_shares(const std::vector<DeviceShare>& devices) {
  if (devices.empty() || devices.size() > share_devices_max)
    return "a session shares from 1 to " + std::to_string(share_devices_max) +
           " GPUs, not " + std::to_string(devices.size());
  for (const DeviceShare& share : devices)
    if (auto wrong = wrong_share(share); !wrong.empty()) return wrong;
  return "";
}

tl::expected<Ledger, std::string> Ledger::create(
    const std::string& path, const std::vector<DeviceShare>& devices) {
  if (auto wrong = wrong_shares(devices); !wrong.empty()) return no(wrong);
  const int fd =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return no(path + " cannot be made: " + std::strerror(errno));
  if (::ftruncate(fd, sizeof(LedgerFile)) != 0) {
    ::close(fd);
    return no(path + " cannot be made: " + std::strerror(errno));
  }
  auto file = map(path, fd);
  ::close(fd);
  if (!file) return no(file.error());
  fill(**file, devices);
  return Ledger(*file);
}

tl::expected<Ledger, std::string> Ledger::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return no(path + " cannot be opened: " + std::strerror(errno));
  struct stat info {};
  if (::fstat(fd, &info) != 0 ||
      info.st_size != static_cast<off_t>(sizeof(LedgerFile))) {
    ::close(fd);
    return no(path + " is not the file of a GPU share: its size is wrong");
  }
  auto file = map(path, fd);
  ::close(fd);
  if (!file) return no(file.error());
  Ledger ledger(*file);
  if (std::memcmp(ledger.file_->magic, magic, sizeof magic) != 0 ||
      ledger.file_->version != version ||
      ledger.file_->device_count > share_devices_max)
    return no(path + " is not the file of a GPU share of this version");
  return ledger;
}

std::size_t Ledger::find(std::string_view uuid) const {
  for (std::size_t i = 0; i < file_->device_count; ++i)
    if (uuid == file_->devices[i].uuid) return i;
  return file_->device_count;
}

std::uint64_t Ledger::used(std::size_t device) const {
  std::uint64_t sum = 0;
  for (const LedgerProcess& process : file_->processes)
    sum += process.used_bytes[device].load();
  return sum;
}

std::uint64_t Ledger::free(std::size_t device) const {
  const std::uint64_t limit = file_->devices[device].memory_bytes;
  const std::uint64_t taken = used(device);
  return taken >= limit ? 0 : limit - taken;
}

// The slot of this process, taken on first use.
LedgerProcess* Ledger::own_slot() {
  const pid_t self = ::getpid();
  for (LedgerProcess& process : file_->processes)
    if (is_own(process)) return &process;
  for (LedgerProcess& process : file_->processes) {
    std::int32_t nobody = 0;
    if (!process.pid.compare_exchange_strong(nobody, self)) continue;
    process.born.store(own_born());
    return &process;
  }
  return nullptr;
}

// Written down first and looked at then: of two processes at the limit one at
// least sees both. Both may see it and step back, so they look again.
bool Ledger::add(LedgerProcess& own, std::size_t device, std::uint64_t bytes) {
  const std::uint64_t limit = file_->devices[device].memory_bytes;
  if (bytes > limit) return false;
  auto& mine = own.used_bytes[device];
  for (unsigned attempt = 0; attempt < 4; ++attempt) {
    if (used(device) > limit - bytes) return false;
    mine.fetch_add(bytes);
    if (used(device) <= limit) return true;
    mine.fetch_sub(bytes);
    const timespec pause = {0, 1000L * (::getpid() % 50 + 1) * (attempt + 1)};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
  }
  return false;
}

Ledger::Answer Ledger::take(std::size_t device, std::uint64_t bytes) {
  LedgerProcess* slot = own_slot();
  if (!slot && sweep() > 0) slot = own_slot();
  if (!slot) return Answer::too_many_processes;
  // The dead are looked for only when their memory is needed.
  if (!add(*slot, device, bytes) &&
      (sweep() == 0 || !add(*slot, device, bytes)))
    return Answer::over_limit;
  return Answer::granted;
}

void Ledger::give_back(std::size_t device, std::uint64_t bytes) {
  LedgerProcess* slot = own_slot();
  if (!slot) return;
  auto& own = slot->used_bytes[device];
  std::uint64_t had = own.load();
  while (!own.compare_exchange_weak(had, had - std::min(had, bytes))) {
  }
}

void Ledger::empty(LedgerProcess& process) {
  for (auto& used : process.used_bytes) used.store(0);
}

std::size_t Ledger::sweep() {
  std::size_t gone = 0;
  for (LedgerProcess& process : file_->processes) {
    std::int32_t pid = process.pid.load();
    if (pid <= 0) continue;
    const std::uint64_t noted = process.born.load();
    const std::uint64_t now = born(pid);
    if (now != 0 && (noted == 0 || noted == now)) continue;
    // Whoever changes the pid does the rest.
    if (!process.pid.compare_exchange_strong(pid, -1)) continue;
    empty(process);
    process.born.store(0);
    process.pid.store(0);
    ++gone;
  }
  return gone;
}

void Ledger::leave() {
  const pid_t self = ::getpid();
  for (LedgerProcess& process : file_->processes) {
    if (!is_own(process)) continue;
    std::int32_t pid = self;
    if (!process.pid.compare_exchange_strong(pid, -1)) continue;
    empty(process);
    process.born.store(0);
    process.pid.store(0);
  }
}

}  // namespace reeve::gpu::share
