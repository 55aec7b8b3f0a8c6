#include "lib/train/device.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>
#include <malloc.h>

#include <cstddef>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "torch/version.h"

namespace modlab {
namespace {

// A function of a library that is loaded, if it has it. Which BLAS that is, and whether
// there is CUDA, is known at run time only, so nothing of them can be linked.
template <typename Function>
Function* LoadedFunction(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown CPU";
}

// As the driver tells, "NVIDIA A100-SXM4-40GB" say: the same for all GPUs of a kind. Its
// functions have never changed, so that no header of CUDA's is needed. Where it does not
// tell, the device's number, which is at least no lie.
std::string CudaName(const std::string& device) {
  const at::Device cuda(device);
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return device;
  // LibTorch uses the driver anyhow: it is never unloaded.
  auto* init = reinterpret_cast<int (*)(unsigned int)>(dlsym(driver, "cuInit"));
  auto* get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  auto* get_name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  if (init == nullptr || get == nullptr || get_name == nullptr) return device;
  int handle = 0;
  char name[256] = "";
  if (init(0) != 0 || get(&handle, cuda.has_index() ? cuda.index() : 0) != 0) return device;
  if (get_name(name, static_cast<int>(sizeof(name)) - 1, handle) != 0) return device;
  return name[0] == '\0' ? device : name;
}

std::string BlasName() {
  if (auto* config = LoadedFunction<char*()>("openblas_get_config")) return config();
  if (at::hasMKL()) return "MKL";
  if (auto* version = LoadedFunction<const char*()>("bli_info_get_version_str")) {
    return absl::StrCat("BLIS ", version());
  }
  return "";
}

}  // namespace

absl::StatusOr<std::string> ResolveDevice(absl::string_view device) {
  const int cuda_devices =
      at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().getNumGPUs()) : 0;
  if (device == "auto") return cuda_devices > 0 ? "cuda:0" : "cpu";
  if (device == "cpu") return "cpu";
  absl::string_view number = device;
  int index = 0;
  if (absl::ConsumePrefix(&number, "cuda:") && absl::SimpleAtoi(number, &index) && index >= 0 &&
      index < cuda_devices) {
    return absl::StrCat("cuda:", index);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("device: '", std::string(device), "' is not there; allowed: auto, cpu",
                   cuda_devices > 0 ? absl::StrCat(", cuda:0..cuda:", cuda_devices - 1)
                                    : " (this LibTorch sees no CUDA device)"));
}

v1::Provenance DescribeDevice(absl::string_view device) {
  v1::Provenance provenance;
  provenance.set_device(device == "cpu" ? "cpu" : "cuda");
  provenance.set_device_name(device == "cpu" ? CpuName() : CudaName(std::string(device)));
  provenance.set_modlab_version(MODLAB_VERSION);
  provenance.set_torch_version(TORCH_VERSION);
  const std::string blas = BlasName();
  provenance.set_blas(blas.empty() ? "reference" : blas);
  return provenance;
}

int64_t DeviceMemoryBytes(absl::string_view device) {
  if (device == "cpu") return 0;
  auto* memory_info = LoadedFunction<int(size_t*, size_t*)>("cudaMemGetInfo");
  if (memory_info == nullptr) return 0;
  const c10::DeviceGuard guard{at::Device(std::string(device))};
  size_t free_bytes = 0, total_bytes = 0;
  return memory_info(&free_bytes, &total_bytes) == 0 ? static_cast<int64_t>(total_bytes) : 0;
}

void PrepareProcess() {
  constexpr int kKeepBytes = 1 << 30;
  constexpr int kMapBytes = 32 << 20;  // the largest that glibc accepts
  mallopt(M_TRIM_THRESHOLD, kKeepBytes);
  mallopt(M_MMAP_THRESHOLD, kMapBytes);
  at::set_num_threads(1);
  if (auto* set_threads = LoadedFunction<void(int)>("openblas_set_num_threads")) set_threads(1);
}

std::string BlasWarning() {
  if (!BlasName().empty()) return "";
  return "the BLAS library in use is neither OpenBLAS, MKL nor BLIS, probably the reference BLAS: "
         "training will be many times slower; on Debian: apt-get install libopenblas0-pthread";
}

}  // namespace modlab
