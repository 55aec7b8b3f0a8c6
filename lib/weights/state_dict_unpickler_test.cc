#include "lib/weights/state_dict_unpickler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/weights/state_dict_pickler.h"

namespace modlab {
namespace {

using testing::HasSubstr;

constexpr char kRebuild[] = "ctorch._utils\n_rebuild_tensor_v2\n";
constexpr char kNoHooks[] = "\x89}";  // requires_grad and the dict of hooks
constexpr char kScalar[] = "K\x01";   // the integer 1

std::string Text(const std::string& text) {
  return absl::StrCat("X", std::string(1, static_cast<char>(text.size())), std::string(3, '\0'),
                      text);
}

// A storage of six floats.
std::string Storage() {
  return absl::StrCat("(", Text("storage"), "ctorch\nFloatStorage\n", Text("0"), Text("cpu"),
                      "K\x06tQ");
}

std::string Tensor(const std::string& offset, const std::string& shape,
                   const std::string& strides) {
  return absl::StrCat(kRebuild, "(", Storage(), offset, "(", shape, "t(", strides, "t", kNoHooks,
                      "tR");
}

// A dict of one item.
std::string Dict(const std::string& key, const std::string& value) {
  return absl::StrCat("}", key, value, "s");
}

std::string Pickle(const std::string& instructions) {
  return absl::StrCat("\x80\x02", instructions, ".");
}

std::string Refusal(const std::string& instructions) {
  const auto read = UnpickleStateDict(Pickle(instructions));
  EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << instructions;
  return std::string(read.status().message());
}

TEST(StateDictUnpicklerTest, ReadsATensorOfEveryPart) {
  const auto read = UnpickleStateDict(
      Pickle(Dict(Text("a.weight"), Tensor("K\x01", std::string("K\x02M\x03\0", 5),
                                           std::string("J\x02\0\0\0\x8a\x01\x01", 8)))));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 1u);
  const TensorView& tensor = read->front();
  EXPECT_EQ(tensor.name, "a.weight");
  EXPECT_EQ(tensor.type, StorageType::kFloat);
  EXPECT_EQ(tensor.storage, "0");
  EXPECT_EQ(tensor.storage_size, 6);
  EXPECT_EQ(tensor.offset, 1);
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensor.strides, (std::vector<int64_t>{2, 1}));
}

TEST(StateDictUnpicklerTest, ReadsWhatThePicklerWrites) {
  const int64_t huge = int64_t{1} << 40;
  const auto read = UnpickleStateDict(PickleStateDict(
      {{"a", {2, 1, 3}, std::vector<float>(6)}, {"b", {}, {1}}, {"c", {0, huge}, {}}}));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ((*read)[0].shape, (std::vector<int64_t>{2, 1, 3}));
  EXPECT_EQ((*read)[0].strides, (std::vector<int64_t>{3, 3, 1}));
  EXPECT_EQ((*read)[1].storage, "1");
  EXPECT_EQ((*read)[1].storage_size, 1);
  EXPECT_EQ((*read)[2].shape, (std::vector<int64_t>{0, huge}));
}

TEST(StateDictUnpicklerTest, NamesWhatItDoesNotExecute) {
  const std::string system = absl::StrCat("cposix\nsystem\n(", Text("touch /tmp/owned"), "tR");
  EXPECT_THAT(Refusal(system), HasSubstr("uses posix.system: a state_dict of tensors needs only"));
  EXPECT_THAT(Refusal(Dict(Text("a"), system)), HasSubstr("posix.system"));
  EXPECT_THAT(Refusal("cbuiltins\neval\n"), HasSubstr("builtins.eval"));
  EXPECT_THAT(Refusal("ctorch\nFloatStorage2\n"), HasSubstr("torch.FloatStorage2"));
  EXPECT_THAT(Refusal("ctorch\nLongStorage\n"), HasSubstr("torch.LongStorage"));
  EXPECT_THAT(Refusal("ca\x01\nb\n"), HasSubstr("a\\001.b"));
  EXPECT_THAT(Refusal("]"), HasSubstr("instruction 0x5d (])"));
  EXPECT_THAT(Refusal("(S'ls'\nios\nsystem\n"), HasSubstr("instruction 0x53 (S)"));
  EXPECT_THAT(Refusal("\x93"), HasSubstr("instruction 0x93"));
  EXPECT_THAT(Refusal("ctorch\nFloatStorage\n)R"), HasSubstr("calls a storage's type"));
  EXPECT_THAT(std::string(UnpickleStateDict("\x80\x04.").status().message()),
              HasSubstr("pickle protocol 4"));
}

TEST(StateDictUnpicklerTest, RefusesWhatIsNoDictOfTensors) {
  const std::string tensor = Tensor(kScalar, kScalar, kScalar);
  EXPECT_THAT(Refusal(tensor), HasSubstr("save model.state_dict()"));
  EXPECT_THAT(Refusal(Dict(Text("model"), Dict(Text("a"), tensor))),
              HasSubstr("where the tensor 'model' of a state_dict (save model.state_dict())"));
  EXPECT_THAT(Refusal(Dict("K\x01", tensor)), HasSubstr("the name of a tensor"));
  EXPECT_THAT(Refusal(Dict(Text("a\n"), tensor)), HasSubstr("'a\\n', which is not printable"));
  EXPECT_THAT(Refusal(absl::StrCat("}(", Text("a"), tensor, Text("a"), tensor, "u")),
              HasSubstr("has the name 'a' twice"));
}

