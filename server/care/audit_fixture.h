// For tests of what an audit finds in a store that was good.

#ifndef MODLAB_SERVER_CARE_AUDIT_FIXTURE_H_
#define MODLAB_SERVER_CARE_AUDIT_FIXTURE_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/care/care_fixture.h"

namespace modlab {

class AuditTest : public CareFixture {
 protected:
  AuditTest() : good_(MakeGoodStore()) {}

  // The audit finds damage of this kind, and none of another.
  void Expect(const char* kind, const std::string& subject = "") {
    const Audited audited = AuditIt();
    ASSERT_EQ(audited.status, absl::OkStatus());
    EXPECT_THAT(audited.Kinds(), testing::ElementsAre(kind))
        << testing::PrintToString(audited.Lines());
    if (!subject.empty() && !audited.damage.empty()) {
      EXPECT_EQ(audited.damage[0].subject(), subject);
    }
    EXPECT_EQ(audited.summary.damaged(), static_cast<int64_t>(audited.damage.size()));
  }

  std::string Finished() const { return absl::StrCat("job ", good_.finished); }

  const Good good_;
};

}  // namespace modlab

#endif  // MODLAB_SERVER_CARE_AUDIT_FIXTURE_H_
