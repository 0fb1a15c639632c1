# Everything Selvage takes from the system; all of it is packaged for Debian 12.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(TELNET REQUIRED IMPORTED_TARGET libtelnet)
find_library(CRYPT_LIBRARY crypt REQUIRED)
# Vectorised AES-GCM; only x86 has it, and everything works without (src/crypto/vector_gcm.h).
find_path(IPSEC_MB_INCLUDE intel-ipsec-mb.h)
find_library(IPSEC_MB_LIBRARY IPSec_MB)

# Boost is used header-only; Asio is compiled once, in cmake/asio_impl.cc.
find_path(SELVAGE_BOOST_INCLUDE boost/asio.hpp REQUIRED)
file(STRINGS ${SELVAGE_BOOST_INCLUDE}/boost/version.hpp SELVAGE_BOOST_LINE REGEX "#define BOOST_VERSION ")
string(REGEX MATCH "[0-9]+" SELVAGE_BOOST_VERSION "${SELVAGE_BOOST_LINE}")
if(SELVAGE_BOOST_VERSION LESS 108100)
  message(FATAL_ERROR "Selvage needs Boost 1.81 or newer; found ${SELVAGE_BOOST_VERSION}. Run ./dev setup.")
endif()
add_library(selvage_asio STATIC cmake/asio_impl.cc)
target_include_directories(selvage_asio SYSTEM PUBLIC ${SELVAGE_BOOST_INCLUDE})
target_compile_definitions(selvage_asio PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_COROUTINE)
target_link_libraries(selvage_asio PUBLIC Threads::Threads)
