#include "tests/sim/vfs.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/string_view.h"

namespace modlab {
namespace sim {

namespace {

// An open file. SQLite gives the memory; `base` comes first.
struct Handle {
  sqlite3_file base;
  Vfs* vfs;
  Disk::FilePtr file;
  std::string path;  // "" for a temporary file
  Vfs::Sharing* sharing;
  int generation;
  int level;  // SQLITE_LOCK_...
  bool is_attached;
  bool syncs_directory;
  bool is_deleted_on_close;
  unsigned shm_shared;  // a bit a lock
  unsigned shm_exclusive;

  bool alive() const { return generation == vfs->disk()->generation() && !vfs->disk()->crashed(); }
};

Handle* Of(sqlite3_file* file) { return reinterpret_cast<Handle*>(file); }
Vfs* Of(sqlite3_vfs* vfs) { return static_cast<Vfs*>(vfs->pAppData); }

int Failed(Vfs* vfs, int error, int code) {
  vfs->last_errno = error;
  return error == ENOSPC ? SQLITE_FULL : code;
}

// -- a file --------------------------------------------------------------------

int Read(sqlite3_file* base, void* out, int size, sqlite3_int64 offset) {
  Handle* const handle = Of(base);
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_READ);
  std::string data;
  const int error = handle->vfs->disk()->Read(*handle->file, static_cast<size_t>(offset),
                                              static_cast<size_t>(size), &data);
  if (error != 0) return Failed(handle->vfs, error, SQLITE_IOERR_READ);
  std::memcpy(out, data.data(), data.size());
  if (data.size() == static_cast<size_t>(size)) return SQLITE_OK;
  std::memset(static_cast<char*>(out) + data.size(), 0, static_cast<size_t>(size) - data.size());
  return SQLITE_IOERR_SHORT_READ;
}

int Write(sqlite3_file* base, const void* data, int size, sqlite3_int64 offset) {
  Handle* const handle = Of(base);
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_WRITE);
  const int error = handle->vfs->disk()->Write(
      handle->file.get(), static_cast<size_t>(offset),
      absl::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
  return error == 0 ? SQLITE_OK : Failed(handle->vfs, error, SQLITE_IOERR_WRITE);
}

int Truncate(sqlite3_file* base, sqlite3_int64 size) {
  Handle* const handle = Of(base);
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_TRUNCATE);
  const int error = handle->vfs->disk()->Truncate(handle->file.get(), static_cast<size_t>(size));
  return error == 0 ? SQLITE_OK : Failed(handle->vfs, error, SQLITE_IOERR_TRUNCATE);
}

int Sync(sqlite3_file* base, int) {
  Handle* const handle = Of(base);
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_FSYNC);
  Disk* const disk = handle->vfs->disk();
  int error = disk->Sync(handle->file.get());
  if (error == 0 && handle->syncs_directory) {
    error = disk->SyncDirectory(DirectoryOf(handle->path));
    handle->syncs_directory = error != 0;
  }
  return error == 0 ? SQLITE_OK : Failed(handle->vfs, error, SQLITE_IOERR_FSYNC);
}

int FileSize(sqlite3_file* base, sqlite3_int64* size) {
  Handle* const handle = Of(base);
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_FSTAT);
  *size = static_cast<sqlite3_int64>(handle->file->content().size());
  return SQLITE_OK;
}

int Lock(sqlite3_file* base, int level) {
  Handle* const handle = Of(base);
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_LOCK);
  Vfs::Sharing* const sharing = handle->sharing;
  const auto others = [handle](const void* owner) { return owner != nullptr && owner != handle; };
  while (handle->level < level) {
    switch (handle->level) {
      case SQLITE_LOCK_NONE:
        if (others(sharing->pending) || others(sharing->exclusive)) return SQLITE_BUSY;
        ++sharing->shared;
        handle->level = SQLITE_LOCK_SHARED;
        break;
      case SQLITE_LOCK_SHARED:
        // From here to EXCLUSIVE one may go without RESERVED, as in recovery.
        if (level == SQLITE_LOCK_EXCLUSIVE) {
          if (others(sharing->pending) || others(sharing->reserved)) return SQLITE_BUSY;
          sharing->pending = handle;
          handle->level = SQLITE_LOCK_PENDING;
          break;
        }
        if (others(sharing->reserved)) return SQLITE_BUSY;
        sharing->reserved = handle;
        handle->level = SQLITE_LOCK_RESERVED;
        break;
      case SQLITE_LOCK_RESERVED:
        if (others(sharing->pending)) return SQLITE_BUSY;
        sharing->pending = handle;
        handle->level = SQLITE_LOCK_PENDING;
        break;
      default:
        if (sharing->shared > 1) return SQLITE_BUSY;
        sharing->exclusive = handle;
        handle->level = SQLITE_LOCK_EXCLUSIVE;
    }
  }
  return SQLITE_OK;
}

