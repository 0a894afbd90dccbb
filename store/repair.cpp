#include "store/repair.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "store/bulk_writer.hpp"
#include "store/file.hpp"
#include "store/owner.hpp"
#include "store/repair_source.hpp"

namespace reeve::store {

namespace {

namespace fs = std::filesystem;
using Sources = std::vector<std::unique_ptr<RepairSource>>;

const std::string own_name = "the log's own database";

bool follows(const Head& before, const Record& record) {
  return record.epoch >= before.epoch &&
         chain_hash(before.hash, record) == record.hash;
}

// The next record that follows, and which source it comes from.
struct Found {
  Record record;
  const RepairSource* source;
};
std::optional<Found> find_next(Sources& sources, const Head& before) {
  for (const auto& source : sources) {
    const auto record = source->at(before.sequence + 1);
    if (record && follows(before, *record)) return Found{*record, source.get()};
  }
  return std::nullopt;
}

void extend(std::vector<RepairPiece>& pieces, const Record& record,
            const std::string& source) {
  if (!pieces.empty() && pieces.back().source == source &&
      pieces.back().to + 1 == record.first_sequence)
    pieces.back().to = record.last_sequence();
  else
    pieces.push_back({record.first_sequence, record.last_sequence(), source});
}

// Walks from `start` as far as the sources go.
using Take = std::function<Status(const Found&)>;
Expected<Head> walk(Sources& sources, Head at, const Advance& advance,
                    const Take& take) {
  while (const auto found = find_next(sources, at)) {
    if (Status taken = take(*found); !taken)
      return tl::unexpected(taken.error());
    at = head_of(found->record);
    if (advance) advance(at.sequence);
  }
  return at;
}

// All of a repair but its plan: who gives records.
struct Workshop {
  Sources others;  // what the person named
  std::unique_ptr<RepairSource> own;
  std::string own_problem;

