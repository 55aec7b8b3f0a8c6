// What a file of weights holds, whatever its format: named arrays of floats.

#ifndef MODLAB_LIB_WEIGHTS_TENSOR_FILE_H_
#define MODLAB_LIB_WEIGHTS_TENSOR_FILE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace modlab {

struct NamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;  // row by row
};

struct TensorFile {
  std::vector<NamedArray> tensors;  // names are unique
  std::map<std::string, std::string> metadata;
};

}  // namespace modlab

#endif  // MODLAB_LIB_WEIGHTS_TENSOR_FILE_H_
