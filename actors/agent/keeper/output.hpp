// One stream of one task on disk, bounded: the first half is kept for good,
// of the rest the newest. `<stem>.out` holds the bytes from offset 0; later
// ones lie in `<stem>.out.tail/<offset>`: two files, or more short ones where
// writes failed. Offsets never go back, so a reader can tell what was dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/agent/keeper/files.hpp"
#include "actors/agent/keeper/types.hpp"
#include "cluster/error.hpp"

namespace reeve::keeper {

inline constexpr std::uint64_t output_bytes_default = 64u << 20;
inline constexpr std::uint64_t output_bytes_min = 4096;
// Each failed write begins a file.
inline constexpr std::size_t tail_files_max = 16;

// "<directory>/17.1.0.out"
std::string output_path(const std::string& directory, const TaskKey& key,
                        Stream stream);

class OutputFile {
 public:
  OutputFile(std::string path, std::uint64_t bytes_max);

  // Makes the file at the first byte. On an error (a full disk) bytes count as
  // dropped and the offset goes on; the next call tries again.
  Status append(std::string_view bytes);
  std::uint64_t end() const { return end_; }
  void close() { file_.reset(); }

 private:
  // A file holds its bytes without holes.
  struct File {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
  };
  std::string path_of(std::uint64_t start) const;
  std::uint64_t bytes_max_of(const File& file) const {
    return file.start == 0 ? head_max_ : tail_max_;
  }
  Status open();
  Status open_tail();
  void make_room_in_tail();
  void drop(std::uint64_t bytes);

  std::string path_;
  std::uint64_t head_max_;
  std::uint64_t tail_max_;  // of one tail file
  std::uint64_t end_ = 0;
  Fd file_;
  File current_;             // what `file_` is
  std::vector<File> tails_;  // before it, the oldest first
};

struct OutputPiece {
  std::uint64_t offset = 0;  // of the first byte; above the asked one when
                             // what lay between was dropped
  std::string bytes;         // empty: nothing at or after the offset yet
};

// Bytes from `offset` on, at most `bytes_max`, of a stream that may still be
// written to. A task that wrote nothing has no file: an empty piece. Where the
// last bytes were dropped, an empty piece has the offset behind them.
Expected<OutputPiece> read_output(const std::string& directory,
                                  const TaskKey& key, Stream stream,
                                  std::uint64_t offset, std::size_t bytes_max);

// What lies there of both streams, what was dropped not counted; nothing
// without any file.
std::optional<std::uint64_t> output_bytes(const std::string& directory,
                                          const TaskKey& key);

// Removes what a task wrote; whoever asks for it finds that it is gone.
void empty_output(const std::string& directory, const TaskKey& key);
bool output_is_gone(const std::string& directory, const TaskKey& key);

// Leaves nothing of it, when nobody will ask for it again.
void remove_output(const std::string& directory, const TaskKey& key);

}  // namespace reeve::keeper
