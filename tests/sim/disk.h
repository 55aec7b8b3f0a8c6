// A disk in memory that loses what a real one may lose.
//
// A file has the content that processes see, and the content that is on the
// platter; a write reaches the first at once and the second when the file is
// synced. The same holds for names in a directory. A crash of the process loses
// nothing that was written. A power cut leaves of each write since the last sync
// some sectors, in any order, and of a directory's changes some first ones. But a
// removed name stays removed once any file was synced after it: POSIX does not promise
// that, the journals of ext4 and XFS do it, and a file too many is the worst of it.
//
// Every operation that changes something counts, and the disk can be told to
// crash in the n-th from now. From then on every operation fails, until Restart():
// whoever used the disk is dead, though its destructors still run.
//
// Results are those of errno: 0, ENOSPC, EIO, ENOENT. Not thread-safe.

#ifndef MODLAB_TESTS_SIM_DISK_H_
#define MODLAB_TESTS_SIM_DISK_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/sim/random.h"

namespace modlab {
namespace sim {

class Disk {
 public:
  static constexpr size_t kSectorBytes = 512;

  class File {
   public:
    const std::string& content() const { return content_; }

   private:
    friend class Disk;
    // A write, or where `truncates` a change of size to `offset`.
    struct Change {
      bool truncates = false;
      size_t offset = 0;
      std::string data;
    };
    std::string content_;
    std::string synced_;
    std::vector<Change> changes_;  // since then
  };
  using FilePtr = std::shared_ptr<File>;

  // How often each thing was done, and each fault happened.
  struct Counts {
    int64_t operations = 0;
    int64_t kills = 0;
    int64_t power_cuts = 0;
    int64_t full = 0;
    int64_t write_errors = 0;
    int64_t sync_errors = 0;
    int64_t read_errors = 0;
  };

  // What fails, and how often. Bad luck lasts until it is set otherwise.
  struct Luck {
    double write_error = 0.0;
    double sync_error = 0.0;
    double read_error = 0.0;
    int64_t bytes_max = INT64_MAX;  // of all files together
    // A sync says that it is done and does nothing. No disk of ours may do that: it
    // shows that the simulation notices.
    bool forgets_syncs = false;
  };

  explicit Disk(uint64_t seed) : random_(seed) {}
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // -- files -----------------------------------------------------------------

  // Null: no such file.
  FilePtr Find(const std::string& path) const;
  // The file of that name, made if there is none.
  FilePtr Create(const std::string& path, int* error);
  // A file without a name.
  static FilePtr CreateTemporary() { return std::make_shared<File>(); }
  int Read(const File& file, size_t offset, size_t size, std::string* data);
  int Write(File* file, size_t offset, absl::string_view data);
  int Truncate(File* file, size_t size);
  int Sync(File* file);
  int SyncDirectory(const std::string& directory);
  int Rename(const std::string& from, const std::string& to);
  int Remove(const std::string& path);
  // Names that begin with `prefix`.
  std::vector<std::string> List(const std::string& prefix) const;
  // Of all named files.
  int64_t bytes() const;

  // -- faults ----------------------------------------------------------------

  void set_luck(const Luck& luck) { luck_ = luck; }
  const Luck& luck() const { return luck_; }
  // In the operation after `count` more, unless it crashes before.
  void CrashAfter(int64_t count) { operations_left_ = count; }
  void Crash() { crashed_ = true; }
  bool crashed() const { return crashed_; }
  // The machine is up again. Files opened before are of no use any more.
  void Restart(bool power_was_cut);
  // Changes with every Restart().
  int generation() const { return generation_; }
  const Counts& counts() const { return counts_; }

 private:
  struct NameChange {
    std::string path;
    FilePtr file;  // null: removed
  };

  // Whether the operation may go on; false where the disk crashes before it, or
  // has crashed.
  bool Begin();
  static void Apply(const File::Change& change, std::string* content);
  static void Alter(File* file, File::Change change);
  void SetName(const std::string& path, FilePtr file);
  void SyncRemovals();
  // Leaves in file->content_ what survives a power cut.
  void LosePower(File* file);

  Random random_;
  Luck luck_;
  Counts counts_;
  int64_t operations_left_ = -1;  // -1: no crash is planned
  bool crashed_ = false;
  int generation_ = 0;

  std::map<std::string, FilePtr> names_;
  std::map<std::string, FilePtr> synced_names_;
  std::map<std::string, std::vector<NameChange>> name_changes_;  // by directory
  std::set<std::string> removed_;                                // since a file was synced
};

// "a/b" of "a/b/c".
std::string DirectoryOf(const std::string& path);

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_DISK_H_
