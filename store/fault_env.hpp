// A file system for tests whose n-th sync fails, and which can then lose what
// was not synced, as a machine without power does.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace reeve::store::test {

struct Faults {
  // The sync, counted from 1 over all files, that fails; so do all later
  // ones. 0 is never.
  std::atomic<std::uint64_t> failing_sync = 0;
  std::atomic<std::uint64_t> syncs = 0;

  std::mutex mutex;
  std::map<std::string, std::uint64_t> synced_bytes;  // by file name

  bool sync_fails() {
    const std::uint64_t number = ++syncs;
    const std::uint64_t failing = failing_sync;
    return failing != 0 && number >= failing;
  }

  // Cuts every file that is still there to what was synced.
  void lose_unsynced() {
    const std::lock_guard guard(mutex);
    for (const auto& [name, bytes] : synced_bytes) {
      std::error_code gone;
      if (std::filesystem::file_size(name, gone) > bytes && !gone)
        std::filesystem::resize_file(name, bytes);
    }
  }
};

class FaultFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string name,
            Faults& faults)
      : FSWritableFileOwnerWrapper(std::move(file)),
        name_(std::move(name)),
        faults_(faults) {
    note_synced(0);
  }
  using FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data,
                           const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* context) override {
    written_bytes_ += data.size();
    return FSWritableFileOwnerWrapper::Append(data, options, context);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* context) override {
    if (faults_.sync_fails()) return rocksdb::IOStatus::IOError("injected");
    // RocksDB may append while it syncs: that may not be on the disk.
    const std::uint64_t written = written_bytes_;
    auto status = FSWritableFileOwnerWrapper::Sync(options, context);
    if (status.ok()) note_synced(written);
    return status;
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* context) override {
    return Sync(options, context);
  }

 private:
  void note_synced(std::uint64_t bytes) {
    const std::lock_guard guard(faults_.mutex);
    faults_.synced_bytes[name_] = bytes;
  }

  std::string name_;
  Faults& faults_;
  std::atomic<std::uint64_t> written_bytes_{0};
};

class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultFileSystem(Faults& faults)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), faults_(faults) {}
  const char* Name() const override { return "FaultFileSystem"; }
  rocksdb::IOStatus NewWritableFile(
      const std::string& name, const rocksdb::FileOptions& options,
      std::unique_ptr<rocksdb::FSWritableFile>* result,
      rocksdb::IODebugContext* context) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    auto status =
        FileSystemWrapper::NewWritableFile(name, options, &file, context);
    if (status.ok())
      *result = std::make_unique<FaultFile>(std::move(file), name, faults_);
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override {
    auto status = FileSystemWrapper::RenameFile(from, to, options, context);
    const std::lock_guard guard(faults_.mutex);
    if (auto moved = faults_.synced_bytes.extract(from); status.ok() && moved)
      faults_.synced_bytes[to] = moved.mapped();
    return status;
  }

 private:
  Faults& faults_;
};

inline std::unique_ptr<rocksdb::Env> make_fault_env(Faults& faults) {
  return rocksdb::NewCompositeEnv(std::make_shared<FaultFileSystem>(faults));
}

}  // namespace reeve::store::test