int Unlock(sqlite3_file* base, int level) {
  Handle* const handle = Of(base);
  if (handle->level <= level) return SQLITE_OK;
  if (handle->generation != handle->vfs->disk()->generation()) return SQLITE_OK;
  Vfs::Sharing* const sharing = handle->sharing;
  if (sharing->exclusive == handle) sharing->exclusive = nullptr;
  if (sharing->pending == handle) sharing->pending = nullptr;
  if (sharing->reserved == handle) sharing->reserved = nullptr;
  if (level == SQLITE_LOCK_NONE && handle->level >= SQLITE_LOCK_SHARED) --sharing->shared;
  handle->level = level;
  return SQLITE_OK;
}

int CheckReservedLock(sqlite3_file* base, int* result) {
  Handle* const handle = Of(base);
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_CHECKRESERVEDLOCK);
  *result = handle->sharing->reserved != nullptr ? 1 : 0;
  return SQLITE_OK;
}

int FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int SectorSize(sqlite3_file*) { return 4096; }
// A write changes no byte beside it: what the Unix VFS says too.
int DeviceCharacteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

// -- shared memory ---------------------------------------------------------------

int ShmMap(sqlite3_file* base, int region, int size, int extend, void volatile** memory) {
  Handle* const handle = Of(base);
  *memory = nullptr;
  if (!handle->alive()) return Failed(handle->vfs, EIO, SQLITE_IOERR_SHMMAP);
  Vfs::Sharing* const sharing = handle->sharing;
  if (!handle->is_attached) ++sharing->attached;
  handle->is_attached = true;
  while (sharing->regions.size() <= static_cast<size_t>(region)) {
    if (extend == 0) return SQLITE_OK;
    sharing->regions.push_back(std::make_unique<char[]>(static_cast<size_t>(size)));
  }
  *memory = sharing->regions[static_cast<size_t>(region)].get();
  return SQLITE_OK;
}

int ShmLock(sqlite3_file* base, int first, int count, int flags) {
  Handle* const handle = Of(base);
  const bool is_stale = handle->generation != handle->vfs->disk()->generation();
  if (is_stale) return (flags & SQLITE_SHM_UNLOCK) != 0 ? SQLITE_OK : SQLITE_IOERR_SHMLOCK;
  Vfs::Sharing* const sharing = handle->sharing;
  for (int i = first; i < first + count && (flags & SQLITE_SHM_LOCK) != 0; ++i) {
    const bool mine = (handle->shm_shared >> i & 1) != 0;
    const int other_readers = sharing->shm_shared[i] - (mine ? 1 : 0);
    const void* const owner = sharing->shm_exclusive[i];
    if (owner != nullptr && owner != handle) return SQLITE_BUSY;
    if ((flags & SQLITE_SHM_EXCLUSIVE) != 0 && other_readers > 0) return SQLITE_BUSY;
  }
  for (int i = first; i < first + count; ++i) {
    const unsigned bit = 1u << i;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
      if ((handle->shm_shared & bit) != 0) --sharing->shm_shared[i];
      if ((handle->shm_exclusive & bit) != 0) sharing->shm_exclusive[i] = nullptr;
      handle->shm_shared &= ~bit;
      handle->shm_exclusive &= ~bit;
    } else if ((flags & SQLITE_SHM_SHARED) != 0) {
      if ((handle->shm_shared & bit) == 0) ++sharing->shm_shared[i];
      handle->shm_shared |= bit;
    } else {
      sharing->shm_exclusive[i] = handle;
      handle->shm_exclusive |= bit;
    }
  }
  return SQLITE_OK;
}

void ShmBarrier(sqlite3_file*) {}

