#include "tools/daemon/epoch_note.hpp"

#include <fmt/format.h>

#include "bus/private_file.hpp"
#include "cluster/units.hpp"

namespace reeve::tools {
namespace {

constexpr std::size_t epoch_note_bytes_max = 64;

std::filesystem::path note_of(const std::filesystem::path& data) {
  return data / "epoch.note";
}

}  // namespace

Expected<Epoch> noted_epoch(const std::filesystem::path& data) {
  const auto note = bus::read_private_file(note_of(data), epoch_note_bytes_max);
  if (!note && note.error().code == Errc::not_found) return Epoch{};
  if (!note) return tl::unexpected(note.error());
  const auto number = parse_count(*note, "epoch");
  if (!number)
    return fail(Errc::damaged,
                fmt::format("{} holds no number of an epoch: remove it",
                            note_of(data).string()));
  return Epoch{*number};
}

Status note_epoch(const std::filesystem::path& data, Epoch epoch) {
  return bus::write_private_file(note_of(data), fmt::format("{}", epoch.value));
}

}  // namespace reeve::tools
