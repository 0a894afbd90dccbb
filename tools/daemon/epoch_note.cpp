#include "tools/daemon/epoch_note.hpp"

#include <fmt/format.h>

#include <fstream>
#include <string>

#include "bus/private_file.hpp"
#include "cluster/units.hpp"

namespace reeve::tools {
namespace {

constexpr std::size_t epoch_note_bytes_max = 64;
// Far beyond any that is begun, and room for the next.
constexpr std::uint64_t epoch_max = std::uint64_t{1} << 62;

std::filesystem::path epoch_note_of(const std::filesystem::path& data) {
  return data / "epoch.note";
}

}  // namespace

Expected<Epoch> noted_epoch(const std::filesystem::path& data) {
  // Whoever may read it: it is no secret.
  std::ifstream in(epoch_note_of(data), std::ios::binary);
  if (!in && !std::filesystem::exists(epoch_note_of(data))) return Epoch{};
  std::string note(epoch_note_bytes_max, '\0');
  in.read(note.data(), static_cast<std::streamsize>(note.size()));
  note.resize(static_cast<std::size_t>(in.gcount()));
  const auto number = parse_count(note, "epoch");
  if (!number || *number > epoch_max)
    return fail(Errc::damaged,
                fmt::format("{} holds no number of an epoch: remove it",
                            epoch_note_of(data).string()));
  return Epoch{*number};
}

Status note_epoch(const std::filesystem::path& data, Epoch epoch) {
  return bus::write_private_file(epoch_note_of(data),
                                 fmt::format("{}", epoch.value));
}

}  // namespace reeve::tools
