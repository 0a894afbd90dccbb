#include "store/log_open.hpp"

#include <sodium.h>

#include <system_error>
#include <utility>

#include "store/file.hpp"

namespace reeve::store {

namespace {

Expected<LogId> draw_log_id() {
  if (sodium_init() < 0) return fail(Errc::internal, "libsodium did not start");
  LogId log_id;
  randombytes_buf(log_id.data(), log_id.size());
  return log_id;
}

DatabaseOptions database_options(const LogOptions& options) {
  return {options.env, options.write_buffer_bytes};
}

// The mark comes first: from then on a missing database is either a creation
// that was cut short (mark at 0) or a loss that is noticed.
Status make_mark(const Layout& layout, const LogOptions& options) {
  const auto log_id =
      options.new_log_id ? Expected<LogId>(*options.new_log_id) : draw_log_id();
  if (!log_id) return tl::unexpected(log_id.error());
  const auto mark = HeadMark::create(layout.head_mark(), Mark{*log_id, Head{}});
  if (!mark) return tl::unexpected(mark.error());
  return {};
}

Expected<Layout> find_or_make(const LogOptions& options) {
  auto found = find_log(options.directory);
  if (found || found.error().code != Errc::not_found ||
      !options.create_if_missing)
    return found;
  if (Status made = make_directory(options.directory); !made)
    return tl::unexpected(made.error());
  // Its name must be as durable as what is put into it.
  if (Status synced = sync_directory(options.directory / ".."); !synced)
    return tl::unexpected(synced.error());
  return Layout{options.directory};
}

bool database_exists(const Layout& layout) {
  std::error_code ignored;
  return std::filesystem::exists(layout.database(), ignored);
}

// Made under another name and renamed when it is whole and named, so that a
// creation that was cut short leaves nothing that looks like a log.
Status make_database(const Layout& layout, const LogOptions& options,
                     const Mark& mark) {
  if (mark.head.sequence != 0)
    return fail(Errc::damaged,
                "the database in " + layout.directory.string() +
                    " is gone, but event " +
                    std::to_string(mark.head.sequence) +
                    " was acknowledged: restore the directory from a copy");
  const auto unfinished = layout.directory / "db.new";
  std::error_code error;
  std::filesystem::remove_all(unfinished, error);
  {
    const auto database =
        Database::open(unfinished, Access::create, database_options(options));
    if (!database) return tl::unexpected(database.error());
    if (Status named = (*database)->write_identity(mark.log_id); !named)
      return named;
  }
  std::filesystem::rename(unfinished, layout.database(), error);
  if (error)
    return fail(Errc::io, "cannot rename " + unfinished.string() + ": " +
                              error.message());
  return sync_directory(layout.directory);
}

// Proves everything while nothing can be changed yet.
Status prove(const Layout& layout, const LogOptions& options,
             const Mark& mark) {
  auto database = Database::open(layout.database(), Access::read_only,
                                 database_options(options));
  if (!database) {
    Error error = with_acknowledged(std::move(database.error()), mark);
    error.text += "; nothing was changed: restore the newest whole copy of " +
                  layout.directory.string();
    return tl::unexpected(std::move(error));
  }
  const auto log_id = (*database)->read_identity();
  if (!log_id) return tl::unexpected(log_id.error());
  if (*log_id != mark.log_id)
    return fail(Errc::damaged, "the database in " + layout.directory.string() +
                                   " is not the one its head mark belongs to");
  (*database)->set_archives(ArchiveSet::list(layout.archive(), mark.log_id));
  const auto head = verify_head(**database, mark, layout.directory);
  if (!head) return tl::unexpected(head.error());
  return {};
}

Expected<std::shared_ptr<Database>> open_proved(const Layout& layout,
                                                const LogOptions& options,
                                                const Mark& mark) {
  if (!database_exists(layout))
    if (Status made = make_database(layout, options, mark); !made)
      return tl::unexpected(made.error());
  if (Status proved = prove(layout, options, mark); !proved)
    return tl::unexpected(proved.error());
  const auto open = [&] {
    return Database::open(layout.database(), Access::read_write,
                          database_options(options));
  };
  auto database = open();
  if (database || database.error().code != Errc::no_space) return database;
  // Opening writes, so a full disk takes the reserve here, too.
  std::error_code ignored;
  return std::filesystem::remove(layout.reserve(), ignored)
             ? open()
             : std::move(database);
}

}  // namespace

Expected<OpenedLog> open_log(const LogOptions& options) {
  auto layout = find_or_make(options);
  if (!layout) return tl::unexpected(layout.error());
  auto owner = Owner::take(layout->owner());
  if (!owner) return tl::unexpected(owner.error());
  std::error_code ignored;
  if (!std::filesystem::exists(layout->head_mark(), ignored))
    if (Status made = make_mark(*layout, options); !made)
      return tl::unexpected(made.error());
  auto mark = HeadMark::open(layout->head_mark());
  if (!mark) return tl::unexpected(mark.error());
  if (!options.importing &&
      std::filesystem::exists(layout->importing(), ignored))
    return fail(Errc::damaged, unfinished_import_text(*layout));
  auto database = open_proved(*layout, options, mark->mark());
  if (!database) return tl::unexpected(database.error());
  const auto head = last_head(**database);
  if (!head) return tl::unexpected(head.error());
  if (Status exact = mark->write_both(*head); !exact)
    return tl::unexpected(exact.error());
  (*database)->set_archives(
      ArchiveSet::list(layout->archive(), mark->mark().log_id));
  (*database)->owner = std::move(*owner);
  return OpenedLog{std::move(*layout), std::move(*database), std::move(*mark),
                   *head};
}

}  // namespace reeve::store
