// The contract of store.h, on a real file.

#include "server/store/store.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/store/store_fixture.h"

namespace modlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StoreTest : public StoreFixture {
 protected:
  std::vector<int64_t> Ids(const std::string& sweep, const std::vector<v1::FieldFilter>& filters,
                           int64_t after_id = 0, size_t limit = 1000) {
    std::vector<int64_t> ids;
    const absl::Status status = store_->ScanJobs(sweep, filters, after_id, [&](const v1::Job& job) {
      ids.push_back(job.id());
      return ids.size() < limit;
    });
    EXPECT_EQ(status, absl::OkStatus());
    return ids;
  }

  absl::Status FilterError(const v1::FieldFilter& filter) {
    return store_->ScanJobs("", {filter}, 0, [](const v1::Job&) { return true; });
  }
};

// -- sweeps -------------------------------------------------------------------

TEST_F(StoreTest, SweepIdsCountTheSweepsOfAName) {
  Begin();
  EXPECT_EQ(AddSweep("quick"), "quick-1");
  EXPECT_EQ(AddSweep("other"), "other-1");
  EXPECT_EQ(AddSweep("quick"), "quick-2");
  Commit();
  EXPECT_EQ(store_->GetSweep("quick")->id(), "quick-2");
  EXPECT_EQ(store_->GetSweep("quick-1")->id(), "quick-1");
  EXPECT_EQ(store_->GetSweep("quick-1")->name(), "quick");
  EXPECT_EQ(store_->GetSweep("quick-1")->created_us(), 1000);
}

TEST_F(StoreTest, AnIdGoesBeforeANameThatLooksTheSame) {
  Begin();
  AddSweep("a-1");  // a-1-1
  AddSweep("a");    // a-1
  Commit();
  EXPECT_EQ(store_->GetSweep("a-1")->name(), "a");
}

