// Bad input: a clear error, quickly, and nothing left behind.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/cluster.h"
#include "tests/e2e/process.h"
#include "tests/e2e/sqlite_file.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

class InputTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<Cluster>();
    cluster_->StartCoordinator();
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  void TearDown() override {
    EXPECT_TRUE(cluster_->Rows({"ls"}).empty());
    const std::string database = cluster_->data_dir() + "/modlab.db";
    EXPECT_EQ(QueryNumber(database, "SELECT count(*) FROM sweeps"), 0);
    EXPECT_EQ(QueryNumber(database, "SELECT count(*) FROM jobs"), 0);
  }

  // What `modlab submit` says of a file that it refuses.
  std::string Refusal(const std::string& yaml, int exit_code = kExitUsage) {
    const Output output = cluster_->Modlab({"submit", cluster_->Write("bad.yaml", yaml)});
    EXPECT_EQ(output.exit_code, exit_code) << output.out;
    EXPECT_EQ(output.out, "");
    EXPECT_THAT(output.err, HasSubstr("bad.yaml"));
    // For people, not a dump.
    EXPECT_LT(output.err.size(), 600u) << output.err;
    return output.err;
  }
  std::string GridRefusal(const std::string& grid) { return Refusal(SmallSweep("bad", grid)); }

  static std::unique_ptr<Cluster> cluster_;
};

std::unique_ptr<Cluster> InputTest::cluster_;

TEST_F(InputTest, UnknownKeysNameTheNearest) {
  EXPECT_THAT(GridRefusal("{rules: 2, modle: modular}"),
              AllOf(HasSubstr("modle"), HasSubstr("model")));
  EXPECT_THAT(Refusal("nmae: x\n"), AllOf(HasSubstr("nmae"), HasSubstr("\"name\"")));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modulr}"),
              AllOf(HasSubstr("model"), HasSubstr("modulr"), HasSubstr("modular")));
}

TEST_F(InputTest, WrongTypes) {
  EXPECT_THAT(GridRefusal("{rules: many, model: modular}"),
              AllOf(HasSubstr("rules"), HasSubstr("many"), HasSubstr("integer")));
  EXPECT_THAT(GridRefusal("{rules: 2.5, model: modular}"),
              AllOf(HasSubstr("rules"), HasSubstr("2.5")));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, learning_rate: fast}"),
              AllOf(HasSubstr("learning_rate"), HasSubstr("fast")));
  EXPECT_THAT(GridRefusal("{rules: [[2]], model: modular}"), HasSubstr("rules"));
  EXPECT_THAT(Refusal("name: [a]\n"), HasSubstr("name"));
  EXPECT_THAT(Refusal("- just\n- a list\n"), HasSubstr("map"));
}

TEST_F(InputTest, RulesOutsideTheirLimits) {
  for (const char* rules : {"0", "1", "257", "-3", "99999999999999999999"}) {
    EXPECT_THAT(GridRefusal(std::string("{rules: ") + rules + ", model: modular}"),
                AllOf(HasSubstr("rules"), HasSubstr(rules)));
  }
  EXPECT_THAT(GridRefusal("{rules: 0, model: modular}"), HasSubstr("2..256"));
}

TEST_F(InputTest, SizesThatCannotBe) {
  EXPECT_THAT(GridRefusal("{rules: 3, model: modular}"),
              AllOf(HasSubstr("model_dim"), HasSubstr("8"), HasSubstr("divisible"),
                    HasSubstr("modules"), HasSubstr("9")));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, encoder_dim: -1}"),
              AllOf(HasSubstr("encoder_dim"), HasSubstr("-1"), HasSubstr("1..8192")));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, batch_size: 0}"), HasSubstr("batch_size"));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, model_dim: 1000000000}"),
              AllOf(HasSubstr("model_dim"), HasSubstr("1..65536")));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, model_dim: 65536, encoder_dim: 8192}"),
              HasSubstr("parameters"));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, iterations: 1000000, eval_interval: 1}"),
              HasSubstr("eval_interval"));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, learning_rate: .nan}"),
              HasSubstr("learning_rate"));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, learning_rate: -0.1}"),
              HasSubstr("learning_rate"));
}

TEST_F(InputTest, GridsThatAreEmptyOrTooLarge) {
  EXPECT_THAT(GridRefusal("{}"), HasSubstr("grid"));
  EXPECT_THAT(GridRefusal("[]"), HasSubstr("grid"));
  EXPECT_THAT(GridRefusal("{rules: [], model: modular}"),
              AllOf(HasSubstr("rules"), HasSubstr("empty")));
  // Well written, and too much.
  EXPECT_THAT(Refusal(SmallSweep("bad",
                                 "{rules: 2, model: modular, data_seed: {from: 1, to: 1001}, "
                                 "model_seed: {from: 1, to: 1000}}"),
                      kExitError),
              AllOf(HasSubstr("1001000"), HasSubstr("1000000")));
  EXPECT_THAT(GridRefusal("{rules: 2, model: modular, data_seed: {from: 0, to: 4294967295}}"),
              HasSubstr("1000000"));
}

