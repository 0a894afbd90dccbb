// Reading and hashing ahead of a consumer. Records are read in order into
// blocks of about half a megabyte by one thread; blocks are hashed by
// whichever thread has nothing better to do, since each link of the chain can
// be proved alone from the stored hash before it; the consumer gets the
// blocks in order. On two cores this keeps both busy whether the consumer is
// slower or faster than the hash.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "store/scan_source.hpp"

namespace reeve::store {

class ScanPipeline {
 public:
  ScanPipeline(const Database& database, ScanRange range);
  ~ScanPipeline();
  Status run(const RecordVisitor& visit);

  static constexpr std::size_t block_bytes = 512u << 10;
  // Blocks read ahead of the consumer, at most.
  static constexpr std::size_t blocks_max = 16;
  static constexpr bool may_read_on(std::size_t blocks) {
    return blocks < blocks_max;
  }

 private:
  struct Link {
    Record record;  // its events point into the block once it is full
    Hash previous;
    std::size_t offset;
  };
  enum class Stage { full, proving, proved };
  struct Block {
    std::vector<std::uint64_t> bytes;
    std::size_t used_bytes = 0;
    std::vector<Link> links;
    Stage stage = Stage::full;
    std::size_t sound = 0;        // links that are proved
    std::optional<Error> damage;  // what comes after them
    bool last = false;
  };

  void read_ahead();
  void help();
  void fill(Block& block);
  static void add(Block& block, const ScanSource& source);
  static void prove(Block& block);
  Block* claim();
  bool prove_one(std::unique_lock<std::mutex>& lock);
  std::unique_ptr<Block> take_block();
  std::unique_ptr<Block> wait_for_front();

  ScanSource source_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Block>> blocks_;  // in order of the log
  std::vector<std::unique_ptr<Block>> idle_;   // emptied, to use again
  bool read_all_ = false;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace reeve::store
