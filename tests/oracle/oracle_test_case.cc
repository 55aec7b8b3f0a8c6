#include "tests/oracle/oracle_test_case.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "lib/models/batch.h"
#include "lib/models/model.h"
#include "lib/models/parameters.h"

namespace modlab {
namespace {

constexpr double kRelative = 1e-9;

Batch RandomBatch(const v1::JobConfig& config, const OracleSizes& sizes) {
  const int64_t columns = sizes.length * sizes.samples;
  Batch batch;
  batch.length = sizes.length;
  batch.input = at::randn({sizes.jobs, sizes.inputs, columns}, at::kDouble);
  batch.rule =
      at::one_hot(at::randint(config.rules(), {sizes.jobs, columns}, at::kLong), config.rules())
          .to(at::kDouble)
          .transpose(1, 2)
          .contiguous();
  batch.target = at::randn({sizes.jobs, sizes.outputs, columns}, at::kDouble);
  if (config.target() == v1::CLASSIFICATION) batch.target = batch.target.ge(0).to(at::kDouble);
  return batch;
}

// As section 1 defines it.
at::Tensor MeanLoss(v1::Target target, const at::Tensor& prediction, const at::Tensor& y) {
  if (target == v1::REGRESSION) return at::abs(prediction - y).mean();
  const at::Tensor probability = at::sigmoid(prediction);
  return -(y * at::log(probability) + (1 - y) * at::log(1 - probability)).mean();
}

// Of one job, [features, T] -> [N, B, features].
at::Tensor BySample(const at::Tensor& tensor, const OracleSizes& sizes) {
  return tensor.t().reshape({sizes.length, sizes.samples, tensor.size(0)});
}

}  // namespace

void PrintTo(const OracleCase& c, std::ostream* out) {
  *out << v1::ModelType_Name(c.model) << " " << v1::Target_Name(c.target) << " "
       << v1::Scorer_Name(c.scorer);
}

int RandomBetween(int low, int high, std::mt19937* random) {
  return std::uniform_int_distribution<int>(low, high)(*random);
}

void ExpectAgreement(const v1::JobConfig& config, Oracle oracle, const OracleSizes& sizes,
                     double tolerance) {
  SCOPED_TRACE(config.ShortDebugString());
  const auto near = [tolerance](const at::Tensor& got, const at::Tensor& want) {
    return got.sizes() == want.sizes() && at::allclose(got, want, kRelative, tolerance);
  };
  const std::unique_ptr<Model> model = MakeModel(config);
  Parameters parameters(model->Specs(), sizes.jobs, at::TensorOptions().dtype(at::kDouble));
  parameters.flat().normal_(0.0, 0.4);
  parameters.RequireGradients();
  const Batch batch = RandomBatch(config, sizes);

  const std::unique_ptr<Network> network = model->Bind(parameters);
  const Network::Output output = network->Forward(batch);
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (int64_t j = 0; j < sizes.jobs; ++j) {
    loss = loss + MeanLoss(config.target(), output.prediction[j], batch.target[j]);
  }
  loss.backward();

  for (int64_t j = 0; j < sizes.jobs; ++j) {
    std::map<std::string, at::Tensor> of_job;
    for (const ParameterSpec& spec : parameters.specs()) {
      at::Tensor leaf = parameters.at(spec.name).detach()[j].clone();
      of_job[spec.name] = leaf.set_requires_grad(true);
    }
    const OracleOutput expected =
        oracle(config, of_job, BySample(at::cat({batch.input[j], batch.rule[j]}, 0), sizes));
    MeanLoss(config.target(), expected.prediction, BySample(batch.target[j], sizes)).backward();

    EXPECT_TRUE(near(BySample(output.prediction[j], sizes), expected.prediction));
    ASSERT_EQ(output.p.defined(), expected.p.defined());
    if (expected.p.defined()) {
      EXPECT_TRUE(near(BySample(output.p[j], sizes), expected.p));
      EXPECT_TRUE(near(BySample(network->Route(batch)[j], sizes), expected.p));
    }
    for (const ParameterSpec& spec : parameters.specs()) {
      // The oracle never touches what has no influence.
      const at::Tensor& gradient = of_job[spec.name].grad();
      const at::Tensor want = gradient.defined() ? gradient : at::zeros_like(of_job[spec.name]);
      EXPECT_TRUE(near(parameters.at(spec.name).grad()[j], want)) << spec.name;
    }
  }
}

}  // namespace modlab
