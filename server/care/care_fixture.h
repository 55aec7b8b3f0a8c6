// For tests: a store in which all is well, ways to damage it, and its audit.

#ifndef MODLAB_SERVER_CARE_CARE_FIXTURE_H_
#define MODLAB_SERVER_CARE_CARE_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/config/sweep_spec.h"
#include "server/care/audit.h"
#include "server/care/expected_metrics.h"
#include "server/store/artifact_tree.h"
#include "server/store/artifacts.h"
#include "server/store/curve_chunk.h"
#include "server/store/curve_rows.h"
#include "server/store/sqlite.h"
#include "server/store/store_fixture.h"

namespace modlab {

class CareFixture : public StoreFixture {
 protected:
  // Jobs of sweep "good-1", in the order of their model seeds.
  struct Good {
    int64_t finished, running, queued, failed, cancelled;
  };

  CareFixture() : artifacts_(*Artifacts::Open(dir_.path())) {}

  static v1::CurvePoint MakePoint(const v1::JobConfig& config, int64_t iteration) {
    v1::CurvePoint point;
    point.set_iteration(iteration);
    for (const v1::Metric metric : ExpectedOfPoint(config, iteration == 0)) {
      AddMetric(metric, 0.5 + static_cast<double>(iteration), point.mutable_values());
    }
    if (HasActivation(config)) FillActivation(config, point.mutable_activation());
    return point;
  }

  // With a best checkpoint of the first point but one, if it keeps any.
  v1::JobResult MakeResult(const v1::JobConfig& config) {
    v1::JobResult result;
    const std::string name = JobKey(config);
    for (const v1::Metric metric : ExpectedOfResult(config)) {
      AddMetric(metric, 0.25, result.mutable_metrics());
    }
    if (HasActivation(config)) FillActivation(config, result.mutable_activation());
    result.set_checkpoint_sha256(Put("last weights of " + name));
    result.mutable_provenance()->set_device("cpu");
    if (config.validation_batches() > 0) {
      v1::BestCheckpoint* best = result.mutable_best();
      best->set_iteration(EvaluationIterations(config)[1]);
      if (best->iteration() < config.iterations()) {
        *best->mutable_metrics() = result.metrics();
        if (result.has_activation()) *best->mutable_activation() = result.activation();
        best->set_checkpoint_sha256(Put("best weights of " + name));
      }
    }
    return result;
  }

  // An artifact, row and file. Needs an open transaction, and begins another: the row
  // has to be on disk before the file.
  std::string Put(const std::string& content) {
    const auto upload = *artifacts_->Create();
    EXPECT_EQ(upload->Append(content), absl::OkStatus());
    const Artifact artifact = *upload->Seal();
    EXPECT_EQ(writer()->RegisterArtifact(artifact.sha256, artifact.size_bytes, 2500),
              absl::OkStatus());
    Commit();
    EXPECT_EQ(upload->Publish(), absl::OkStatus());
    Begin();
    return artifact.sha256;
  }

  void AddPoints(int64_t job, const v1::JobConfig& config, int64_t until) {
    for (const int64_t iteration : EvaluationIterations(config)) {
      if (iteration > until) break;
      EXPECT_EQ(writer()->AppendPoint(job, MakePoint(config, iteration)), absl::OkStatus());
    }
  }

  void Checkpoint(int64_t job, int64_t iteration) {
    v1::TrainingCheckpoint checkpoint;
    const std::string content = absl::StrCat("checkpoint of ", job, " at ", iteration);
    checkpoint.set_sha256(Put(content));
    checkpoint.set_iteration(iteration);
    checkpoint.set_size_bytes(static_cast<int64_t>(content.size()));
    EXPECT_EQ(writer()->KeepCheckpoint(job, checkpoint, 3500), absl::OkStatus());
  }

  // A sweep of all values of one field; its jobs, QUEUED.
  std::vector<int64_t> AddGrid(const std::string& name, const v1::JobConfig& defaults,
                               const std::string& field, const std::vector<std::string>& values) {
    v1::SweepSpec spec;
    spec.set_name(name);
    *spec.mutable_defaults() = defaults;
    v1::Axis* axis = spec.add_grids()->add_axes();
    axis->set_field(field);
    axis->mutable_values()->Assign(values.begin(), values.end());
    const QueuedSweep sweep = *writer()->InsertSweep(spec, {}, "ada", "request of " + name, 1000);
    std::vector<int64_t> jobs;
    const std::vector<v1::JobConfig> configs = *ExpandSweep(spec);
    for (const v1::JobConfig& config : configs) {
      jobs.push_back(*InsertJob(writer(), config));
      EXPECT_TRUE(*writer()->LinkJob(sweep.number, jobs.back()));
    }
    return jobs;
  }

  void Complete(int64_t job, const v1::JobConfig& config) {
    Start(job);
    AddPoints(job, config, config.iterations());
    EXPECT_EQ(writer()->FinishJob(job, MakeResult(config), 4000), absl::OkStatus());
  }

  // One job in every state.
  Good MakeGoodStore() {
    Begin();
    const v1::JobConfig config = Config({});
    const std::vector<int64_t> jobs =
        AddGrid("good", config, "model_seed", {"0", "1", "2", "3", "4"});
    const Good good{jobs[0], jobs[1], jobs[2], jobs[3], jobs[4]};
    Complete(good.finished, config);
    Start(good.running);
    AddPoints(good.running, config, 50);
    Checkpoint(good.running, 60);
    Start(good.queued);
    AddPoints(good.queued, config, 0);
    Checkpoint(good.queued, 10);
    EXPECT_EQ(writer()->ReleaseJob(good.queued, 10, "drains", 3600), absl::OkStatus());
    Start(good.failed);
    v1::Failure failure;
    failure.set_cause(v1::DIVERGED);
    failure.set_message("the loss became nan");
    EXPECT_EQ(writer()->FailJob(good.failed, failure, 3700), absl::OkStatus());
    EXPECT_EQ(writer()->CancelJob(good.cancelled, "not wanted", 3800), absl::OkStatus());
    Commit();
    return good;
  }

