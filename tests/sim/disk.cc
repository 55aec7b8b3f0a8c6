#include "tests/sim/disk.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace modlab {
namespace sim {

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

// -- files -------------------------------------------------------------------

Disk::FilePtr Disk::Find(const std::string& path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second;
}

Disk::FilePtr Disk::Create(const std::string& path, int* error) {
  *error = 0;
  if (FilePtr file = Find(path); file != nullptr) {
    if (crashed_) *error = EIO;
    return crashed_ ? nullptr : file;
  }
  if (!Begin()) {
    *error = EIO;
    return nullptr;
  }
  const FilePtr file = std::make_shared<File>();
  SetName(path, file);
  return file;
}

int Disk::Read(const File& file, size_t offset, size_t size, std::string* data) {
  data->clear();
  if (crashed_) return EIO;
  if (luck_.read_error > 0 && random_.Chance(luck_.read_error)) {
    ++counts_.read_errors;
    return EIO;
  }
  if (offset < file.content_.size()) data->assign(file.content_, offset, size);
  return 0;
}

int Disk::Write(File* file, size_t offset, absl::string_view data) {
  // A crash in the middle leaves some first sectors.
  const bool was_alive = !crashed_;
  if (!Begin()) {
    const size_t sectors = data.size() / kSectorBytes;
    if (was_alive && sectors > 0) {
      const size_t kept = static_cast<size_t>(random_.Below(sectors + 1)) * kSectorBytes;
      if (kept > 0) Alter(file, {false, offset, std::string(data.substr(0, kept))});
    }
    return EIO;
  }
  if (luck_.write_error > 0 && random_.Chance(luck_.write_error)) {
    ++counts_.write_errors;
    return EIO;
  }
  const size_t end = offset + data.size();
  if (luck_.bytes_max != INT64_MAX && end > file->content_.size() &&
      bytes() + static_cast<int64_t>(end - file->content_.size()) > luck_.bytes_max) {
    ++counts_.full;
    return ENOSPC;
  }
  Alter(file, {false, offset, std::string(data)});
  return 0;
}

int Disk::Truncate(File* file, size_t size) {
  if (!Begin()) return EIO;
  Alter(file, {true, size, std::string()});
  return 0;
}

int Disk::Sync(File* file) {
  if (!Begin()) return EIO;
  if (luck_.forgets_syncs) return 0;
  if (luck_.sync_error > 0 && random_.Chance(luck_.sync_error)) {
    ++counts_.sync_errors;
    // As Linux does it: some got there, and the rest is not tried again.
    for (const File::Change& change : file->changes_) {
      if (random_.Chance(0.5)) Apply(change, &file->synced_);
    }
    file->changes_.clear();
    return EIO;
  }
  for (const File::Change& change : file->changes_) Apply(change, &file->synced_);
  file->changes_.clear();
  SyncRemovals();
  return 0;
}

void Disk::SyncRemovals() {
  for (const std::string& path : removed_) {
    synced_names_.erase(path);
    std::vector<NameChange>& changes = name_changes_[DirectoryOf(path)];
    changes.erase(std::remove_if(changes.begin(), changes.end(),
                                 [&](const NameChange& change) { return change.path == path; }),
                  changes.end());
  }
  removed_.clear();
}

int Disk::SyncDirectory(const std::string& directory) {
  if (!Begin()) return EIO;
  if (luck_.forgets_syncs) return 0;
  if (luck_.sync_error > 0 && random_.Chance(luck_.sync_error)) {
    ++counts_.sync_errors;
    return EIO;
  }
  for (const NameChange& change : name_changes_[directory]) {
    if (change.file == nullptr) {
      synced_names_.erase(change.path);
    } else {
      synced_names_[change.path] = change.file;
    }
  }
  name_changes_.erase(directory);
  return 0;
}

int Disk::Rename(const std::string& from, const std::string& to) {
  const FilePtr file = Find(from);
  if (file == nullptr) return crashed_ ? EIO : ENOENT;
  if (!Begin()) return EIO;
  SetName(to, file);
  SetName(from, nullptr);
  return 0;
}

int Disk::Remove(const std::string& path) {
  if (Find(path) == nullptr) return crashed_ ? EIO : ENOENT;
  if (!Begin()) return EIO;
  SetName(path, nullptr);
  removed_.insert(path);
  return 0;
}

std::vector<std::string> Disk::List(const std::string& prefix) const {
  std::vector<std::string> paths;
  for (auto it = names_.lower_bound(prefix);
       it != names_.end() && it->first.compare(0, prefix.size(), prefix) == 0; ++it) {
    paths.push_back(it->first);
  }
  return paths;
}

bool Disk::Begin() {
  if (crashed_) return false;
  if (operations_left_ == 0) {
    operations_left_ = -1;
    crashed_ = true;
    return false;
  }
  if (operations_left_ > 0) --operations_left_;
  ++counts_.operations;
  return true;
}

void Disk::Apply(const File::Change& change, std::string* content) {
  if (change.truncates) {
    content->resize(change.offset, '\0');
    return;
  }
  const size_t end = change.offset + change.data.size();
  if (end > content->size()) content->resize(end, '\0');
  content->replace(change.offset, change.data.size(), change.data);
}

void Disk::Alter(File* file, File::Change change) {
  Apply(change, &file->content_);
  file->changes_.push_back(std::move(change));
}

void Disk::SetName(const std::string& path, FilePtr file) {
  removed_.erase(path);
  if (file == nullptr) {
    names_.erase(path);
  } else {
    names_[path] = file;
  }
  name_changes_[DirectoryOf(path)].push_back({path, std::move(file)});
}

int64_t Disk::bytes() const {
  int64_t bytes = 0;
  for (const auto& [path, file] : names_) bytes += static_cast<int64_t>(file->content_.size());
  return bytes;
}

// -- faults --------------------------------------------------------------------

void Disk::LosePower(File* file) {
  std::string content = std::move(file->synced_);
  // All, none, or any sectors.
  const double kept = random_.Chance(0.25) ? 1.0 : random_.Chance(0.3) ? 0.0 : 0.6;
  for (const File::Change& change : file->changes_) {
    if (change.truncates) {
      if (random_.Chance(kept)) Apply(change, &content);
      continue;
    }
    for (size_t begin = 0; begin < change.data.size();) {
      const size_t sector_end = ((change.offset + begin) / kSectorBytes + 1) * kSectorBytes;
      const size_t size = std::min(change.data.size() - begin, sector_end - change.offset - begin);
      if (random_.Chance(kept)) {
        Apply({false, change.offset + begin, change.data.substr(begin, size)}, &content);
      }
      begin += size;
    }
  }
  file->content_ = std::move(content);
}

void Disk::Restart(bool power_was_cut) {
  ++(power_was_cut ? counts_.power_cuts : counts_.kills);
  if (power_was_cut) {
    std::map<std::string, FilePtr> names = synced_names_;
    for (const auto& [directory, changes] : name_changes_) {
      const size_t kept = static_cast<size_t>(random_.Below(changes.size() + 1));
      for (size_t i = 0; i < kept; ++i) {
        if (changes[i].file == nullptr) {
          names.erase(changes[i].path);
        } else {
          names[changes[i].path] = changes[i].file;
        }
      }
    }
    names_ = std::move(names);
    synced_names_ = names_;
    name_changes_.clear();
    removed_.clear();
    std::set<File*> settled;
    for (const auto& [path, file] : names_) {
      if (!settled.insert(file.get()).second) continue;
      LosePower(file.get());
      file->synced_ = file->content_;
      file->changes_.clear();
    }
  }
  crashed_ = false;
  operations_left_ = -1;
  ++generation_;
}

}  // namespace sim
}  // namespace modlab
