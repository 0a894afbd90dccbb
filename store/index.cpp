#include "store/index.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "store/database.hpp"

namespace reeve::store {

namespace {

// Keys: kind, id and first sequence of the run, so that all there is about an
// entity lies together; the end mark has a key of its own that no entity has.
constexpr std::string_view end_key("\0end", 4);
using PostingKey = std::array<char, 17>;

PostingKey posting_key(const Entity& entity, std::uint64_t run) {
  const std::uint64_t id_be = __builtin_bswap64(entity.id);
  const std::uint64_t run_be = __builtin_bswap64(run);
  PostingKey key;
  key[0] = entity.kind;
  std::memcpy(key.data() + 1, &id_be, 8);
  std::memcpy(key.data() + 9, &run_be, 8);
  return key;
}

struct EndMark {
  std::uint8_t format = index_format;
  std::array<std::uint8_t, 7> zero{};
  std::uint64_t sequence = 0;
  Hash hash{};
};
static_assert(sizeof(EndMark) == 48);

// Sequences as differences of seven bits a byte.
void append_number(std::string& to, std::uint64_t value) {
  for (; value >= 128; value >>= 7)
    to += static_cast<char>((value & 127) | 128);
  to += static_cast<char>(value);
}

bool read_numbers(rocksdb::Slice from, std::uint64_t base,
                  std::vector<std::uint64_t>& to) {
  std::uint64_t value = 0;
  unsigned shift = 0;
  for (const char c : from.ToStringView()) {
    const auto byte = static_cast<unsigned char>(c);
    if (shift > 63) return false;
    value |= std::uint64_t{byte & 127u} << shift;
    shift += 7;
    if ((byte & 128) != 0) continue;
    base += value;
    to.push_back(base);
    value = 0;
    shift = 0;
  }
  return shift == 0;
}

rocksdb::WriteOptions unlogged() {
  rocksdb::WriteOptions write;
  write.disableWAL = true;
  return write;
}

Status flush(const Database& database) {
  const rocksdb::Status status =
      database.db().Flush(rocksdb::FlushOptions(), database.index());
  if (!status.ok()) return fail_status(status, "cannot flush the index");
  return {};
}

Expected<EndMark> read_end(const Database& database) {
  EndMark mark;
  if (database.index() == nullptr) return mark;
  std::string text;
  const rocksdb::Status status =
      database.db().Get(rocksdb::ReadOptions(), database.index(),
                        rocksdb::Slice(end_key.data(), end_key.size()), &text);
  if (status.IsNotFound()) return mark;
  if (!status.ok()) return fail_status(status, "cannot read the index");
  if (text.size() == sizeof(mark))
    std::memcpy(&mark, text.data(), sizeof(mark));
  if (text.size() != sizeof(mark) || mark.format != index_format)
    return EndMark{};
  return mark;
}

struct Posting {
  Entity entity;
  std::uint64_t sequence;
};

Expected<std::vector<Posting>> gather(const Database& database,
                                      const IndexEnd& after, std::uint64_t to,
                                      const FindEntities& find, Hash& hash) {
  std::vector<Posting> postings;
  std::vector<Entity> found;
  const auto visit = [&](const Record& record) {
    std::uint64_t sequence = record.first_sequence;
    EventCursor cursor(record.events);
    while (const auto event = cursor.next()) {
      found.clear();
      find(*event, found);
      for (const Entity& entity : found) postings.push_back({entity, sequence});
      ++sequence;
    }
    hash = record.hash;
    return true;
  };
  if (Status scanned =
          scan_records_inline(database, {after.sequence + 1, to}, visit);
      !scanned)
    return tl::unexpected(scanned.error());
  std::sort(
      postings.begin(), postings.end(), [](const Posting& a, const Posting& b) {
        return std::tie(a.entity, a.sequence) < std::tie(b.entity, b.sequence);
      });
  return postings;
}

Status put_postings(const Database& database, std::uint64_t run,
                    std::span<const Posting> postings) {
  std::string value;
  for (std::size_t at = 0; at < postings.size();) {
    const Entity entity = postings[at].entity;
    std::uint64_t before = run;
    value.clear();
    for (; at < postings.size() && postings[at].entity == entity; ++at) {
      append_number(value, postings[at].sequence - before);
      before = postings[at].sequence;
    }
    const PostingKey key = posting_key(entity, run);
    const rocksdb::Status status = database.db().Put(
        unlogged(), database.index(), {key.data(), key.size()}, value);
    if (!status.ok()) return fail_status(status, "cannot write the index");
  }
  return {};
}

}  // namespace

Expected<IndexEnd> index_end(const Database& database) {
  const auto mark = read_end(database);
  if (!mark) return tl::unexpected(mark.error());
  if (mark->sequence == 0) return IndexEnd{};
  RecordIterator iterator(database);
  iterator.seek_holding(mark->sequence);
  if (!iterator.valid()) return IndexEnd{};
  const auto record = iterator.record();
  if (!record || record->last_sequence() != mark->sequence ||
      record->hash != mark->hash)
    return IndexEnd{};
  return IndexEnd{mark->sequence, mark->hash};
}

Status write_index_run(const Database& database, const IndexEnd& after,
                       std::uint64_t to, const FindEntities& entities) {
  EndMark mark;
  const auto postings = gather(database, after, to, entities, mark.hash);
  if (!postings) return tl::unexpected(postings.error());
  if (Status put = put_postings(database, after.sequence + 1, *postings); !put)
    return put;
  // On disk before the end mark says so.
  if (Status done = flush(database); !done) return done;
  mark.sequence = to;
  const rocksdb::Status status =
      database.db().Put(unlogged(), database.index(),
                        rocksdb::Slice(end_key.data(), end_key.size()),
                        slice_of(std::as_bytes(std::span(&mark, 1))));
  if (!status.ok()) return fail_status(status, "cannot write the index");
  return flush(database);
}

Status clear_index(const Database& database) {
  // No kind is the last character.
  const std::string last(1, '\xff');
  rocksdb::Status status = database.db().DeleteRange(
      unlogged(), database.index(), rocksdb::Slice("", 0), last);
  if (!status.ok()) return fail_status(status, "cannot clear the index");
  return flush(database);
}

Expected<std::vector<std::uint64_t>> indexed_events(const Database& database,
                                                    const Entity& entity) {
  std::vector<std::uint64_t> out;
  if (database.index() == nullptr) return out;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      database.db().NewIterator(rocksdb::ReadOptions(), database.index()));
  const PostingKey first = posting_key(entity, 0);
  constexpr std::size_t entity_bytes = 9;
  const rocksdb::Slice prefix(first.data(), entity_bytes);
  iterator->Seek({first.data(), first.size()});
  for (; iterator->Valid() && iterator->key().starts_with(prefix);
       iterator->Next()) {
    std::uint64_t run_be = 0;
    if (iterator->key().size() == first.size())
      std::memcpy(&run_be, iterator->key().data() + entity_bytes, 8);
    if (!read_numbers(iterator->value(), __builtin_bswap64(run_be), out))
      return fail(Errc::damaged, "the index holds no numbers");
  }
  if (!iterator->status().ok())
    return fail_status(iterator->status(), "cannot read the index");
  return out;
}

}  // namespace reeve::store
