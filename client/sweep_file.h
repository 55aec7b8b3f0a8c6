// Sweep files: YAML that says which experiments to run.
//
//     name: quickstart                  # required; see below
//     defaults:                         # a map of JobConfig fields, one value each
//       architecture: mlp
//       target: regression
//       encoder_dim: 32
//     grid:                             # a map, or a list of maps
//       model: [monolithic, gt_modular]
//       rules: [2, 4, 8]
//       data_seed: {from: 0, to: 4}
//
// Keys of the file:
//   name      Required. 1..63 characters: lower-case letters, digits, '-' and
//             '_', starting with a letter, ending with a letter or digit.
//             Submitting a name again makes the next sweep of that name:
//             quickstart-1, quickstart-2, ...
//   defaults  Optional. What all jobs share: field: value.
//   grid      Optional; without it the sweep is one job, `defaults`.
//             One map of field: values makes one job for each combination of
//             them (the last field varies fastest). A list of such maps, at
//             most 1,000, puts their jobs one after the other. A field that is
//             also in `defaults` takes the grid's value. A config that occurs
//             twice is one job.
//   priority, max_running, preempt, requires
//             Optional. How the jobs are given to workers (SweepPolicy of
//             proto/modlab/v1/sweep.proto); nothing here changes a result.
//               priority     -1000..1000; default 0. Higher ones come first.
//               max_running  jobs that run at a time, at most; default 0, no limit.
//               preempt      true or false (default): makes sweeps of a lower
//                            priority hand back their checkpoints to get room.
//               requires     a map: device (cpu or cuda), memory_gib (that a slot may
//                            use, at least: four fifths of the worker's memory, divided
//                            by its slots), labels (a list; the worker has all of them).
//
// Values of a field in a grid are one of
//   8                            a single value
//   [2, 4, 8]                    a list, at least one
//   {from: 0, to: 4, step: 1}    a range of numbers: from, from + step, ... up
//                                to and including `to` where the steps meet it.
//                                `step` is above 0 and may be left out (1).
//                                Numbers may be decimal: {from: 0.1, to: 0.3,
//                                step: 0.1} is 0.1, 0.2, 0.3.
//
// Fields (JobConfig of proto/modlab/v1/job.proto, which says more). A field "only
// for" some jobs may not be set for others; where architectures differ in it, give
// each a map of its own in the grid.
//   architecture        mlp, mha, rnn. Required, in defaults or grid.
//   target              regression, classification. Required.
//   model               monolithic, modular, modular_op, gt_modular. Required.
//   rules               R, the number of rules; 2..256. Required.
//   data_seed           chooses the task; 0..4294967295; default 0.
//   model_seed          chooses initial weights and samples; 0..4294967295;
//                       default 0.
//   search_version      1 (default): tokens find each other by the nearest number;
//                       2: by the largest inner product. Only for mha.
//   sequence_length     N, tokens (mha; 2..200) or steps (rnn; 1..200) of a training
//                       sequence; default 10. Only for mha and rnn.
//   input_dim           q, numbers in an input; 1..1024; default 32. Only for rnn.
//   order               o, earlier states that a state depends on; 1..16;
//                       default 1. Only for rnn.
//   modules             M; 1..256; default: rules, for monolithic 1.
//   encoder_dim         e, width of encoders and decoder; 1..8192; default 32.
//   model_dim           mlp: D, hidden width, divisible by modules; mha: A, attention
//                       width, divisible by modules * heads; rnn: D, width of the
//                       monolithic LSTM; 1..65536; default 128.
//   heads               H, attention heads a module; 1..512; default 2, for
//                       monolithic 2 * rules. Only for mha.
//   scorer              joint (default) or separate; only for mlp with model: modular.
//   iterations          Adam steps; 1..100000000; default 100000 for mlp, 500000
//                       for mha and rnn.
//   batch_size          samples a step; 1..65536; default 256.
//   learning_rate       above 0, at most 10; default 1e-4.
//   halve_learning_rate_every
//                       iterations after which it is halved, again and again;
//                       0 (never) to 100000000; default 0.
//   halve_learning_rate_times
//                       halvings at most; 1..64; default 3. Only where the field
//                       above is above 0.
//   eval_interval       iterations between points of curves; 1..100000000;
//                       default 5000.
//   eval_batches        batches that a point is measured on; 1..10000; default 10.
//   validation_batches  batches at a point that choose the best checkpoint; 0 (keep
//                       none) to 10000; default 10.
//   final_batches       batches of the final evaluation; 1..100000; default 100.
//   final_batch_size    their size; 1..65536; default 1000.
//   activation_batches  batches that estimate the activation matrix; 1..100000;
//                       default 1000.
//   activation_batch_size
//                       their size; 1..65536; default 100 for rnn, else
//                       final_batch_size.
//   adaptation_draws    rule distributions behind `adaptation`; 1..10000;
//                       default 100.
//   adaptation_batches  batches for each of them; 1..10000; default 10.
//
// Limits: a file has at most 1 MiB and one document, asks for at most 1,000,000
// jobs, and lists at most 1,000,000 values (a range counts as its values).
// Anchors and aliases work. Merge keys (<<) and other tags mean nothing here.

#ifndef MODLAB_CLIENT_SWEEP_FILE_H_
#define MODLAB_CLIENT_SWEEP_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "modlab/v1/job.pb.h"
#include "modlab/v1/sweep.pb.h"

namespace modlab {

struct SweepFile {
  v1::SweepSpec spec;
  v1::SweepPolicy policy;
  // Canonical, in the order of the spec, each once.
  std::vector<v1::JobConfig> jobs;
};

// Reads and checks everything that the coordinator would check, so that a bad
// file is refused before anything is started. Errors read "FILE:LINE:COLUMN:
// what is wrong and what would be right" (the place only where there is one):
// NOT_FOUND for a file that is not there, else INVALID_ARGUMENT or
// RESOURCE_EXHAUSTED. Thread-safe.
absl::StatusOr<SweepFile> ReadSweepFile(const std::string& path);

// The same from text; `path` is for messages.
absl::StatusOr<SweepFile> ParseSweep(absl::string_view text, const std::string& path);

}  // namespace modlab

#endif  // MODLAB_CLIENT_SWEEP_FILE_H_
