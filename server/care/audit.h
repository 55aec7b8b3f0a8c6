// The audit: proves from the store that all is there, once, and unharmed.
//
// It reads one consistent snapshot on connections of its own, which blocks nobody, and
// changes nothing. The snapshot ends before artifacts' files are read; one that is removed
// meanwhile is no finding. What it looks for:
//
//   broken_page, broken_reference   the database file itself, and rows that refer to none
//   bad_spec, missing_job, extra_job, doubled_config    sweeps and their jobs
//   doubled_job, orphan_job         two jobs of one config without force; one of no sweep
//   bad_config                      a job whose key is not its config's
//   curve_gap, curve_extra, bad_point, missing_metric, bad_metric, bad_activation
//   missing_result, unexpected_result, bad_best
//   bad_events, bad_checkpoint, bad_progress
//   bad_reference, bad_reference_count, bad_artifact, orphan_artifact
//   unreadable                      what could not be read, and was left out
//
// and, as no damage: unfinished_job, failed_job, cancelled_job.
//
// Jobs that were made when modlab recorded no events are not asked for them. Artifacts
// that no job refers to are no finding: they are about to be removed.

#ifndef MODLAB_SERVER_CARE_AUDIT_H_
#define MODLAB_SERVER_CARE_AUDIT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/care/findings.h"
#include "server/store/artifacts.h"

namespace modlab {

struct AuditOptions {
  // Id or name; empty: the whole store, and the integrity of the file.
  std::string sweep;
  // Whether to read every artifact; else only their presence and size are checked.
  bool checksums = true;
  // How long `tell` may take in all: the snapshot keeps the store's log from being emptied.
  absl::Duration patience = absl::Minutes(2);
};

// Thread-safe; any number at a time. NOT_FOUND: the sweep; CANCELLED: `tell` returned
// false, or took too long; FAILED_PRECONDITION: the store has another schema than this version.
absl::Status Audit(const std::string& data_dir, const Artifacts& artifacts,
                   const AuditOptions& options, const Findings::Tell& tell);

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_AUDIT_H_
