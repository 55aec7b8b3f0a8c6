# The four kinds of target, all with the same warnings and the same root for
# includes ("lib/config/job_config.h").

add_library(modlab_options INTERFACE)
target_include_directories(modlab_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(modlab_options INTERFACE -Wall -Wextra -Wpedantic -Wnon-virtual-dtor
                                                -Wold-style-cast -Wshadow)
# Warnings are errors with the compilers that every change is checked with, Debian 12's. What
# newer ones say, false alarms among it, keeps nobody from a build.
if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
   OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15))
  target_compile_options(modlab_options INTERFACE -Werror)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # At -O3 these raise false alarms about std::variant and LibTorch's use of std::vector<bool>.
  target_compile_options(modlab_options INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds)
endif()
target_compile_definitions(modlab_options INTERFACE MODLAB_VERSION="${PROJECT_VERSION}")

# LibTorch as a system library: its headers do not pass our warnings.
if(MODLAB_TORCH)
  add_library(modlab_torch INTERFACE)
  target_link_libraries(modlab_torch INTERFACE ${TORCH_LIBRARIES})
  target_include_directories(modlab_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
endif()

# With MODLAB_PCH what nearly all files include is compiled once; for builds that are
# made from scratch.
if(MODLAB_PCH)
  # A precompiled header serves only where every macro in it is the same.
  add_compile_definitions(GTEST_HAS_PTHREAD=1 BOOST_ALL_NO_LIB FMT_SHARED SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL
                          SPDLOG_SHARED_LIB MODLAB_VERSION="${PROJECT_VERSION}")
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "")
  add_library(modlab_pch STATIC ${CMAKE_BINARY_DIR}/pch.cc)
  target_link_libraries(modlab_pch PRIVATE modlab_options modlab_grpc GTest::gmock spdlog::spdlog)
  target_precompile_headers(modlab_pch PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <grpcpp/grpcpp.h> <absl/status/statusor.h> <absl/strings/str_cat.h>
    <modlab/v1/coordinator.grpc.pb.h> <modlab/v1/results.grpc.pb.h> <modlab/v1/sweep.grpc.pb.h>
    <modlab/v1/worker.grpc.pb.h> <spdlog/spdlog.h>)
endif()
function(modlab_use_pch name)
  if(MODLAB_PCH)
    target_precompile_headers(${name} REUSE_FROM modlab_pch)
  endif()
endfunction()

# modlab_library(name SOURCES... [DEPS targets...])
function(modlab_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE modlab_options PUBLIC ${ARG_DEPS})
  modlab_use_pch(${name})
endfunction()

# modlab_binary(name SOURCES... [DEPS targets...])
function(modlab_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE modlab_options ${ARG_DEPS})
  modlab_use_pch(${name})
endfunction()

# modlab_test(name SOURCES... [DEPS targets...] [TIMEOUT seconds]): one
# binary with GoogleTest's main, one ctest entry.
function(modlab_test name)
  if(NOT MODLAB_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  # Half the time to compile; what they test is optimised as it is released.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${name} PRIVATE modlab_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  modlab_use_pch(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()

# modlab_benchmark(name SOURCES... [DEPS targets...]): a binary in bench/, built
# by the target `benchmarks`.
add_custom_target(benchmarks)
function(modlab_benchmark name)
  if(NOT MODLAB_BENCHMARKS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE modlab_options ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  add_dependencies(benchmarks ${name})
endfunction()
