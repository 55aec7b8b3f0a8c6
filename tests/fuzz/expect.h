// What a fuzz target checks beyond not crashing.

#ifndef MODLAB_TESTS_FUZZ_EXPECT_H_
#define MODLAB_TESTS_FUZZ_EXPECT_H_

#include <cstdio>
#include <cstdlib>

// Ends the process where `condition` does not hold.
#define MODLAB_EXPECT(condition)                                                   \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)

#endif  // MODLAB_TESTS_FUZZ_EXPECT_H_