TEST_F(InputTest, MalformedYamlIsShownByLineAndColumn) {
  EXPECT_THAT(Refusal("name: bad\ndefaults: {rules: 2\ngrid: [\n"), HasSubstr("bad.yaml:"));
  EXPECT_THAT(Refusal("name: bad\n\tdefaults: x\n"), HasSubstr("bad.yaml:2:1"));
  EXPECT_THAT(GridRefusal("{rules: 2, wat: 1}"), testing::ContainsRegex("bad.yaml:[0-9]+:[0-9]+:"));
  EXPECT_THAT(Refusal(""), HasSubstr("bad.yaml"));
  EXPECT_THAT(Refusal(std::string("\0\xff\xfe name", 9)), HasSubstr("bad.yaml"));
}

TEST_F(InputTest, FilesThatAreNotThere) {
  const std::string path = cluster_->dir() + "/nowhere.yaml";
  const Output output = cluster_->Modlab({"submit", path});
  EXPECT_EQ(output.exit_code, kExitError);
  EXPECT_THAT(output.err, HasSubstr(path));
  EXPECT_EQ(cluster_->Modlab({"submit", cluster_->dir()}).exit_code, kExitError);
}

TEST_F(InputTest, UnknownSweepsJobsFieldsAndMetrics) {
  for (const char* command : {"show", "results", "curves", "export", "cancel", "retry", "watch"}) {
    const Output output = cluster_->Modlab({command, "nothing"});
    EXPECT_EQ(output.exit_code, kExitError) << command;
    EXPECT_EQ(output.out, "") << command;
    EXPECT_THAT(output.err, HasSubstr("nothing")) << command;
  }
  EXPECT_THAT(cluster_->Modlab({"show", "12345"}).err, HasSubstr("12345"));
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"results", "x", "--group-by", "modle"},
           {"rank", "x", "--group-by", "model"},
           {"curves", "x", "--metric", "id"},
           {"export", "x", "--where", "rules=two"},
           {"ls", "x", "--where", "rules=2", "--where", "rules=4"},
           {"ls", "--where", "rules=2"}}) {
    const Output output = cluster_->Modlab(wrong);
    EXPECT_EQ(output.exit_code, kExitUsage) << wrong[0] << ": " << output.err;
  }
  EXPECT_THAT(cluster_->Modlab({"results", "x", "--metrics", "colapse_avg"}).err,
              HasSubstr("collapse_avg"));
  EXPECT_THAT(cluster_->Modlab({"results", "x", "--group-by", "modle"}).err, HasSubstr("model"));
  EXPECT_THAT(cluster_->Modlab({"results", "x", "--where", "rules"}).err, HasSubstr("FIELD=VALUE"));
}

TEST_F(InputTest, WrongUsage) {
  EXPECT_EQ(cluster_->ModlabAlone({}).exit_code, kExitUsage);
  EXPECT_EQ(cluster_->ModlabAlone({"frobnicate"}).exit_code, kExitUsage);
  EXPECT_EQ(cluster_->ModlabAlone({"ls", "--format", "xml"}).exit_code, kExitUsage);
  EXPECT_EQ(cluster_->ModlabAlone({"--help"}).exit_code, 0);
}

TEST_F(InputTest, ServerThatIsNotThere) {
  for (const std::string& address :
       {std::string("127.0.0.1:1"), "unix:" + cluster_->dir() + "/no.sock"}) {
    const Output output = cluster_->ModlabAlone({"ls", "--server", address});
    EXPECT_EQ(output.exit_code, kExitError);
    EXPECT_THAT(output.err, AllOf(HasSubstr(address), HasSubstr("modlabd")));
  }
  EXPECT_THAT(cluster_->ModlabAlone({"ls", "--server", "nonsense"}).err, HasSubstr("nonsense"));
  const std::string empty = cluster_->dir() + "/empty";
  EXPECT_THAT(cluster_->ModlabAlone({"ls", "--data-dir", empty}).err, HasSubstr(empty));
}

TEST_F(InputTest, DescribeRefusesLikewise) {
  const auto describe = [&](const std::string& yaml) {
    return RunToEnd({WorkerPath(), "describe", "--config", cluster_->Write("job.yaml", yaml)},
                    cluster_->dir() + "/describe");
  };
  const Output output =
      describe("architecture: mlp\ntarget: regression\nmodel: modular\nrulse: 2\n");
  EXPECT_EQ(output.exit_code, kExitError);
  EXPECT_THAT(output.err, AllOf(HasSubstr("rulse"), HasSubstr("rules")));
}

}  // namespace
}  // namespace modlab::e2e
