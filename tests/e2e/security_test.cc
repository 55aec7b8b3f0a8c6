// TLS, tokens and roles, as users have them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/e2e/certificates.h"
#include "tests/e2e/cluster.h"
#include "tests/e2e/sweeps.h"

namespace modlab::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Args = std::vector<std::string>;

// A coordinator on all addresses of this machine, which is reached as localhost.
class SecurityTest : public testing::Test {
 protected:
  SecurityTest() : authority_(cluster_.dir(), "ca"), server_(authority_.Issue("server")) {
    cluster_.set_address("0.0.0.0:0");
  }

  Output Modlabd(Args args) {
    args.insert(args.begin(), ModlabdPath());
    args.insert(args.end(), {"--data-dir", cluster_.data_dir()});
    return RunToEnd(std::move(args), absl::StrCat(cluster_.dir(), "/modlabd-", ++runs_));
  }

  // Makes a token; returns the path of its file.
  std::string Token(const std::string& name, const std::string& role, const Args& extra = {}) {
    Args args = {"tokens", "create", "--name", name, "--role", role};
    args.insert(args.end(), extra.begin(), extra.end());
    const Output made = Modlabd(std::move(args));
    EXPECT_EQ(made.exit_code, 0) << made.err;
    EXPECT_TRUE(std::regex_match(made.out, std::regex("modlab_[0-9a-f]{8}_[A-Za-z0-9_-]{43}\n")))
        << made.out;
    EXPECT_THAT(made.err, AllOf(HasSubstr(name), HasSubstr(role)));
    return cluster_.Write(name + ".token", made.out);
  }

  // Its id, as `modlabd tokens list` has it.
  std::string IdOf(const std::string& name) {
    const Output listed = Modlabd({"tokens", "list", "--format", "json"});
    for (const Json& row : Json::parse(listed.out, nullptr, false)) {
      if (row.value("name", "") == name) return row.value("id", "");
    }
    ADD_FAILURE() << "no token of " << name << " in " << listed.out;
    return "";
  }

  // With TLS; `extra` flags more.
  Process* Serve(const Args& extra = {}) {
    Args args = {"--tls-cert", server_.certificate, "--tls-key", server_.key};
    args.insert(args.end(), extra.begin(), extra.end());
    Process* process = cluster_.StartCoordinator(2, args);
    ReachAsLocalhost();
    return process;
  }

  void ReachAsLocalhost() {
    const std::string& address = cluster_.address();
    cluster_.set_address("localhost" + address.substr(address.rfind(':')));
  }

  // modlab with the authority's certificate and a token.
  Output As(const std::string& token, Args args) {
    args.insert(args.end(), {"--tls-ca", authority_.certificate()});
    if (!token.empty()) args.insert(args.end(), {"--token-file", token});
    return cluster_.Modlab(std::move(args));
  }

  Process* StartWorkerAs(const std::string& token, const Args& extra = {}) {
    Args args = {"--tls-ca", authority_.certificate(), "--token-file", token};
    args.insert(args.end(), extra.begin(), extra.end());
    return cluster_.StartWorker(/*gang=*/4, args);
  }

  std::string SweepFile() {
    return cluster_.Write("sweep.yaml", SmallSweep("small", "{model: [modular], rules: [2, 4]}"));
  }

  Cluster cluster_;
  Authority authority_;
  Authority::Pair server_;
  int runs_ = 0;
};

TEST_F(SecurityTest, ANetworkIsNotServedByMistake) {
  Output refused = Modlabd({"--listen", "0.0.0.0:0"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("0.0.0.0:0"), HasSubstr("--tls-cert"),
                                 HasSubstr("modlabd tokens create"), HasSubstr("--insecure")));
  const Args tls = {"--listen",          "0.0.0.0:0", "--tls-cert",
                    server_.certificate, "--tls-key", server_.key};
  refused = Modlabd(tls);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("token"), HasSubstr("--role admin")));

  const Authority::Pair other = authority_.Issue("other");
  struct {
    Args args;
    const char* says;
  } rows[] = {
      {{"--tls-cert", server_.certificate}, "--tls-key"},
      {{"--tls-client-ca", authority_.certificate()}, "--tls-cert"},
      {{"--tls-cert", server_.certificate, "--tls-key", other.key}, "--tls-key"},
      {{"--tls-cert", "/nowhere", "--tls-key", other.key}, "/nowhere"},
      {{"--tls-cert", server_.key, "--tls-key", server_.key}, "--tls-cert"},
      {{"--tls-cert", server_.certificate, "--tls-key", server_.key, "--insecure"}, "--insecure"},
      {{"--require-tokens", "--insecure"}, "--insecure"},
      {{"--listen", "unix:" + cluster_.dir() + "/s", "--tls-cert", server_.certificate, "--tls-key",
        server_.key},
       "does not leave this machine"},
  };
  for (auto& row : rows) {
    if (row.args[0] != "--listen") row.args.insert(row.args.end(), {"--listen", "0.0.0.0:0"});
    refused = Modlabd(row.args);
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(row.says));
    EXPECT_THAT(refused.out, Not(HasSubstr("ready")));
  }
}