  Status open(const Layout& layout, const LogId& log_id,
              const std::vector<fs::path>& paths) {
    for (const auto& path : paths) {
      auto source = open_repair_source(path, log_id);
      if (!source) return tl::unexpected(source.error());
      others.push_back(std::move(*source));
    }
    auto database = open_database_source(layout, log_id, own_name);
    if (database)
      own = std::move(*database);
    else
      own_problem = database.error().text;
    return {};
  }
  // The log's own first.
  Sources all() {
    Sources out;
    if (own) out.push_back(std::move(own));
    for (auto& source : others) out.push_back(std::move(source));
    return out;
  }
};

// Each archive from event 1 on: whole, to be replaced, or lost. Returns the
// head at the end of the last one that is or can be whole.
Expected<Head> plan_archives(RepairPlan& plan, Workshop& shop,
                             const Advance& advance) {
  const auto set = ArchiveSet::list(plan.layout.archive(), plan.mark.log_id);
  Head head;
  for (const auto& entry : set->entries()) {
    if (entry.first_sequence != head.sequence + 1) break;
    const auto file = set->holding(entry.first_sequence);
    Status sound = file ? Status() : Status(tl::unexpected(file.error()));
    if (sound)
      sound = (*file)->scan([&](const Record& record) {
        if (advance) advance(record.last_sequence());
        return true;
      });
    if (sound && (*file)->info().previous == head.hash) {
      head = (*file)->info().last;
      continue;
    }
    plan.problems.push_back(sound ? entry.path.string() +
                                        " does not follow what goes before it"
                                  : sound.error().text);
    Head at = head;
    std::vector<RepairPiece> pieces;
    while (at.sequence < entry.last_sequence) {
      const auto found = find_next(shop.others, at);
      if (!found) break;
      extend(pieces, found->record, found->source->name());
      at = head_of(found->record);
    }
    // One that cannot be replaced ends what is whole.
    if (at.sequence != entry.last_sequence) break;
    plan.archives.insert(plan.archives.end(), pieces.begin(), pieces.end());
    head = at;
  }
  return head;
}

std::string plan_text(const RepairPlan& plan) {
  std::string text = plan.layout.directory.string() + '\n' +
                     std::to_string(plan.mark.head.sequence) + ' ' +
                     short_hex(plan.mark.head.hash) + '\n' +
                     std::to_string(plan.head.sequence) + ' ' +
                     short_hex(plan.head.hash) + '\n';
  for (const auto& problem : plan.problems) text += problem + '\n';
  for (const auto* list : {&plan.archives, &plan.pieces})
    for (const auto& piece : *list)
      text += std::to_string(piece.from) + '-' + std::to_string(piece.to) +
              ' ' + piece.source + '\n';
  return text;
}

void name_plan(RepairPlan& plan) {
  const std::string text = plan_text(plan);
  const auto bytes = std::as_bytes(std::span(text));
  plan.id = short_hex(hash_parts(std::span(&bytes, 1))).substr(0, 8);
  plan.quarantine = plan.layout.directory / ("quarantine-" + plan.id);
}

Status check_mark(RepairPlan& plan, bool mark_seen) {
  const Head& mark = plan.mark.head;
  if (plan.head.sequence >= mark.sequence && !mark_seen)
    return fail(Errc::damaged,
                "the records that can be read are another history: none of "
                "them has the hash that event " +
                    std::to_string(mark.sequence) +
                    " was acknowledged with; name a copy that has it (--from)");
  if (plan.head.sequence < mark.sequence) {
    plan.lost_from = plan.head.sequence + 1;
    plan.lost_to = mark.sequence;
    plan.problems.push_back("the log can be read up to event " +
                            std::to_string(plan.head.sequence) +
                            ", but event " + std::to_string(mark.sequence) +
                            " was acknowledged");
  }
  return {};
}

void find_problems(RepairPlan& plan, const Sources& sources) {
  for (const auto& piece : plan.pieces)
    if (piece.source != own_name)
      plan.problems.push_back(
          "the log's own events " + std::to_string(piece.from) + " to " +
          std::to_string(piece.to) + " are missing or damaged");
  if (sources.empty() || sources.front()->name() != own_name) return;
  const std::uint64_t last = sources.front()->last_sequence();
  if (last <= plan.head.sequence) return;
  plan.cut_from = plan.head.sequence + 1;
  plan.cut_to = last;
  plan.problems.push_back(
      "what is there of events " + std::to_string(plan.cut_from) + " to " +
      std::to_string(plan.cut_to) + " does not follow from event " +
      std::to_string(plan.head.sequence));
}

Expected<RepairPlan> make_plan(const Layout& layout,
                               const std::vector<fs::path>& paths,
                               const Advance& advance) {
  RepairPlan plan;
  plan.layout = layout;
  plan.sources = paths;
  const auto mark = read_head_mark(layout.head_mark());
  if (!mark)
    return fail(mark.error().code,
                mark.error().text +
                    "; without it nothing says how far this log must reach: "
                    "restore head.mark from a copy");
  plan.mark = *mark;
  Workshop shop;
  if (Status opened = shop.open(layout, mark->log_id, paths); !opened)
    return tl::unexpected(opened.error());
  if (!shop.own_problem.empty()) plan.problems.push_back(shop.own_problem);
  const auto archived = plan_archives(plan, shop, advance);
  if (!archived) return tl::unexpected(archived.error());
  plan.start = *archived;
  Sources sources = shop.all();
  bool mark_seen = mark->head.sequence <= plan.start.sequence &&
                   (mark->head.sequence < plan.start.sequence ||
                    plan.start.hash == mark->head.hash);
  const auto head = walk(sources, plan.start, advance, [&](const Found& found) {
    extend(plan.pieces, found.record, found.source->name());
    mark_seen |= head_of(found.record) == mark->head;
    return Status();
  });
  if (!head) return tl::unexpected(head.error());
  plan.head = *head;
  if (Status checked = check_mark(plan, mark_seen); !checked)
    return tl::unexpected(checked.error());
  find_problems(plan, sources);
  name_plan(plan);
  return plan;
}

Status rename_synced(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    return fail(Errc::io, "cannot rename " + from.string() + " to " +
                              to.string() + ": " + error.message());
  if (Status synced = sync_directory(to.parent_path()); !synced) return synced;
  return sync_directory(from.parent_path());
}

// The damaged files keep their names below the quarantine.
Status move_aside(const fs::path& file, const RepairPlan& plan) {
  return rename_synced(file, plan.quarantine / file.filename());
}

Status write_text(const fs::path& file, const std::string& text) {
  const FileHandle handle(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!handle.valid()) return fail_errno("cannot write", file);
  Status put = write_all(handle, std::as_bytes(std::span(text)), file);
  if (put && ::fsync(handle.get()) != 0) return fail_errno("cannot sync", file);
  return put;
}

// Holds nothing but copies: it may be removed at any time.
fs::path mended_path(const Layout& layout) {
  return layout.directory / "db.mended";
}

Status build_database(const RepairPlan& plan, Sources& sources,
                      const Advance& advance) {
  const fs::path mended = mended_path(plan.layout);
  std::error_code ignored;
  fs::remove_all(mended, ignored);
  const auto database = Database::open(mended, Access::create, {});
  if (!database) return tl::unexpected(database.error());
  if (Status named = (*database)->write_identity(plan.mark.log_id); !named)
    return named;
  BulkWriter writer(**database, plan.start, nullptr);
  const auto head = walk(sources, plan.start, advance, [&](const Found& found) {
    return writer.add(found.record);
  });
  if (!head) return tl::unexpected(head.error());
  if (Status synced = writer.sync(); !synced) return synced;
  if (*head != plan.head)
    return fail(Errc::rejected,
                "what can be read changed while it was copied: plan again");
  const rocksdb::Status flushed =
      (*database)->db().Flush(rocksdb::FlushOptions(), (*database)->log());
  if (!flushed.ok()) return fail_status(flushed, "cannot flush the mended log");
  return {};
}

// One archive anew from the sources. Returns the head at its end.
Expected<Head> write_archive(const RepairPlan& plan,
                             const ArchiveSet::Entry& entry, const Head& before,
                             Sources& sources) {
  // Twice through the sources: the header tells the last hash.
  const auto each = [&](const Take& take) -> Expected<Head> {
    Head at = before;
    while (at.sequence < entry.last_sequence) {
      const auto found = find_next(sources, at);
      if (!found) return fail(Errc::rejected, "a source changed: plan again");
      if (Status taken = take(*found); !taken)
        return tl::unexpected(taken.error());
      at = head_of(found->record);
    }
    return at;
  };
  const auto last = each([](const Found&) { return Status(); });
  if (!last) return last;
  SegmentInfo info;
  info.log_id = plan.mark.log_id;
  info.first_sequence = before.sequence + 1;
  info.previous = before.hash;
  info.last = *last;
  const fs::path part = entry.path.string() + ".part";
  const FileHandle handle(
      ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!handle.valid()) return fail_errno("cannot write", part);
  SegmentWriter writer(info, [&](std::span<const std::byte> bytes) {
    return write_all(handle, bytes, part);
  });
  const auto written =
      each([&](const Found& found) { return writer.add(found.record); });
  if (!written) return written;
  if (Status done = writer.finish(); !done) return tl::unexpected(done.error());
  if (::fsync(handle.get()) != 0) return fail_errno("cannot sync", part);
  if (Status moved = move_aside(entry.path, plan); !moved)
    return tl::unexpected(moved.error());
  if (Status named = rename_synced(part, entry.path); !named)
    return tl::unexpected(named.error());
  return *last;
}

// Replaces each damaged archive by one with the records of the sources.
Status mend_archives(const RepairPlan& plan, Workshop& shop) {
  const auto set = ArchiveSet::list(plan.layout.archive(), plan.mark.log_id);
  Head head;
  for (const auto& entry : set->entries()) {
    // Its records, where there are any, go into the database.
    if (entry.last_sequence > plan.start.sequence) {
      if (Status moved = move_aside(entry.path, plan); !moved) return moved;
      continue;
    }
    const bool bad = std::any_of(plan.archives.begin(), plan.archives.end(),
                                 [&](const auto& piece) {
                                   return piece.from <= entry.last_sequence &&
                                          piece.to >= entry.first_sequence;
                                 });
    if (!bad) {
      const auto file = set->holding(entry.first_sequence);
      if (!file) return tl::unexpected(file.error());
      head = (*file)->info().last;
      continue;
    }
    const auto last = write_archive(plan, entry, head, shop.others);
    if (!last) return tl::unexpected(last.error());
    head = *last;
  }
  return {};
}

// Between the two renames there is no database: undo_swap() sees to that.
Status swap_databases(const RepairPlan& plan) {
  const fs::path database = plan.layout.database();
  std::error_code ignored;
  if (fs::exists(database, ignored))
    if (Status aside = rename_synced(database, plan.quarantine / "db"); !aside)
      return aside;
  return rename_synced(mended_path(plan.layout), database);
}

// A swap that was cut short left the damaged database in its quarantine.
Status undo_swap(const Layout& layout) {
  std::error_code ignored;
  if (fs::exists(layout.database(), ignored)) return {};
  for (const auto& entry : fs::directory_iterator(layout.directory, ignored)) {
    const bool quarantine =
        entry.path().filename().string().starts_with("quarantine-");
    if (quarantine && fs::exists(entry.path() / "db", ignored) &&
        fs::exists(mended_path(layout), ignored))
      return rename_synced(entry.path() / "db", layout.database());
  }
  return {};
}

Status mend_mark(const RepairPlan& plan) {
  if (plan.head == plan.mark.head) return {};
  auto mark = HeadMark::open(plan.layout.head_mark());
  if (!mark) return tl::unexpected(mark.error());
  return mark->write_both(plan.head);
}

}  // namespace

Expected<RepairPlan> plan_repair(const fs::path& log,
                                 const std::vector<fs::path>& sources,
                                 const Advance& advance) {
  const auto layout = find_log(log);
  if (!layout) return tl::unexpected(layout.error());
  const auto owner = Owner::take(layout->owner());
  if (!owner) return tl::unexpected(owner.error());
  if (Status undone = undo_swap(*layout); !undone)
    return tl::unexpected(undone.error());
  return make_plan(*layout, sources, advance);
}

Status carry_out(const RepairPlan& plan, const Advance& advance) {
  const auto owner = Owner::take(plan.layout.owner());
  if (!owner) return tl::unexpected(owner.error());
  const auto again = make_plan(plan.layout, plan.sources, nullptr);
  if (!again) return tl::unexpected(again.error());
  if (again->id != plan.id)
    return fail(Errc::rejected, "the plan is now another one (" + again->id +
                                    "): look at it again");
  if (!plan.needed()) return {};
  if (Status made = make_directory(plan.quarantine); !made) return made;
  if (Status noted = write_text(plan.quarantine / "plan", plan_text(plan));
      !noted)
    return noted;
  std::error_code error;
  fs::copy_file(plan.layout.head_mark(), plan.quarantine / "head.mark",
                fs::copy_options::overwrite_existing, error);
  if (error) return fail(Errc::io, "cannot set head.mark aside");
  {
    Workshop shop;
    if (Status opened = shop.open(plan.layout, plan.mark.log_id, plan.sources);
        !opened)
      return opened;
    if (Status mended = mend_archives(plan, shop); !mended) return mended;
    Sources sources = shop.all();
    if (Status built = build_database(plan, sources, advance); !built)
      return built;
  }
  if (Status swapped = swap_databases(plan); !swapped) return swapped;
  return mend_mark(plan);
}

}  // namespace reeve::store