  // What no modlab would do.
  void Break(const std::string& sql) {
    const auto connection =
        *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
    EXPECT_EQ(connection->Execute(sql), absl::OkStatus());
  }

  template <typename Message>
  void BreakBlob(const std::string& select, const std::string& update,
                 const std::function<void(Message*)>& change) {
    const auto connection =
        *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
    Message message;
    {
      Statement row = connection->Prepare(select);
      ASSERT_TRUE(*row.Step());
      ASSERT_TRUE(message.ParseFromString(std::string(row.Blob(0))));
    }
    change(&message);
    const std::string blob = message.SerializeAsString();
    EXPECT_EQ(connection->Prepare(update).BindBlob(blob).Run(), absl::OkStatus());
  }

  void BreakConfig(int64_t job, const std::function<void(v1::JobConfig*)>& change) {
    BreakBlob<v1::JobConfig>(absl::StrCat("SELECT config FROM jobs WHERE id = ", job),
                             absl::StrCat("UPDATE jobs SET config = ? WHERE id = ", job), change);
  }
  void BreakResult(int64_t job, const std::function<void(v1::JobResult*)>& change) {
    BreakBlob<v1::JobResult>(absl::StrCat("SELECT result FROM results WHERE job = ", job),
                             absl::StrCat("UPDATE results SET result = ? WHERE job = ", job),
                             change);
  }
  // Changes the points of a job's curve, which is of one row, and leaves what the row says of
  // them.
  void BreakCurve(int64_t job, const std::function<void(std::vector<v1::CurvePoint>*)>& change) {
    const auto connection =
        *Connection::Open(dir_.path() + "/modlab.db", Connection::Mode::kReadWriteCreate);
    std::vector<v1::CurvePoint> points;
    ASSERT_EQ(ReadPoints(connection.get(), job, &points), absl::OkStatus());
    change(&points);
    std::vector<const v1::CurvePoint*> pointers;
    for (const v1::CurvePoint& point : points) pointers.push_back(&point);
    const std::string chunk = EncodeChunk(pointers);
    EXPECT_EQ(connection->Prepare("UPDATE curve_chunks SET chunk = ? WHERE key >> 27 = ?")
                  .BindBlob(chunk)
                  .Bind(job)
                  .Run(),
              absl::OkStatus());
    EXPECT_EQ(connection->changes(), 1);
  }
  void BreakPoint(int64_t job, int64_t iteration,
                  const std::function<void(v1::CurvePoint*)>& change) {
    BreakCurve(job, [&](std::vector<v1::CurvePoint>* points) {
      for (v1::CurvePoint& point : *points) {
        if (point.iteration() == iteration) return change(&point);
      }
      ADD_FAILURE() << "no point at iteration " << iteration;
    });
  }
  // The row knows of it, too.
  void RemovePoint(int64_t job, int64_t iteration) {
    BreakCurve(job, [&](std::vector<v1::CurvePoint>* points) {
      points->erase(std::remove_if(points->begin(), points->end(),
                                   [&](const auto& each) { return each.iteration() == iteration; }),
                    points->end());
      Break(absl::StrCat("UPDATE curve_chunks SET points = ", points->size(), ", last = ",
                         points->back().iteration(), ", key = ", job, " * 134217728 + ",
                         points->front().iteration(), " WHERE key >> 27 = ", job));
    });
  }
  std::string FileOf(const std::string& sha256) const { return ArtifactPath(dir_.path(), sha256); }

  struct Audited {
    absl::Status status;
    std::vector<v1::Finding> damage, incomplete;
    v1::AuditSummary summary;

    // "kind subject: message" of each finding that is damage.
    std::vector<std::string> Lines() const {
      std::vector<std::string> lines;
      for (const v1::Finding& finding : damage) {
        lines.push_back(
            absl::StrCat(finding.kind(), " ", finding.subject(), ": ", finding.message()));
      }
      return lines;
    }
    std::set<std::string> Kinds() const {
      std::set<std::string> kinds;
      for (const v1::Finding& finding : damage) kinds.insert(finding.kind());
      return kinds;
    }
  };

  static Audited AuditIn(const std::string& data_dir, const Artifacts& artifacts,
                         const AuditOptions& options = {}) {
    Audited audited;
    audited.status = Audit(data_dir, artifacts, options, [&](const v1::AuditResponse& response) {
      for (const v1::Finding& finding : response.findings()) {
        (finding.incomplete() ? audited.incomplete : audited.damage).push_back(finding);
      }
      if (response.has_summary()) audited.summary = response.summary();
      EXPECT_LE(response.done(), response.total());
      return true;
    });
    return audited;
  }
  Audited AuditIt(const AuditOptions& options = {}) {
    return AuditIn(dir_.path(), *artifacts_, options);
  }

  std::unique_ptr<Artifacts> artifacts_;

 private:
  static void AddMetric(v1::Metric metric, double value,
                        google::protobuf::RepeatedPtrField<v1::MetricValue>* to) {
    v1::MetricValue* added = to->Add();
    added->set_metric(metric);
    added->set_value(value);
  }

  static void FillActivation(const v1::JobConfig& config, v1::ActivationMatrix* matrix) {
    matrix->set_rules(config.rules());
    matrix->set_modules(config.modules());
    const int size = config.rules() * config.modules();
    for (int i = 0; i < size; ++i) matrix->add_values(1.0F / static_cast<float>(size));
  }
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_CARE_FIXTURE_H_