TEST(StateDictUnpicklerTest, RefusesPartsThatDoNotFit) {
  const auto refusal = [](const std::string& tensor) { return Refusal(Dict(Text("a"), tensor)); };
  const std::string minus_one = "J\xff\xff\xff\xff";
  EXPECT_THAT(refusal(Tensor(minus_one, kScalar, kScalar)), HasSubstr("negative offset"));
  EXPECT_THAT(refusal(Tensor(kScalar, minus_one, kScalar)), HasSubstr("negative size"));
  EXPECT_THAT(refusal(Tensor(kScalar, kScalar, minus_one)), HasSubstr("negative stride"));
  EXPECT_THAT(refusal(Tensor(kScalar, kScalar, "")), HasSubstr("fewer strides than dimensions"));
  EXPECT_THAT(refusal(Tensor(kScalar, Text("1"), kScalar)), HasSubstr("where size of a tensor"));
  EXPECT_THAT(refusal(Tensor("\x8a\x09" + std::string(9, '\1'), kScalar, kScalar)),
              HasSubstr("more than 64 bits"));
  std::string many;
  for (int i = 0; i < 65; ++i) many += kScalar;
  EXPECT_THAT(refusal(Tensor(kScalar, many, many)), HasSubstr("64 dimensions"));
  EXPECT_THAT(refusal(absl::StrCat(kRebuild, "(", Storage(), "tR")), HasSubstr("has 1 values"));
  EXPECT_THAT(refusal(absl::StrCat("(", Text("module"), "ctorch\nFloatStorage\n", Text("0"),
                                   Text("cpu"), "K\x06tQ")),
              HasSubstr("but a storage"));
  EXPECT_THAT(refusal(absl::StrCat("(", Text("storage"), "ccollections\nOrderedDict\n", Text("0"),
                                   Text("cpu"), "K\x06tQ")),
              HasSubstr("storage's type must be"));
}

TEST(StateDictUnpicklerTest, SurvivesEveryInstructionOnAnyStack) {
  const std::vector<std::string> stacks = {"",
                                           "(",
                                           "K\x01",
                                           "}",
                                           "(}(",
                                           ")K\x01",
                                           "}K\x01K\x02",
                                           Storage(),
                                           "})",
                                           "K\x01q\x01K\x02",
                                           Tensor(kScalar, kScalar, kScalar),
                                           "ccollections\nOrderedDict\n",
                                           std::string(kRebuild) + ")",
                                           "ctorch._utils\n_rebuild_parameter\n(K\x01K\x02K\x03t"};
  int refused = 0;
  for (const std::string& stack : stacks) {
    for (int first = 0; first < 256; ++first) {
      for (int second = 0; second < 256; ++second) {
        std::string bytes =
            absl::StrCat("\x80\x02", stack, std::string(1, static_cast<char>(first)),
                         std::string(1, static_cast<char>(second)), ".");
        refused += UnpickleStateDict(bytes).ok() ? 0 : 1;
      }
    }
  }
  EXPECT_GT(refused, 14 * 250 * 256);
}

TEST(StateDictUnpicklerTest, HasLimits) {
  const size_t many = 3 << 20;
  EXPECT_THAT(Refusal(std::string(many, '}')), HasSubstr("values"));
  EXPECT_THAT(Refusal(std::string(many, '(')), HasSubstr("values"));
  EXPECT_THAT(Refusal(")" + std::string(many, '\x85')), HasSubstr("values"));
  EXPECT_THAT(Refusal(std::string((16 << 20) + 1, '}')), HasSubstr("longer than"));
  EXPECT_THAT(Refusal(std::string("X\xff\xff\xff\xff")), HasSubstr("a text of more than 1024"));

  // One tensor under many names, and many tensors of one storage.
  std::string names = absl::StrCat(Tensor(kScalar, kScalar, kScalar), "q\x01}(");
  std::string tensors =
      absl::StrCat(kRebuild, "q\x01(", Storage(), kScalar, "))", kNoHooks, "tq\x02");
  for (int i = 0; i < 65'537; ++i) {
    names += Text(absl::StrCat(i)) + "h\x01";
    tensors += "h\x01h\x02R";
  }
  EXPECT_THAT(Refusal(names + "u"), HasSubstr("more than 65536 tensors"));
  EXPECT_THAT(Refusal(tensors), HasSubstr("more than 65536 tensors"));
}

TEST(StateDictUnpicklerTest, ADeepOrCyclicPickleIsOnlyWrong) {
  EXPECT_THAT(Refusal(")" + std::string(1 << 20, '\x85')), HasSubstr("a state_dict"));
  EXPECT_THAT(Refusal(absl::StrCat("}q\x01", Text("a"), "h\x01s")), HasSubstr("the tensor 'a'"));
}

}  // namespace
}  // namespace modlab
