#include "store/record_run.hpp"

#include <cstring>

namespace reeve::store {

namespace {

constexpr std::size_t length_bytes = sizeof(std::uint64_t);

void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::size_t bytes_in_run(const Record& record) {
  return length_bytes + record_header_bytes + record.events.size();
}

void append_to_run(std::vector<std::byte>& run, const Record& record) {
  const std::uint64_t size = record_header_bytes + record.events.size();
  append(run, std::as_bytes(std::span(&size, 1)));
  append(run, record_header(record));
  append(run, record.events);
}

Status for_each_in_run(
    std::uint64_t first_sequence, std::span<const std::byte> run,
    const std::function<void(const Record&, std::span<const std::byte> value)>&
        visit) {
  while (!run.empty()) {
    std::uint64_t size = 0;
    if (run.size() < length_bytes)
      return fail(Errc::damaged, "holds no whole record");
    std::memcpy(&size, run.data(), length_bytes);
    run = run.subspan(length_bytes);
    if (size > run.size() || size % event_alignment_bytes != 0)
      return fail(Errc::damaged, "holds no whole record");
    const auto value = run.first(size);
    const auto record = parse_record(first_sequence, value);
    if (!record) return tl::unexpected(record.error());
    visit(*record, value);
    first_sequence = record->last_sequence() + 1;
    run = run.subspan(size);
  }
  return {};
}

}  // namespace reeve::store
