// Looks into a store from outside, and does to it what only another version or
// an accident would.

#ifndef MODLAB_TESTS_E2E_SQLITE_FILE_H_
#define MODLAB_TESTS_E2E_SQLITE_FILE_H_

#include <cstdint>
#include <string>

namespace modlab::e2e {

// The one number that a statement of SQL yields; -1 and a test failure if it
// does not.
int64_t QueryNumber(const std::string& path, const std::string& sql);

// Runs a statement; a test failure if it fails.
void Execute(const std::string& path, const std::string& sql);

}  // namespace modlab::e2e

#endif  // MODLAB_TESTS_E2E_SQLITE_FILE_H_
