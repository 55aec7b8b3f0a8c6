#include "server/access/role.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "modlab/v1/coordinator.pb.h"
#include "modlab/v1/results.pb.h"
#include "modlab/v1/sweep.pb.h"
#include "modlab/v1/worker.pb.h"

namespace modlab {
namespace {

TEST(RoleTest, EveryMethodOfEveryServiceHasItsRow) {
  int methods = 0;
  for (const google::protobuf::Descriptor* message :
       {v1::GetStatusRequest::descriptor(), v1::QueryResultsRequest::descriptor(),
        v1::CreateSweepRequest::descriptor(), v1::WorkerView::descriptor()}) {
    const google::protobuf::FileDescriptor* file = message->file();
    EXPECT_GT(file->service_count(), 0) << file->name();
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        const google::protobuf::MethodDescriptor* method = file->service(i)->method(j);
        const std::string path =
            absl::StrCat("/", file->service(i)->full_name(), "/", method->name());
        ++methods;
        ASSERT_TRUE(NeedOf(path).has_value()) << path << " needs a row in role.cc";
        EXPECT_NE(NeedOf(path), Need::kNothing) << path << " is open to all";
      }
    }
  }
  EXPECT_GE(methods, 26);
}

TEST(RoleTest, AMethodThatIsNotThereHasNone) {
  for (const char* method :
       {"", "/", "/modlab.v1.SweepService/", "/modlab.v1.SweepService/createSweep",
        "/modlab.v1.SweepService/CreateSweep/", "modlab.v1.SweepService/CreateSweep"}) {
    EXPECT_FALSE(NeedOf(method).has_value()) << method;
  }
}

TEST(RoleTest, WhatEachRoleMayDo) {
  struct {
    const char* method;
    bool read, submit, worker, admin;
  } rows[] = {
      {"/modlab.v1.SweepService/ListSweeps", true, true, false, true},
      {"/modlab.v1.SweepService/CreateSweep", false, true, false, true},
      {"/modlab.v1.SweepService/CancelJobs", false, true, false, true},
      {"/modlab.v1.WorkerService/Synchronise", false, false, true, true},
      {"/modlab.v1.ArtifactService/UploadArtifact", false, false, true, true},
      {"/modlab.v1.ArtifactService/DownloadArtifact", true, true, true, true},
      {"/modlab.v1.WorkerService/DrainWorker", false, false, false, true},
      {"/modlab.v1.CoordinatorService/Backup", false, false, false, true},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true, true, false, true},
  };
  for (const auto& row : rows) {
    const Need need = *NeedOf(row.method);
    EXPECT_EQ(Allows(Role::kRead, need), row.read) << row.method;
    EXPECT_EQ(Allows(Role::kSubmit, need), row.submit) << row.method;
    EXPECT_EQ(Allows(Role::kWorker, need), row.worker) << row.method;
    EXPECT_EQ(Allows(Role::kAdmin, need), row.admin) << row.method;
  }
  EXPECT_EQ(RolesFor(Need::kSubmit), "submit or admin");
}

TEST(RoleTest, NamesAreReadAsWritten) {
  for (const std::string& name : RoleNames()) {
    ASSERT_TRUE(ParseRole(name).has_value()) << name;
    EXPECT_EQ(std::string(RoleName(*ParseRole(name))), name);
  }
  EXPECT_FALSE(ParseRole("root").has_value());
  EXPECT_FALSE(ParseRole("").has_value());
}

}  // namespace
}  // namespace modlab
