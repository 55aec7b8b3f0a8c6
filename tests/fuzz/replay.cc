// Runs a fuzz target without libFuzzer: on every file of the directories named on
// the command line, and on mutations of them that are the same in every run.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 3000;
constexpr size_t kBytesMax = size_t{1} << 16;

std::vector<std::string> ReadCorpus(int argc, char** argv) {
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      if (entry.is_regular_file()) paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

// A few changes of the kinds that break readers: bits, bytes, pieces that are
// missing, doubled, or from another input.
std::string Mutate(std::string input, const std::vector<std::string>& inputs,
                   std::mt19937* random) {
  const auto below = [random](size_t bound) { return bound == 0 ? 0 : (*random)() % bound; };
  for (size_t change = below(4) + 1; change > 0; --change) {
    const size_t at = below(input.size() + 1);
    const size_t length = below(16) + 1;
    switch (below(6)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(below(256));
        break;
      case 2:
        input.erase(at, length);
        break;
      case 3:
        input.insert(at, input.substr(below(input.size() + 1), length));
        break;
      case 4: {
        const std::string& other = inputs[below(inputs.size())];
        input.insert(at, other.substr(below(other.size() + 1), 4 * length));
        break;
      }
      default:
        input.resize(at);
        break;
    }
  }
  input.resize(std::min(input.size(), kBytesMax));
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> inputs = ReadCorpus(argc, argv);
  if (inputs.empty()) {
    std::fprintf(stderr, "no corpus: name directories that have files\n");
    return 2;
  }
  for (const std::string& input : inputs) Run(input);
  std::mt19937 random(1);
  for (int i = 0; i < kMutations; ++i) {
    Run(Mutate(inputs[random() % inputs.size()], inputs, &random));
  }
  std::printf("%zu inputs and %d mutations\n", inputs.size(), kMutations);
  return 0;
}