TEST_F(StoreTest, AnUnknownSweepNamesTheNearest) {
  const absl::Status none = store_->GetSweep("quick").status();
  EXPECT_THAT(none, IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(std::string(none.message()), HasSubstr("modlab submit FILE"));
  Begin();
  AddSweep("quickstart");
  Commit();
  const absl::Status near = store_->GetSweep("quikstart").status();
  EXPECT_THAT(near, IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(std::string(near.message()), HasSubstr("\"quickstart\""));
  EXPECT_THAT(store_->ScanJobs("zzz", {}, 0, [](const v1::Job&) { return true; }),
              IsStatus(absl::StatusCode::kNotFound));
}

TEST_F(StoreTest, ARequestIsFoundAgain) {
  Begin();
  v1::SweepSpec spec;
  spec.set_name("s");
  EXPECT_EQ(*writer()->FindRequest("r1"), std::nullopt);
  ASSERT_EQ(writer()->InsertSweep(spec, {}, "ada", "r1", 5)->id, "s-1");
  EXPECT_EQ(*writer()->FindRequest("r1"), std::optional<std::string>("s-1"));
  EXPECT_EQ(*writer()->FindRequest("r2"), std::nullopt);
  Commit();
}

TEST_F(StoreTest, ASweepHasAUserAndAPolicyThatCanBeSet) {
  v1::SweepPolicy policy;
  policy.set_priority(-7);
  policy.mutable_requirements()->add_labels("big");
  Begin();
  AddSweep("other");
  const std::string id = AddSweep("s", policy);
  Commit();
  EXPECT_EQ(store_->GetSweep(id)->user(), "ada");
  EXPECT_EQ(store_->GetSweep(id)->policy().SerializeAsString(), policy.SerializeAsString());
  policy.set_paused(true);
  Begin();
  const QueuedSweep found = *writer()->FindActiveSweep("s");
  EXPECT_EQ(found.number, 2);
  EXPECT_EQ(found.id, id);
  EXPECT_EQ(found.user, "ada");
  EXPECT_EQ(found.policy.priority(), -7);
  EXPECT_EQ(writer()->SetPolicy(found.number, policy), absl::OkStatus());
  EXPECT_THAT(writer()->SetPolicy(99, policy), IsStatus(absl::StatusCode::kNotFound));
  Commit();
  EXPECT_TRUE(store_->GetSweep(id)->policy().paused());
  EXPECT_FALSE(store_->GetSweep("other")->policy().paused());
}

TEST_F(StoreTest, ASpecIsReadAndReplaced) {
  Begin();
  const int64_t sweep = Number(AddSweep("s"));
  v1::SweepSpec spec = *writer()->ReadSpec(sweep);
  EXPECT_EQ(spec.name(), "s");
  spec.mutable_defaults()->set_rules(8);
  EXPECT_EQ(writer()->SetSpec(sweep, spec), absl::OkStatus());
  EXPECT_EQ(writer()->ReadSpec(sweep)->defaults().rules(), 8);
  EXPECT_THAT(writer()->ReadSpec(99).status(), IsStatus(absl::StatusCode::kNotFound));
  EXPECT_THAT(writer()->SetSpec(99, spec), IsStatus(absl::StatusCode::kNotFound));
  Commit();
  EXPECT_EQ(store_->GetSweep("s")->spec().defaults().rules(), 8);
}

TEST_F(StoreTest, ACancelledSweepIsNotActive) {
  Begin();
  const std::string id = AddSweep("s");
  EXPECT_THAT(writer()->FindActiveSweep("none").status(), IsStatus(absl::StatusCode::kNotFound));
  ASSERT_TRUE(writer()->CancelSweep(id, 5).ok());
  const absl::Status status = writer()->FindActiveSweep(id).status();
  EXPECT_THAT(status, IsStatus(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(status.message()), HasSubstr(id));
  Commit();
}

TEST_F(StoreTest, SweepsWithUnfinishedJobsAreLoaded) {
  v1::SweepPolicy policy;
  policy.set_max_running(3);
  Begin();
  const std::string waits = AddSweep("waits");
  const std::string done = AddSweep("done");
  const std::string runs = AddSweep("runs", policy);
  const std::string cancelled = AddSweep("cancelled");
  AddSweep("empty");
  const int64_t shared = AddJob(waits, Config({}));
  ASSERT_TRUE(*writer()->LinkJob(Number(cancelled), shared));
  AddJob(waits, Config({{"model_seed", "1"}}));
  Finish(AddJob(done, Config({{"model_seed", "2"}})), {});
  Start(AddJob(runs, Config({{"model_seed", "3"}})));
  ASSERT_TRUE(writer()->CancelSweep(cancelled, 5).ok());
  Commit();
  Reopen();
  std::vector<QueuedSweep> sweeps;
  ASSERT_EQ(writer()->LoadSweeps([&](const QueuedSweep& sweep) { sweeps.push_back(sweep); }),
            absl::OkStatus());
  ASSERT_EQ(sweeps.size(), 2u);
  EXPECT_EQ(sweeps[0].id, waits);
  EXPECT_EQ(sweeps[1].id, runs);
  EXPECT_EQ(sweeps[1].number, 3);
  EXPECT_EQ(sweeps[1].user, "ada");
  EXPECT_EQ(sweeps[1].policy.max_running(), 3);
}

TEST_F(StoreTest, SweepsComeInPagesNewestFirst) {
  Begin();
  for (int i = 0; i < 5; ++i) AddSweep("s");
  Commit();
  std::vector<std::string> ids;
  std::string token;
  int pages = 0;
  do {
    const auto page = store_->ListSweeps(2, token);
    ASSERT_EQ(page.status(), absl::OkStatus());
    for (const v1::Sweep& sweep : page->sweeps()) ids.push_back(sweep.id());
    token = page->next_page_token();
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(pages, 3);
  EXPECT_THAT(ids, ElementsAre("s-5", "s-4", "s-3", "s-2", "s-1"));
}

TEST_F(StoreTest, BadPagesAreRefused) {
  for (const char* token : {"x", "after-", "after-0", "after--1", "after-1 ", "after-01"}) {
    EXPECT_THAT(store_->ListSweeps(10, token).status(),
                IsStatus(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(store_->ListSweeps(-1, "").status(), IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(store_->ListSweeps(1001, "").status(), IsStatus(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreTest, SweepsCountTheirJobsAndIterations) {
  Begin();
  const std::string sweep = AddSweep("s");
  std::vector<int64_t> jobs;
  for (const char* seed : {"0", "1", "2", "3", "4"}) {
    jobs.push_back(AddJob(sweep, Config({{"model_seed", seed}})));
  }
  Start(jobs[1]);
  AddPoint(jobs[1], 50, v1::EVAL_LOSS, 1);
  Start(jobs[2]);
  Finish(jobs[2], {});
  Start(jobs[3]);
  AddPoint(jobs[3], 50, v1::EVAL_LOSS, 1);
  EXPECT_EQ(writer()->FailJob(jobs[3], v1::Failure(), 5000), absl::OkStatus());
  EXPECT_EQ(writer()->CancelJob(jobs[4], "not wanted", 5000), absl::OkStatus());
  Commit();
  const v1::Sweep read = *store_->GetSweep(sweep);
  EXPECT_EQ(read.counts().queued(), 1);
  EXPECT_EQ(read.counts().running(), 1);
  EXPECT_EQ(read.counts().succeeded(), 1);
  EXPECT_EQ(read.counts().failed(), 1);
  EXPECT_EQ(read.counts().cancelled(), 1);
  EXPECT_EQ(read.iterations_total(), 400);
  EXPECT_EQ(read.iterations_done(), 50 + 100 + 50);
}

// -- cancelling ---------------------------------------------------------------

TEST_F(StoreTest, CancellingSparesWhatAnotherSweepNeeds) {
  Begin();
  const std::string one = AddSweep("one");
  const std::string two = AddSweep("two");
  const int64_t own = AddJob(one, Config({}));
  const int64_t shared = AddJob(one, Config({{"model_seed", "1"}}));
  const int64_t done = AddJob(one, Config({{"model_seed", "2"}}));
  EXPECT_EQ(*writer()->LinkJob(Number(two), shared), true);
  EXPECT_EQ(*writer()->LinkJob(Number(two), shared), false);
  EXPECT_THAT(writer()->ReadUnfinished(shared)->sweeps, ElementsAre(1, 2));
  Start(done);
  Finish(done, {});
  EXPECT_EQ(*writer()->FindCancelledSweep(own), "");
  EXPECT_EQ(*writer()->CancelSweep("one", 7000), 1);
  EXPECT_THAT(writer()->ReadUnfinished(own)->sweeps, IsEmpty());
  EXPECT_EQ(writer()->CancelJob(own, "", 7000), absl::OkStatus());
  EXPECT_EQ(*writer()->CancelSweep("one-1", 8000), 1);
  EXPECT_THAT(writer()->ReadUnfinished(shared)->sweeps, ElementsAre(2));
  EXPECT_EQ(*writer()->FindCancelledSweep(shared), "one-1");
  EXPECT_EQ(*writer()->CancelSweep("two", 8000), 2);
  EXPECT_THAT(writer()->ReadUnfinished(shared)->sweeps, IsEmpty());
  EXPECT_EQ(*writer()->FindCancelledSweep(shared), "two-1");
  EXPECT_EQ(*writer()->FindCancelledSweep(own), "one-1");
  EXPECT_THAT(writer()->CancelSweep("three", 8000).status(), IsStatus(absl::StatusCode::kNotFound));
  Commit();
  EXPECT_EQ(store_->GetSweep("one")->cancelled_us(), 7000);
  EXPECT_EQ(store_->GetSweep("two")->cancelled_us(), 8000);
}

TEST_F(StoreTest, ASelectionIsSplitByWhoAsksForIt) {
  Begin();
  const std::string one = AddSweep("one");
  const std::string two = AddSweep("two");
  const std::string three = AddSweep("three");
  const int64_t own = AddJob(one, Config({}));
  const int64_t shared = AddJob(one, Config({{"model_seed", "1"}}));
  const int64_t done = AddJob(one, Config({{"model_seed", "2"}}));
  const int64_t other = AddJob(two, Config({{"model_seed", "3"}}));
  const int64_t left = AddJob(one, Config({{"model_seed", "4"}}));
  ASSERT_TRUE(*writer()->LinkJob(Number(two), shared));
  ASSERT_TRUE(*writer()->LinkJob(Number(three), left));
  ASSERT_TRUE(writer()->CancelSweep(three, 5).ok());
  Start(done);
  Finish(done, {});
  const SharedJobs split =
      *writer()->SplitByOwner(Number(one), {own, shared, done, other, left, 99});
  EXPECT_THAT(split.own, ElementsAre(own, left));
  EXPECT_EQ(split.shared, 1);
  Commit();
}

// -- pages and filters --------------------------------------------------------

TEST_F(StoreTest, JobsComeInPages) {
  Begin();
  const std::string sweep = AddSweep("s");
  const std::string other = AddSweep("other");
  for (const char* seed : {"1", "2", "3"}) AddJob(sweep, Config({{"model_seed", seed}}));
  AddJob(other, Config({}));
  Commit();
  EXPECT_THAT(Ids(sweep, {}, 0, 2), ElementsAre(1, 2));
  EXPECT_THAT(Ids(sweep, {}, 2, 2), ElementsAre(3));
  EXPECT_THAT(Ids(sweep, {}, 3), IsEmpty());
  EXPECT_THAT(Ids("", {}, 1), ElementsAre(2, 3, 4));
  EXPECT_THAT(Ids("other", {}), ElementsAre(4));
}

TEST_F(StoreTest, FiltersKeepWhatTheySay) {
  Begin();
  const std::string sweep = AddSweep("s");
  AddJob(sweep, Config({{"learning_rate", "1e-3"}}));                            // 1
  AddJob(sweep, Config({{"model", "gt_modular"}}));                              // 2
  AddJob(sweep, Config({{"model", "gt_modular"}, {"rules", "4"}}));              // 3
  AddJob(sweep, Config({{"model", "monolithic"}, {"learning_rate", "0.001"}}));  // 4
  Start(2);
  Commit();
  EXPECT_THAT(Ids(sweep, {Filter("model", {"GT_MODULAR"})}), ElementsAre(2, 3));
  EXPECT_THAT(Ids(sweep, {Filter("model", {"gt_modular", "modular"})}), ElementsAre(1, 2, 3));
  EXPECT_THAT(Ids("", {Filter("model", {"gt_modular"}), Filter("rules", {"2"})}), ElementsAre(2));
  EXPECT_THAT(Ids("", {Filter("learning_rate", {"0.0010"})}), ElementsAre(1, 4));
  EXPECT_THAT(Ids("", {Filter("state", {"running"})}), ElementsAre(2));
  EXPECT_THAT(Ids("", {Filter("state", {"QUEUED", "running"})}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Ids("", {Filter("job", {"4", "1", "99"})}), ElementsAre(1, 4));
  EXPECT_THAT(Ids("", {Filter("job", {"4", "1"})}, 1), ElementsAre(4));
  EXPECT_THAT(Ids("", {Filter("job", {"1", "4"}), Filter("job", {"4", "2"})}), ElementsAre(4));
  EXPECT_THAT(Ids("", {Filter("rules", {"8"})}), IsEmpty());
}

TEST_F(StoreTest, BadFiltersAreRefusedWithTheNearestWord) {
  const absl::Status field = FilterError(Filter("modle", {"modular"}));
  EXPECT_THAT(field, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(field.message()), HasSubstr("\"model\""));
  EXPECT_THAT(std::string(FilterError(Filter("stat", {"x"})).message()), HasSubstr("\"state\""));
  const absl::Status value = FilterError(Filter("model", {"modulr"}));
  EXPECT_THAT(value, IsStatus(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(value.message()), HasSubstr("modular"));
  for (const v1::FieldFilter& bad :
       {Filter("rules", {"two"}), Filter("rules", {}), Filter("state", {"sleeping"}),
        Filter("job", {"0"}), Filter("job", {"1x"}), Filter("", {"1"})}) {
    EXPECT_THAT(FilterError(bad), IsStatus(absl::StatusCode::kInvalidArgument));
  }
  const std::vector<v1::FieldFilter> many(65, Filter("rules", {"2"}));
  EXPECT_THAT(store_->ScanJobs("", many, 0, [](const v1::Job&) { return true; }),
              IsStatus(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace modlab
