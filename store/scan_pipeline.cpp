#include "store/scan_pipeline.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace reeve::store {

ScanPipeline::ScanPipeline(const Database& database, ScanRange range)
    : source_(database, range) {
  threads_.emplace_back([this] { read_ahead(); });
  const unsigned cores = std::thread::hardware_concurrency();
  const unsigned helpers = cores > 2 ? std::min(cores - 2, 2u) : 0;
  for (unsigned i = 0; i < helpers; ++i)
    threads_.emplace_back([this] { help(); });
}

ScanPipeline::~ScanPipeline() {
  {
    const std::lock_guard guard(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ScanPipeline::add(Block& block, const ScanSource& source) {
  const auto value = source.value();
  const std::size_t offset = block.used_bytes;
  const std::size_t padded = (value.size() + 7) / 8 * 8;
  if (block.bytes.size() * 8 < offset + padded)
    block.bytes.resize((offset + padded) / 8);
  std::memcpy(reinterpret_cast<std::byte*>(block.bytes.data()) + offset,
              value.data(), value.size());
  block.used_bytes = offset + padded;
  block.links.push_back({source.record(), source.previous_hash(), offset});
}

// Fills one block; sets `last` at the end of the range and at damage.
void ScanPipeline::fill(Block& block) {
  block.bytes.resize(
      std::max(block.bytes.size(), block_bytes / sizeof(std::uint64_t)));
  block.used_bytes = 0;
  block.links.clear();
  block.stage = Stage::full;
  while (block.used_bytes < block_bytes && !block.last) {
    const auto more = source_.next();
    if (!more) block.damage = more.error();
    block.last = !more || !*more;
    if (!block.last) add(block, source_);
  }
  // Only now does the buffer stay where it is.
  const auto all = std::as_bytes(std::span(block.bytes));
  for (Link& link : block.links)
    link.record.events = all.subspan(link.offset + record_header_bytes,
                                     link.record.events.size());
}

void ScanPipeline::prove(Block& block) {
  block.sound = 0;
  for (const Link& link : block.links) {
    const Hash hash = chain_hash(link.previous, link.record);
    if (hash != link.record.hash) {
      block.damage =
          fail_hash(link.record.first_sequence, link.record.hash, hash).value();
      block.last = true;
      return;
    }
    ++block.sound;
  }
}

ScanPipeline::Block* ScanPipeline::claim() {
  for (auto& block : blocks_) {
    if (block->stage != Stage::full) continue;
    block->stage = Stage::proving;
    return block.get();
  }
  return nullptr;
}

// Proves the oldest block that waits for it, with the lock let go meanwhile.
bool ScanPipeline::prove_one(std::unique_lock<std::mutex>& lock) {
  Block* block = claim();
  if (block == nullptr) return false;
  lock.unlock();
  prove(*block);
  lock.lock();
  block->stage = Stage::proved;
  changed_.notify_all();
  return true;
}

std::unique_ptr<ScanPipeline::Block> ScanPipeline::take_block() {
  if (idle_.empty()) return std::make_unique<Block>();
  auto block = std::move(idle_.back());
  idle_.pop_back();
  return block;
}

void ScanPipeline::read_ahead() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (!read_all_ && may_read_on(blocks_.size())) {
      auto block = take_block();
      lock.unlock();
      fill(*block);
      lock.lock();
      read_all_ = block->last;
      blocks_.push_back(std::move(block));
      changed_.notify_all();
    } else if (!prove_one(lock)) {
      changed_.wait(lock);
    }
  }
}

void ScanPipeline::help() {
  std::unique_lock lock(mutex_);
  while (!stop_)
    if (!prove_one(lock)) changed_.wait(lock);
}

// The next block in order, proved; the consumer lends a hand while it waits.
std::unique_ptr<ScanPipeline::Block> ScanPipeline::wait_for_front() {
  std::unique_lock lock(mutex_);
  while (blocks_.empty() || blocks_.front()->stage != Stage::proved)
    if (!prove_one(lock)) changed_.wait(lock);
  auto block = std::move(blocks_.front());
  blocks_.pop_front();
  return block;
}

Status ScanPipeline::run(const RecordVisitor& visit) {
  while (true) {
    auto block = wait_for_front();
    changed_.notify_all();
    for (std::size_t i = 0; i < block->sound; ++i)
      if (!visit(block->links[i].record)) return {};
    if (block->damage) return tl::unexpected(*block->damage);
    if (block->last) return {};
    const std::lock_guard guard(mutex_);
    idle_.push_back(std::move(block));
  }
}

}  // namespace reeve::store
