#include "worker/machine_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace modlab {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number at the beginning of a file; kUnlimited for another text ("max") or no file.
int64_t ReadLimit(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  int64_t bytes = 0;
  return file >> word && absl::SimpleAtoi(word, &bytes) && bytes > 0 ? bytes : kUnlimited;
}

// MemTotal, in bytes.
int64_t Installed(const std::string& root) {
  std::ifstream info(root + "/proc/meminfo");
  std::string word;
  int64_t kilobytes = 0;
  while (info >> word) {
    if (word == "MemTotal:") return info >> kilobytes ? kilobytes * 1024 : 0;
  }
  return 0;
}

}  // namespace

int64_t SlotMemoryBytes(int64_t memory_bytes, int slots) { return memory_bytes / slots / 5 * 4; }

int64_t MachineMemoryBytes(const std::string& root) {
  int64_t bytes = Installed(root);
  if (bytes == 0) return 0;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // "0::/path", or "9:memory:/path" of version 1.
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || (!parts[1].empty() && parts[1] != "memory")) continue;
    const std::string mount = root + "/sys/fs/cgroup" + (parts[1].empty() ? "" : "/memory");
    const std::string file = parts[1].empty() ? "/memory.max" : "/memory.limit_in_bytes";
    // The group's own limit, and that of every group around it.
    for (std::string group = parts[2];; group.resize(group.rfind('/'))) {
      bytes = std::min(bytes, ReadLimit(mount + group + file));
      if (group.rfind('/') == std::string::npos) break;
    }
  }
  return bytes;
}

}  // namespace modlab