int ShmUnmap(sqlite3_file* base, int) {
  Handle* const handle = Of(base);
  if (!handle->is_attached) return SQLITE_OK;
  handle->is_attached = false;
  if (handle->generation != handle->vfs->disk()->generation()) return SQLITE_OK;
  ShmLock(base, 0, Vfs::kShmLocks, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
  if (--handle->sharing->attached == 0) handle->sharing->regions.clear();
  return SQLITE_OK;
}

int Close(sqlite3_file* base) {
  Handle* const handle = Of(base);
  ShmUnmap(base, 0);
  Unlock(base, SQLITE_LOCK_NONE);
  if (handle->is_deleted_on_close && !handle->path.empty() && handle->alive()) {
    handle->vfs->disk()->Remove(handle->path);
  }
  handle->~Handle();
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    2,
    Close,
    Read,
    Write,
    Truncate,
    Sync,
    FileSize,
    Lock,
    Unlock,
    CheckReservedLock,
    FileControl,
    SectorSize,
    DeviceCharacteristics,
    ShmMap,
    ShmLock,
    ShmBarrier,
    ShmUnmap,
    nullptr,
    nullptr,
};

// -- the file system -----------------------------------------------------------

int Open(sqlite3_vfs* base, const char* name, sqlite3_file* out, int flags, int* out_flags) {
  Vfs* const vfs = Of(base);
  out->pMethods = nullptr;
  const std::string path = name == nullptr ? std::string() : std::string(name);
  Disk* const disk = vfs->disk();
  if (disk->crashed()) return Failed(vfs, EIO, SQLITE_CANTOPEN);
  Disk::FilePtr file = path.empty() ? Disk::CreateTemporary() : disk->Find(path);
  if (file == nullptr) {
    if ((flags & SQLITE_OPEN_CREATE) == 0) return Failed(vfs, ENOENT, SQLITE_CANTOPEN);
    int error = 0;
    file = disk->Create(path, &error);
    if (error != 0) return Failed(vfs, error, SQLITE_CANTOPEN);
  }
  Handle* const handle = new (out) Handle();
  handle->vfs = vfs;
  // SQLite locks no temporary file.
  handle->sharing = path.empty() ? nullptr : vfs->SharingOf(file);
  handle->file = std::move(file);
  handle->path = path;
  handle->generation = disk->generation();
  handle->syncs_directory = (flags & SQLITE_OPEN_CREATE) != 0 &&
                            (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  handle->is_deleted_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  handle->base.pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int Delete(sqlite3_vfs* base, const char* name, int sync_directory) {
  Vfs* const vfs = Of(base);
  const std::string path(name);
  int error = vfs->disk()->Remove(path);
  if (error == ENOENT) return SQLITE_IOERR_DELETE_NOENT;
  if (error == 0 && sync_directory != 0) error = vfs->disk()->SyncDirectory(DirectoryOf(path));
  return error == 0 ? SQLITE_OK : Failed(vfs, error, SQLITE_IOERR_DELETE);
}

int Access(sqlite3_vfs* base, const char* name, int flags, int* result) {
  if (Of(base)->disk()->crashed()) return Failed(Of(base), EIO, SQLITE_IOERR_ACCESS);
  const Disk::FilePtr file = Of(base)->disk()->Find(std::string(name));
  const bool is_there = file != nullptr;
  // As the Unix VFS: an empty file is none.
  *result = is_there && (flags != SQLITE_ACCESS_EXISTS || !file->content().empty()) ? 1 : 0;
  return SQLITE_OK;
}

int FullPathname(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

int Randomness(sqlite3_vfs* base, int size, char* out) {
  for (int i = 0; i < size; ++i) out[i] = static_cast<char>(Of(base)->random().Below(256));
  return size;
}

// Nobody else runs meanwhile.
int Sleep(sqlite3_vfs*, int microseconds) { return microseconds; }

int CurrentTime(sqlite3_vfs*, sqlite3_int64* milliseconds) {
  *milliseconds = 210'866'803'200'000;  // of the Julian calendar: the year 1970
  return SQLITE_OK;
}

int GetLastError(sqlite3_vfs* base, int, char*) { return Of(base)->last_errno; }

}  // namespace

Vfs::Vfs(Disk* disk, uint64_t seed)
    : disk_(disk), random_(seed), vfs_(std::make_unique<sqlite3_vfs>()) {
  vfs_->iVersion = 2;
  vfs_->szOsFile = sizeof(Handle);
  vfs_->mxPathname = 512;
  vfs_->zName = kName;
  vfs_->pAppData = this;
  vfs_->xOpen = Open;
  vfs_->xDelete = Delete;
  vfs_->xAccess = Access;
  vfs_->xFullPathname = FullPathname;
  vfs_->xRandomness = Randomness;
  vfs_->xSleep = Sleep;
  vfs_->xGetLastError = GetLastError;
  vfs_->xCurrentTimeInt64 = CurrentTime;
  sqlite3_initialize();
  sqlite3_vfs_register(vfs_.get(), 1);
  sqlite3_randomness(0, nullptr);  // its state begins anew
}

Vfs::~Vfs() { sqlite3_vfs_unregister(vfs_.get()); }

Vfs::Sharing* Vfs::SharingOf(const Disk::FilePtr& file) {
  if (generation_ != disk_->generation()) sharings_.clear();
  generation_ = disk_->generation();
  return &sharings_[file];
}

}  // namespace sim
}  // namespace modlab