TEST_F(SecurityTest, InsecureServesEveryoneAndSaysSo) {
  cluster_.StartCoordinator(2, {"--insecure"});
  EXPECT_THAT(ReadFile(cluster_.dir() + "/modlabd-1.log"), HasSubstr("EVERYONE"));
  ReachAsLocalhost();
  EXPECT_EQ(cluster_.Modlab({"submit", SweepFile()}).exit_code, 0);
}

TEST_F(SecurityTest, EachRoleMayDoWhatIsItsOwn) {
  const std::string read = Token("rita", "read");
  const std::string submit = Token("sam", "submit");
  const std::string worker = Token("wanda", "worker");
  const std::string admin = Token("ada", "admin");
  Serve();
  const std::string file = SweepFile();
  const auto expect = [this](const std::string& token, const Args& args, const char* refusal) {
    const Output output = As(token, args);
    EXPECT_EQ(output.exit_code, *refusal == '\0' ? 0 : 1) << args[0] << ": " << output.err;
    EXPECT_THAT(output.err, HasSubstr(refusal));
  };
  expect(submit, {"submit", file}, "");
  for (const Args& args : {Args{"ls"}, Args{"show", "small"}, Args{"workers"}}) {
    expect(read, args, "");
    expect(submit, args, "");
    expect(admin, args, "");
    expect(worker, args, "role worker");
    expect("", args, "no token");
  }
  expect(read, {"submit", file}, "submit or admin");
  expect(worker, {"submit", file}, "submit or admin");
  expect(read, {"cancel", "small"}, "submit or admin");
  expect(read, {"pause", "small"}, "submit or admin");
  expect(submit, {"workers", "drain", "nobody"}, "needs admin");
  EXPECT_THAT(As(admin, {"workers", "drain", "nobody"}).err, HasSubstr("nobody"));

  // A worker with another role is told, and takes nothing.
  Process* mistaken = StartWorkerAs(submit);
  StartWorkerAs(worker);
  EXPECT_TRUE(WaitUntil([&] {
    absl::SleepFor(absl::Milliseconds(200));
    return As(read, {"results", "small"}).exit_code == 0 &&
           As(read, {"show", "small", "--format", "json"}).out.find("\"succeeded\":2") !=
               std::string::npos;
  })) << As(read, {"show", "small"}).out;
  // It may start later than the other is done.
  const auto log = [&] { return ReadFile(cluster_.dir() + "/worker-1.log"); };
  EXPECT_TRUE(WaitUntil([&] { return log().find("role submit") != std::string::npos; })) << log();
  EXPECT_TRUE(mistaken->running());
  EXPECT_THAT(As(read, {"show", "small", "--format", "json"}).out, HasSubstr("\"user\":\"sam\""));
}

TEST_F(SecurityTest, WhoCannotShowWhoHeIsIsToldWhatToDo) {
  const std::string token = Token("ada", "admin");
  Serve();
  const Authority stranger(cluster_.dir(), "stranger");
  EXPECT_EQ(As(token, {"ls"}).exit_code, 0);
  Output output = cluster_.Modlab({"ls"});
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(output.err, HasSubstr("--tls-ca"));
  output = cluster_.Modlab({"ls", "--tls-ca", stranger.certificate(), "--token-file", token});
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(output.err, HasSubstr("not signed by"));
  output = As(cluster_.Write("wrong.token", "modlab_00000000_" + std::string(43, 'A')), {"ls"});
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(output.err, AllOf(HasSubstr("revoked"), HasSubstr("--token-file")));
  // A token is not sent where all can read it.
  output = cluster_.ModlabAlone({"ls", "--server", "192.0.2.1:7070", "--token-file", token});
  EXPECT_EQ(output.exit_code, 2);
  EXPECT_THAT(output.err, AllOf(HasSubstr("in clear"), Not(HasSubstr(ReadFile(token).substr(20)))));
}

