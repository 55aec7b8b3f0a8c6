# Every library that modlab uses, and the oldest version it is built against.
# Debian 12 and 13 have them all; ./x installs their packages.

find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)           # SHA-256
find_package(SQLite3 3.40 REQUIRED)
find_package(Boost 1.74 CONFIG REQUIRED)     # Boost.Math: headers only
find_package(Protobuf 3.21 REQUIRED)         # before gRPC, whose config expects it
find_package(re2 CONFIG QUIET)               # of gRPC
if(NOT re2_FOUND)  # gRPC would ask pkg-config, which takes half a minute on Debian 13
  find_library(RE2_LIBRARY re2 REQUIRED)
  add_library(re2::re2 UNKNOWN IMPORTED)
  set_target_properties(re2::re2 PROPERTIES IMPORTED_LOCATION ${RE2_LIBRARY})
  set(re2_FOUND TRUE)
endif()
find_package(gRPC 1.51 CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)           # 20220623 and newer
find_package(spdlog 1.10 CONFIG REQUIRED)
find_package(yaml-cpp 0.7 CONFIG REQUIRED)
find_package(CLI11 2.1 CONFIG REQUIRED)
find_package(nlohmann_json 3.11 CONFIG REQUIRED)
# libzip 1.7: Debian's libzip-config.cmake wants programs that libzip-dev does without
find_path(LIBZIP_INCLUDE_DIR zip.h REQUIRED)
find_library(LIBZIP_LIBRARY zip REQUIRED)
add_library(libzip::zip UNKNOWN IMPORTED)
set_target_properties(libzip::zip PROPERTIES IMPORTED_LOCATION ${LIBZIP_LIBRARY}
                      INTERFACE_INCLUDE_DIRECTORIES ${LIBZIP_INCLUDE_DIR})
# prometheus-cpp 1.0: its config wants all that its other libraries are built on
find_path(PROMETHEUS_INCLUDE_DIR prometheus/text_serializer.h REQUIRED)
find_library(PROMETHEUS_LIBRARY prometheus-cpp-core REQUIRED)
add_library(prometheus::core UNKNOWN IMPORTED)
set_target_properties(prometheus::core PROPERTIES IMPORTED_LOCATION ${PROMETHEUS_LIBRARY}
                      INTERFACE_INCLUDE_DIRECTORIES ${PROMETHEUS_INCLUDE_DIR})
find_package(PkgConfig REQUIRED)
# Debian's is compiled, with definitions that whoever uses it has to repeat
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET GLOBAL cpp-httplib>=0.11)
add_library(httplib::httplib ALIAS PkgConfig::HTTPLIB)
if(MODLAB_TORCH)
  set(CMAKE_MESSAGE_LOG_LEVEL ERROR)         # Debian 13's warns of a kineto that it does without
  find_package(Torch 1.13 REQUIRED)          # CMAKE_PREFIX_PATH chooses another
  unset(CMAKE_MESSAGE_LOG_LEVEL)
endif()
if(MODLAB_TESTS)
  find_package(GTest 1.12 CONFIG REQUIRED)
endif()

find_program(PROTOC protoc REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp)            # the name before yaml-cpp 0.8
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
