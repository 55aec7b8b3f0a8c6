// A store for fuzz targets, in a directory that goes with the process. Not thread-safe.

#ifndef MODLAB_TESTS_FUZZ_SCRATCH_STORE_H_
#define MODLAB_TESTS_FUZZ_SCRATCH_STORE_H_

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "lib/config/job_config.h"
#include "modlab/v1/job.pb.h"
#include "server/store/store.h"
#include "tests/fuzz/expect.h"

namespace modlab {

class ScratchStore {
 public:
  ScratchStore() {
    MODLAB_EXPECT(mkdtemp(&dir_[0]) != nullptr);
    store_ = Store::Open(dir_).value();
  }
  ~ScratchStore() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  ScratchStore(const ScratchStore&) = delete;
  ScratchStore& operator=(const ScratchStore&) = delete;

  Store* get() { return store_.get(); }
  Store::Writer* writer() { return store_->writer(); }

  // A regression job of 100 iterations, made at 1; within a transaction. Returns its id.
  int64_t InsertJob(v1::Architecture architecture, v1::ModelType model, int rules, int64_t seed) {
    v1::JobConfig config;
    config.set_architecture(architecture);
    config.set_target(v1::REGRESSION);
    config.set_model(model);
    config.set_rules(rules);
    config.set_model_seed(static_cast<uint32_t>(seed));
    config.set_iterations(100);
    const v1::JobConfig canonical = Canonicalise(config).value();
    const std::string bytes = canonical.SerializeAsString();
    const std::string job_key = JobKey(canonical);
    const std::string shape_key = ShapeKey(canonical);
    NewJob job;
    job.config = bytes;
    job.job_key = job_key;
    job.shape_key = shape_key;
    job.iterations = canonical.iterations();
    return writer()->InsertJob(job, 1).value();
  }

 private:
  std::string dir_ = (std::filesystem::temp_directory_path() / "modlab-fuzz-XXXXXX").string();
  std::unique_ptr<Store> store_;
};

}  // namespace modlab

#endif  // MODLAB_TESTS_FUZZ_SCRATCH_STORE_H_
