// Questions as a hostile client might ask them of a small store: a line that names the
// call, and the text form of its request.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "modlab/v1/results.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "server/query/curves_query.h"
#include "server/query/pairs_query.h"
#include "server/query/rank_query.h"
#include "server/query/results_query.h"
#include "server/store/page_token.h"
#include "server/store/store.h"
#include "tests/fuzz/expect.h"
#include "tests/fuzz/quiet.h"
#include "tests/fuzz/scratch_store.h"

namespace {

namespace v1 = modlab::v1;

// Two sweeps of jobs in several states.
class SmallStore {
 public:
  SmallStore() {
    modlab::Store::Writer* const writer = store_.writer();
    MODLAB_EXPECT(writer->Begin().ok());
    for (const char* name : {"s", "t"}) AddSweep(name);
    MODLAB_EXPECT(writer->Commit().ok());
  }

  modlab::Store* get() { return store_.get(); }

 private:
  void AddSweep(const std::string& name) {
    v1::SweepSpec spec;
    spec.set_name(name);
    const int64_t sweep = store_.writer()->InsertSweep(spec, {}, "ada", name, 1)->number;
    for (const v1::ModelType model : {v1::MONOLITHIC, v1::MODULAR, v1::GT_MODULAR}) {
      for (int seed = 0; seed < 3; ++seed) AddJob(name, sweep, model, seed);
    }
  }

  void AddJob(const std::string& name, int64_t sweep, v1::ModelType model, int seed) {
    modlab::Store::Writer* const writer = store_.writer();
    const int64_t id =
        store_.InsertJob(name == "s" ? v1::MLP : v1::RNN, model, 2 + 2 * (seed % 2), seed);
    MODLAB_EXPECT(writer->LinkJob(sweep, id).ok());
    MODLAB_EXPECT(writer->StartAttempt(id, 1, "w", "w", "w", 2).ok());
    for (const int64_t iteration : {0, 50, 100}) {
      v1::CurvePoint point;
      point.set_iteration(iteration);
      SetMetric(v1::EVAL_LOSS, 1.0 / static_cast<double>(iteration + id), point.add_values());
      MODLAB_EXPECT(writer->AppendPoint(id, point).ok());
    }
    if (seed == 2) {
      MODLAB_EXPECT(writer->CancelJob(id, "", 3).ok());
      return;
    }
    v1::JobResult result;
    for (const v1::Metric metric : {v1::ID, v1::OOD, v1::COLLAPSE_AVG, v1::ALIGNMENT}) {
      SetMetric(metric, 0.1 * static_cast<double>(id), result.add_metrics());
    }
    MODLAB_EXPECT(writer->FinishJob(id, result, 3).ok());
  }

  static void SetMetric(v1::Metric metric, double value, v1::MetricValue* to) {
    to->set_metric(metric);
    to->set_value(value);
  }

  modlab::ScratchStore store_;
};

// What users do wrong, and never what the store does.
void ExpectAnswered(const absl::Status& status) {
  MODLAB_EXPECT(status.ok() || absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                absl::IsResourceExhausted(status));
}

template <typename Request, typename Response>
void Ask(absl::StatusOr<Response> (*query)(modlab::Store*, const Request&), modlab::Store* store,
         const std::string& text) {
  Request request;
  if (!google::protobuf::TextFormat::ParseFromString(text, &request)) return;
  const absl::StatusOr<Response> answer = query(store, request);
  ExpectAnswered(answer.status());
  if (!answer.ok()) return;
  for (const auto& row : answer->rows()) {
    MODLAB_EXPECT(row.group_size() == request.group_by_size());
  }
}

void ListSweeps(modlab::Store* store, const std::string& text) {
  v1::ListSweepsRequest request;
  if (!google::protobuf::TextFormat::ParseFromString(text, &request)) return;
  const auto answer = store->ListSweeps(request.page_size(), request.page_token());
  ExpectAnswered(answer.status());
  if (answer.ok()) MODLAB_EXPECT(answer->sweeps_size() <= modlab::kPageSizeMax);
}

void ListJobs(modlab::Store* store, const std::string& text) {
  v1::ListJobsRequest request;
  if (!google::protobuf::TextFormat::ParseFromString(text, &request)) return;
  const absl::StatusOr<int64_t> last = modlab::ParsePageToken(request.page_token());
  ExpectAnswered(last.status());
  if (!last.ok()) return;
  if (*last > 0) MODLAB_EXPECT(modlab::MakePageToken(*last) == request.page_token());
  const std::vector<v1::FieldFilter> filters(request.filters().begin(), request.filters().end());
  int64_t before = *last;
  ExpectAnswered(store->ScanJobs(request.sweep(), filters, *last, [&](const v1::Job& job) {
    MODLAB_EXPECT(job.id() > before);
    before = job.id();
    return true;
  }));
  v1::PruneRequest prune;
  prune.set_sweep(request.sweep());
  ExpectAnswered(store->PlanPrune(prune, 0).status());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  modlab::QuietProtobuf();
  static SmallStore small_store;
  modlab::Store* const store = small_store.get();
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\n');
  if (end == std::string::npos) return 0;
  const std::string call = input.substr(0, end);
  const std::string text = input.substr(end + 1);
  if (call == "results") Ask(&modlab::QueryResults, store, text);
  if (call == "curves") Ask(&modlab::QueryCurves, store, text);
  if (call == "rank") Ask(&modlab::RankModels, store, text);
  if (call == "pairs") Ask(&modlab::ComparePairs, store, text);
  if (call == "sweeps") ListSweeps(store, text);
  if (call == "jobs") ListJobs(store, text);
  return 0;
}
