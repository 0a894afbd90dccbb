#include "store/head_mark.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "store/file.hpp"

namespace reeve::store {

namespace {

constexpr std::array<char, 8> magic{'R', 'E', 'E', 'V', 'M', 'A', 'R', 'K'};

// As it stands on disk, at the start of each slot.
struct Slot {
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t zero;
  std::uint64_t generation;
  LogId log_id;
  std::uint64_t sequence;
  std::uint64_t epoch;
  Hash hash;
  Hash checksum;
};
static_assert(sizeof(Slot) == 120);
static_assert(offsetof(Slot, checksum) == 88);

Hash checksum_of(const Slot& slot) {
  const std::array<std::span<const std::byte>, 1> parts{
      std::as_bytes(std::span(&slot, 1)).first(offsetof(Slot, checksum))};
  return hash_parts(parts);
}

struct Found {
  std::optional<Slot> newest;
  std::uint32_t newer_format = 0;
};

Expected<Found> read_slots(int fd, const std::filesystem::path& file) {
  Found found;
  for (int index = 0; index < 2; ++index) {
    Slot slot;
    const ssize_t got = ::pread(fd, &slot, sizeof(slot),
                                static_cast<off_t>(index * mark_slot_bytes));
    if (got < 0) return fail_errno("cannot read", file);
    if (got != sizeof(slot) || slot.magic != magic) continue;
    if (checksum_of(slot) != slot.checksum) continue;
    if (slot.format != mark_format) {
      found.newer_format = slot.format;
      continue;
    }
    if (!found.newest || slot.generation > found.newest->generation)
      found.newest = slot;
  }
  return found;
}

Expected<Slot> newest_slot(int fd, const std::filesystem::path& file) {
  const auto found = read_slots(fd, file);
  if (!found) return tl::unexpected(found.error());
  if (found->newest) return *found->newest;
  if (found->newer_format != 0)
    return fail(Errc::damaged,
                file.string() + " has format " +
                    std::to_string(found->newer_format) +
                    ": this log is newer than this program; use the version "
                    "that wrote it");
  return fail(Errc::damaged,
              file.string() +
                  " is damaged in both its slots, so nothing proves that the "
                  "log beside it is whole: restore the data directory from a "
                  "copy");
}

Mark mark_of(const Slot& slot) {
  return Mark{slot.log_id, Head{slot.sequence, slot.epoch, slot.hash}};
}

}  // namespace

Expected<Mark> read_head_mark(const std::filesystem::path& file) {
  const FileHandle fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot open", file);
  const auto slot = newest_slot(fd.get(), file);
  if (!slot) return tl::unexpected(slot.error());
  return mark_of(*slot);
}

HeadMark::HeadMark(int fd, std::filesystem::path file, const Mark& mark,
                   std::uint64_t generation)
    : fd_(fd), file_(std::move(file)), mark_(mark), generation_(generation) {}

HeadMark::HeadMark(HeadMark&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      file_(std::move(other.file_)),
      mark_(other.mark_),
      generation_(other.generation_) {}

HeadMark::~HeadMark() {
  if (fd_ >= 0) ::close(fd_);
}

Expected<HeadMark> HeadMark::create(const std::filesystem::path& file,
                                    const Mark& mark) {
  const auto temporary = std::filesystem::path(file.string() + ".new");
  const int fd =
      ::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("cannot create", temporary);
  HeadMark made(fd, file, mark, 0);
  // Allocated and written whole, so that later writes change no metadata.
  const std::array<char, 2 * mark_slot_bytes> zero{};
  if (::pwrite(fd, zero.data(), zero.size(), 0) !=
      static_cast<ssize_t>(zero.size()))
    return fail_errno("cannot write", temporary);
  if (Status done = made.write_both(mark.head); !done)
    return tl::unexpected(done.error());
  if (::fsync(fd) != 0) return fail_errno("cannot sync", temporary);
  if (::rename(temporary.c_str(), file.c_str()) != 0)
    return fail_errno("cannot rename", temporary);
  if (Status done = sync_directory(file.parent_path()); !done)
    return tl::unexpected(done.error());
  return made;
}

Expected<HeadMark> HeadMark::open(const std::filesystem::path& file) {
  FileHandle fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot open", file);
  const auto slot = newest_slot(fd.get(), file);
  if (!slot) return tl::unexpected(slot.error());
  return HeadMark(fd.release(), file, mark_of(*slot), slot->generation);
}

Status HeadMark::write(const Head& head) {
  Slot slot{};
  slot.magic = magic;
  slot.format = mark_format;
  slot.generation = generation_ + 1;
  slot.log_id = mark_.log_id;
  slot.sequence = head.sequence;
  slot.epoch = head.epoch;
  slot.hash = head.hash;
  slot.checksum = checksum_of(slot);
  const off_t offset =
      static_cast<off_t>((slot.generation % 2) * mark_slot_bytes);
  if (::pwrite(fd_, &slot, sizeof(slot), offset) != sizeof(slot))
    return fail_errno("cannot write", file_);
  if (::fdatasync(fd_) != 0) return fail_errno("cannot sync", file_);
  generation_ = slot.generation;
  mark_.head = head;
  return {};
}

Error with_acknowledged(Error error, const Mark& mark) {
  if (error.code == Errc::damaged && mark.head.sequence != 0)
    error.text +=
        "; event " + std::to_string(mark.head.sequence) + " was acknowledged";
  return error;
}

Status HeadMark::write_both(const Head& head) {
  if (Status done = write(head); !done) return done;
  return write(head);
}

}  // namespace reeve::store
