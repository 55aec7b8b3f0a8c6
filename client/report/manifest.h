// The list of files that a report wrote into its directory of pictures and numbers,
// by which the next one there knows what it may remove.
//
// Thread-safe for different directories.

#ifndef MODLAB_CLIENT_REPORT_MANIFEST_H_
#define MODLAB_CLIENT_REPORT_MANIFEST_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"

namespace modlab {

inline constexpr char kManifestName[] = "report-files.sha256";

// Names of files, and lower-case hex SHA-256 of their content.
using Manifest = std::map<std::string, std::string>;

// As `sha256sum -c` reads it, after a line that says what it is.
std::string ManifestText(const Manifest& manifest);

// Removes the files in `directory` that its manifest lists and `now` does not. Only
// .svg and .csv files whose content is still what was listed: a link, or what somebody
// has changed since, stays. Without a manifest nothing is removed. Calls `say` with a
// sentence for each such file. INTERNAL: one cannot be removed.
absl::Status RemoveStale(const std::string& directory, const Manifest& now,
                         const std::function<void(const std::string&)>& say);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_MANIFEST_H_
