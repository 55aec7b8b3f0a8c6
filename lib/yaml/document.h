// Reading a YAML text that has one document.

#ifndef MODLAB_LIB_YAML_DOCUMENT_H_
#define MODLAB_LIB_YAML_DOCUMENT_H_

#include <yaml-cpp/yaml.h>

#include <string>

namespace modlab {

// Its mark is where the second document begins.
class SecondDocument : public YAML::ParserException {
 public:
  using YAML::ParserException::ParserException;
};

// A null node for a text without a document. Throws YAML::Exception for malformed
// text, SecondDocument for more than one. Use it in place of YAML::LoadAll(), which
// takes all memory for a text like ",". Pure, thread-safe.
YAML::Node LoadDocument(const std::string& text);

}  // namespace modlab

#endif  // MODLAB_LIB_YAML_DOCUMENT_H_
