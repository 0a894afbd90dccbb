#include "tests/sim/disk.hpp"

#include <utility>

namespace reeve::sim {

void Disk::append(const std::string& file, std::span<const std::byte> bytes) {
  Bytes& all = files_[file].bytes;
  all.insert(all.end(), bytes.begin(), bytes.end());
}

void Disk::rewrite(const std::string& name, Bytes bytes) {
  File& file = files_[name];
  if (!file.rewritten) {
    file.before.assign(file.bytes.begin(),
                       file.bytes.begin() + static_cast<long>(file.safe));
    file.rewritten = true;
  }
  file.bytes = std::move(bytes);
  file.safe = 0;
  file.broken = false;
}

Disk::Sync Disk::sync(const std::string& name) {
  File& file = files_[name];
  if (random_.chance(fails_ppm_)) {
    probes_.hit(Probe::sync_failed);
    loop_.note("disk: the sync of {} fails", name);
    if (!file.rewritten && !file.broken)
      file.safe += random_.below(file.bytes.size() - file.safe + 1);
    file.broken = true;
    return Sync::failed;
  }
  if (file.broken) return Sync::done;
  file.safe = file.bytes.size();
  file.rewritten = false;
  file.before.clear();
  return Sync::done;
}

const Disk::Bytes& Disk::read(const std::string& file) const {
  static const Bytes nothing;
  const auto found = files_.find(file);
  return found == files_.end() ? nothing : found->second.bytes;
}

std::vector<std::pair<std::string, std::uint64_t>> Disk::list(
    const std::string& prefix) const {
  std::vector<std::pair<std::string, std::uint64_t>> found;
  for (const auto& [name, file] : files_)
    if (name.starts_with(prefix)) found.emplace_back(name, file.bytes.size());
  return found;
}

void Disk::lose_power() {
  for (auto& [name, file] : files_) {
    if (file.rewritten) {
      // Made under another name and renamed when it is safe.
      file.bytes = std::exchange(file.before, {});
      file.safe = file.bytes.size();
      file.rewritten = false;
      file.broken = false;
      continue;
    }
    const std::size_t unsafe = file.bytes.size() - file.safe;
    if (unsafe == 0) continue;
    probes_.hit(Probe::unsynced_lost);
    const std::size_t kept =
        file.broken ? 0 : static_cast<std::size_t>(random_.below(unsafe + 1));
    if (kept > 0 && kept < unsafe) probes_.hit(Probe::write_torn);
    file.bytes.resize(file.safe + kept);
    if (kept > 0 && random_.one_in(3))
      file.bytes.back() ^= static_cast<std::byte>(1 + random_.below(255));
    file.safe = file.bytes.size();
    file.broken = false;
  }
}

void Disk::damage(const std::string& name) {
  Bytes& bytes = files_.at(name).bytes;
  if (bytes.empty()) return;
  bytes[random_.below(bytes.size())] ^=
      static_cast<std::byte>(1 + random_.below(255));
}

}  // namespace reeve::sim
