// Certificates for tests of TLS: an authority of our own, and what it signs.

#ifndef MODLAB_TESTS_E2E_CERTIFICATES_H_
#define MODLAB_TESTS_E2E_CERTIFICATES_H_

#include <memory>
#include <string>

namespace modlab::e2e {

// Valid for an hour. Not thread-safe. Files are PEM; what cannot be made is a test
// failure.
class Authority {
 public:
  // Writes DIR/NAME.pem, its own certificate.
  Authority(const std::string& dir, const std::string& name);
  ~Authority();

  const std::string& certificate() const { return path_; }

  struct Pair {
    std::string certificate;  // paths
    std::string key;
  };
  // For "localhost" and 127.0.0.1: DIR/NAME.pem and DIR/NAME.key.
  Pair Issue(const std::string& name) const;

 private:
  struct Identity;

  const std::string dir_;
  const std::string path_;
  std::unique_ptr<Identity> identity_;
};

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_CERTIFICATES_H_
