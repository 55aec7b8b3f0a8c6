#include "lib/yaml/document.h"

#include <yaml-cpp/eventhandler.h>

#include <sstream>

namespace modlab {
namespace {

// Remembers where the document began that was read last.
class DocumentMarks : public YAML::EventHandler {
 public:
  const YAML::Mark& mark() const { return mark_; }

  void OnDocumentStart(const YAML::Mark& mark) override { mark_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  YAML::Mark mark_;
};

}  // namespace

YAML::Node LoadDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentMarks documents;
  if (!parser.HandleNextDocument(documents)) return YAML::Node();
  if (parser.HandleNextDocument(documents)) {
    throw SecondDocument(documents.mark(), "a second document begins here");
  }
  return YAML::Load(text);
}

}  // namespace modlab