TEST_F(SecurityTest, ATokenThatIsRevokedOrExpiresIsWorthlessAtOnce) {
  const std::string ada = Token("ada", "admin");
  const std::string worker = Token("wanda", "worker");
  const std::string brief = Token("bea", "read", {"--days", "1"});
  Serve();
  StartWorkerAs(worker);
  EXPECT_TRUE(WaitUntil([&] {
    return As(ada, {"workers", "--format", "json"}).out.find("worker-1") != std::string::npos;
  }));
  EXPECT_EQ(As(brief, {"ls"}).exit_code, 0);

  Output output = Modlabd({"tokens", "revoke", IdOf("wanda")});
  EXPECT_EQ(output.exit_code, 0) << output.err;
  EXPECT_TRUE(WaitUntil([&] {
    return As(ada, {"workers", "--format", "json"}).out.find("worker-1") == std::string::npos;
  })) << "the stream of a worker whose token is revoked goes on";
  EXPECT_THAT(Modlabd({"tokens", "revoke", "00000000"}).err, HasSubstr("00000000"));
  EXPECT_EQ(Modlabd({"tokens", "revoke", "00000000"}).exit_code, 1);

  const std::string file = cluster_.data_dir() + "/tokens.json";
  WriteFile(file, std::regex_replace(ReadFile(file), std::regex("\"expires\": \"....-"),
                                     "\"expires\": \"2020-"));
  output = As(brief, {"ls"});
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(output.err, AllOf(HasSubstr("bea"), HasSubstr("expired")));
  EXPECT_THAT(Modlabd({"tokens", "list"}).out, AllOf(HasSubstr("(expired)"), HasSubstr("ada")));

  // A damaged file lets nobody in; a good one lets in again.
  const std::string good = ReadFile(file);
  WriteFile(file, good.substr(0, good.size() / 2));
  output = As(ada, {"ls"});
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(output.err, HasSubstr("cannot read its tokens"));
  WriteFile(file, good);
  EXPECT_EQ(As(ada, {"ls"}).exit_code, 0);
}

TEST_F(SecurityTest, CertificatesOfCallersAreAskedForAndNewOnesTaken) {
  const std::string token = Token("ada", "admin");
  const Authority::Pair mine = authority_.Issue("mine");
  Serve({"--tls-client-ca", authority_.certificate()});
  EXPECT_EQ(As(token, {"ls"}).exit_code, 1);
  const Args with = {"ls", "--tls-cert", mine.certificate, "--tls-key", mine.key};
  EXPECT_EQ(As(token, with).exit_code, 0);
  EXPECT_EQ(As("", with).exit_code, 1) << "a certificate does not stand for a token";
  const Authority stranger(cluster_.dir(), "stranger");
  const Authority::Pair strange = stranger.Issue("strange");
  EXPECT_EQ(
      As(token, {"ls", "--tls-cert", strange.certificate, "--tls-key", strange.key}).exit_code, 1);

  // The server's certificate is replaced while it runs.
  const Authority::Pair fresh = stranger.Issue("fresh");
  WriteFile(server_.key, ReadFile(fresh.key));
  WriteFile(server_.certificate, ReadFile(fresh.certificate));
  EXPECT_TRUE(WaitUntil([&] {
    absl::SleepFor(absl::Milliseconds(500));
    return cluster_
               .Modlab({"ls", "--tls-ca", stranger.certificate(), "--token-file", token,
                        "--tls-cert", mine.certificate, "--tls-key", mine.key})
               .exit_code == 0;
  }));
}

TEST_F(SecurityTest, AUnixSocketAsksForTokensIfToldTo) {
  const std::string token = Token("ada", "read");
  cluster_.set_address("unix:" + cluster_.dir() + "/sock");
  cluster_.StartCoordinator(2, {"--require-tokens"});
  EXPECT_THAT(cluster_.Modlab({"ls"}).err, HasSubstr("no token"));
  EXPECT_EQ(cluster_.Modlab({"ls", "--token-file", token}).exit_code, 0);
  EXPECT_THAT(cluster_.Modlab({"submit", SweepFile(), "--token-file", token}).err,
              HasSubstr("submit or admin"));
}

}  // namespace
}  // namespace modlab::e2e
