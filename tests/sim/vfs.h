// SQLite on a simulated disk: a VFS that keeps its files on a Disk.
//
// Locks and shared memory work between the connections of one process, so that
// WAL with a writer and readers does, as SQLite's own Unix VFS would: the same
// device characteristics, directories synced with a new journal or log, and
// deletions synced as asked. Connections opened before a restart of the disk are
// dead: all that they try fails.

#ifndef MODLAB_TESTS_SIM_VFS_H_
#define MODLAB_TESTS_SIM_VFS_H_

#include <sqlite3.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/disk.h"

namespace modlab {
namespace sim {

// While it lives, its VFS is SQLite's default, which SQLite also asks for
// randomness: one lives at a time. Not thread-safe.
class Vfs {
 public:
  static constexpr char kName[] = "modlab-sim";

  // `disk` must outlive it; connections must not.
  explicit Vfs(Disk* disk, uint64_t seed);
  ~Vfs();
  Vfs(const Vfs&) = delete;
  Vfs& operator=(const Vfs&) = delete;

  // -- for the functions that SQLite calls -------------------------------------

  static constexpr int kShmLocks = SQLITE_SHM_NLOCK;

  // What the connections to one file share.
  struct Sharing {
    // Of the file itself: how many read it, and who is about to write it.
    int shared = 0;
    const void* reserved = nullptr;
    const void* pending = nullptr;
    const void* exclusive = nullptr;
    // The log's index.
    std::vector<std::unique_ptr<char[]>> regions;
    int attached = 0;
    int shm_shared[kShmLocks] = {};
    const void* shm_exclusive[kShmLocks] = {};
  };

  Disk* disk() { return disk_; }
  // Of this life of the disk.
  Sharing* SharingOf(const Disk::FilePtr& file);
  Random& random() { return random_; }
  int last_errno = 0;

 private:
  Disk* const disk_;
  Random random_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  int generation_ = 0;
  std::map<Disk::FilePtr, Sharing> sharings_;
};

}  // namespace sim
}  // namespace modlab

#endif  // MODLAB_TESTS_SIM_VFS_H_
