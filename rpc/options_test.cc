#include "rpc/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"

namespace modlab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kCertificate[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
constexpr char kKey[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

class OptionsTest : public testing::Test {
 protected:
  OptionsTest() : dir_(testing::TempDir() + "/modlab-options-XXXXXX") {
    EXPECT_NE(mkdtemp(dir_.data()), nullptr);
    Clear();
  }
  ~OptionsTest() override {
    Clear();
    std::filesystem::remove_all(dir_);
  }

  static void Clear() {
    for (const char* name : {"MODLAB_TLS_CA", "MODLAB_TOKEN", "MODLAB_TOKEN_FILE"}) unsetenv(name);
  }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
    return dir_ + "/" + name;
  }

  static std::string ErrorOf(const std::string& address, const EndpointOptions& options) {
    const absl::StatusOr<Endpoint> endpoint = ReadEndpoint(address, options);
    EXPECT_TRUE(absl::IsInvalidArgument(endpoint.status())) << endpoint.status();
    return std::string(endpoint.status().message());
  }

  std::string dir_;
};

TEST_F(OptionsTest, WithoutFlagsAndVariablesThereIsNeitherTlsNorToken) {
  const absl::StatusOr<Endpoint> endpoint = ReadEndpoint("far:7070", {});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->address, "far:7070");
  EXPECT_EQ(endpoint->tls_ca + endpoint->token, "");
}

TEST_F(OptionsTest, FlagsComeBeforeVariables) {
  setenv("MODLAB_TLS_CA", Write("other.pem", std::string("other") + kCertificate).c_str(), 1);
  setenv("MODLAB_TOKEN", "from-environment", 1);
  EndpointOptions options;
  absl::StatusOr<Endpoint> endpoint = ReadEndpoint("far:7070", options);
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_THAT(endpoint->tls_ca, HasSubstr("other"));
  EXPECT_EQ(endpoint->token, "from-environment");

  options.tls_ca = Write("ca.pem", kCertificate);
  options.tls_cert = Write("cert.pem", kCertificate);
  options.tls_key = Write("key.pem", kKey);
  options.token_file = Write("token", " from-file\n");
  endpoint = ReadEndpoint("far:7070", options);
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->tls_ca, kCertificate);
  EXPECT_EQ(endpoint->tls_key, kKey);
  EXPECT_EQ(endpoint->token, "from-file");
}

TEST_F(OptionsTest, TheTokenMayBeInAFileThatAVariableNames) {
  setenv("MODLAB_TOKEN_FILE", Write("token", "from-file\n").c_str(), 1);
  EXPECT_EQ(ReadEndpoint("localhost:1", {})->token, "from-file");
  setenv("MODLAB_TOKEN", "", 1);
  EXPECT_EQ(ReadEndpoint("localhost:1", {})->token, "from-file");
  setenv("MODLAB_TOKEN", "direct", 1);
  EXPECT_EQ(ReadEndpoint("localhost:1", {})->token, "direct");
}

TEST_F(OptionsTest, WhatCannotBeReadIsNamedWithItsFlagOrVariable) {
  EXPECT_THAT(
      ErrorOf("h:1", {"/nowhere/ca.pem", "", "", ""}),
      AllOf(HasSubstr("--tls-ca"), HasSubstr("/nowhere/ca.pem"), HasSubstr("No such file")));
  EXPECT_THAT(ErrorOf("h:1", {Write("text", "hello"), "", "", ""}), HasSubstr("PEM"));
  EXPECT_THAT(ErrorOf("h:1", {dir_, "", "", ""}), HasSubstr("cannot read"));
  EXPECT_THAT(ErrorOf("h:1", {Write("big", std::string((1 << 20) + 1, 'x')), "", "", ""}),
              HasSubstr("1048576"));
  setenv("MODLAB_TOKEN_FILE", "/nowhere/token", 1);
  EXPECT_THAT(ErrorOf("h:1", {}), HasSubstr("MODLAB_TOKEN_FILE"));
}

TEST_F(OptionsTest, ATokenIsOneWordAndNeverShown) {
  for (const char* bad : {"", "two words", "secret\x01", "secret\xff"}) {
    EXPECT_THAT(ErrorOf("localhost:1", {"", "", "", Write("token", bad)}),
                AllOf(HasSubstr("--token-file"), Not(HasSubstr("secret"))));
  }
  EXPECT_THAT(ErrorOf("localhost:1", {"", "", "", Write("token", std::string(513, 'x'))}),
              HasSubstr("513"));
}

TEST_F(OptionsTest, ATokenDoesNotGoOverANetworkInClear) {
  setenv("MODLAB_TOKEN", "secret", 1);
  for (const char* address : {"far:7070", "10.0.0.1:7070", "127.0.0.1.far:7070", "[::2]:7070",
                              "dns:///localhost:7070", "0.0.0.0:7070", "127.1:7070"}) {
    EXPECT_THAT(ErrorOf(address, {}),
                AllOf(HasSubstr("in clear"), HasSubstr("--tls-ca"), HasSubstr(address)));
  }
  for (const char* address :
       {"127.0.0.1:7070", "127.8.9.1:1", "localhost:1", "[::1]:1", "unix:/tmp/x"}) {
    EXPECT_TRUE(ReadEndpoint(address, {}).ok()) << address;
  }
  setenv("MODLAB_TLS_CA", Write("ca.pem", kCertificate).c_str(), 1);
  EXPECT_TRUE(ReadEndpoint("far:7070", {}).ok());
}

TEST_F(OptionsTest, ACertificateNeedsItsKeyAndTls) {
  const std::string certificate = Write("cert.pem", kCertificate);
  const std::string key = Write("key.pem", kKey);
  EXPECT_THAT(ErrorOf("h:1", {certificate, certificate, "", ""}), HasSubstr("--tls-key"));
  EXPECT_THAT(ErrorOf("h:1", {certificate, "", key, ""}), HasSubstr("--tls-cert"));
  EXPECT_THAT(ErrorOf("h:1", {"", certificate, key, ""}), HasSubstr("--tls-ca"));
}

TEST_F(OptionsTest, AUnixSocketHasNoTls) {
  setenv("MODLAB_TLS_CA", "/nowhere", 1);
  const absl::StatusOr<Endpoint> endpoint = ReadEndpoint("unix:/tmp/sock", {});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->tls_ca, "");
  EXPECT_THAT(ErrorOf("unix:/tmp/sock", {Write("ca.pem", kCertificate), "", "", ""}),
              HasSubstr("unix:/tmp/sock"));
}

}  // namespace
}  // namespace modlab
