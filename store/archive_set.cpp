#include "store/archive_set.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

namespace reeve::store {

namespace {

constexpr std::size_t sequence_digits = 20;
constexpr std::string_view suffix = ".segment";

std::string padded(std::uint64_t number) {
  const std::string text = std::to_string(number);
  return std::string(sequence_digits - text.size(), '0') + text;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

// "00000000000000000001-00000000000001000000.segment"
std::optional<ArchiveSet::Entry> entry_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.size() != 2 * sequence_digits + 1 + suffix.size() ||
      name[sequence_digits] != '-' || !name.ends_with(suffix))
    return std::nullopt;
  const std::string_view view(name);
  const auto first = number(view.substr(0, sequence_digits));
  const auto last = number(view.substr(sequence_digits + 1, sequence_digits));
  if (!first || !last || *first == 0 || *last < *first) return std::nullopt;
  return ArchiveSet::Entry{*first, *last, path};
}

}  // namespace

std::string ArchiveSet::file_name(std::uint64_t first_sequence,
                                  std::uint64_t last_sequence) {
  return padded(first_sequence) + '-' + padded(last_sequence) +
         std::string(suffix);
}

std::shared_ptr<const ArchiveSet> ArchiveSet::list(
    const std::filesystem::path& directory, const LogId& log_id) {
  auto set = std::make_shared<ArchiveSet>();
  set->directory_ = directory;
  set->log_id_ = log_id;
  std::error_code ignored;
  for (const auto& file :
       std::filesystem::directory_iterator(directory, ignored))
    if (auto entry = entry_of(file.path()))
      set->entries_.push_back(std::move(*entry));
  std::sort(set->entries_.begin(), set->entries_.end(),
            [](const Entry& a, const Entry& b) {
              return a.first_sequence < b.first_sequence;
            });
  return set;
}

std::shared_ptr<const ArchiveSet> ArchiveSet::of_file(
    std::shared_ptr<const SegmentFile> file) {
  auto set = std::make_shared<ArchiveSet>();
  const SegmentInfo& info = file->info();
  set->log_id_ = info.log_id;
  set->directory_ = file->path().parent_path();
  set->entries_.push_back(
      {info.first_sequence, info.last.sequence, file->path()});
  set->open_ = std::move(file);
  return set;
}

std::uint64_t ArchiveSet::unbroken_to() const {
  std::uint64_t last = 0;
  for (const Entry& entry : entries_) {
    if (entry.first_sequence != last + 1) break;
    last = entry.last_sequence;
  }
  return last;
}

Expected<std::shared_ptr<const SegmentFile>> ArchiveSet::holding(
    std::uint64_t sequence) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.first_sequence <= sequence &&
               sequence <= entry.last_sequence;
      });
  if (found == entries_.end())
    return fail(Errc::damaged, "event " + std::to_string(sequence) +
                                   " was archived and no file in " +
                                   directory_.string() +
                                   " holds it: put the archives back");
  const std::lock_guard guard(mutex_);
  if (open_ && open_->path() == found->path) return open_;
  auto file = SegmentFile::open(found->path);
  if (!file) return tl::unexpected(file.error());
  const SegmentInfo& info = (*file)->info();
  if (info.log_id != log_id_)
    return fail(Errc::damaged,
                found->path.string() + " is an archive of another log");
  if (info.first_sequence != found->first_sequence ||
      info.last.sequence != found->last_sequence)
    return fail(Errc::damaged, found->path.string() + " holds " +
                                   range_text(info) +
                                   ", which is not what its name says");
  open_ = std::move(*file);
  return open_;
}

void ArchiveCursor::seek(std::uint64_t sequence) {
  status_ = {};
  block_.records.clear();
  if (!file_ || sequence < file_->info().first_sequence ||
      sequence > file_->info().last.sequence) {
    auto file = set_->holding(sequence);
    if (!file) {
      status_ = tl::unexpected(file.error());
      return;
    }
    file_ = std::move(*file);
  }
  block_index_ = file_->block_holding(sequence);
  status_ = file_->read_block(block_index_, block_);
  index_ = 0;
  while (status_ && index_ < block_.records.size() &&
         block_.records[index_].last_sequence() < sequence)
    ++index_;
  if (status_ && index_ == block_.records.size())
    status_ = fail(Errc::damaged, file_->path().string() + " lacks event " +
                                      std::to_string(sequence));
}

void ArchiveCursor::next() {
  const std::uint64_t after = record().last_sequence() + 1;
  if (++index_ < block_.records.size()) return;
  seek(after);
}

void ArchiveCursor::previous() {
  const std::uint64_t before = record().first_sequence - 1;
  if (index_ > 0) {
    --index_;
  } else if (before == 0) {
    block_.records.clear();
  } else {
    seek(before);
  }
}

}  // namespace reeve::store
