# selvage_module(NAME DIR DEPS...): one library per module, one test program from its *_test.cc files.
# SUBDIRS: folders below DIR that belong to it.
option(SELVAGE_WERROR "Treat warnings as errors" ON)
option(SELVAGE_FUZZ "Build the libFuzzer targets" OFF)
option(SELVAGE_BENCH "Build the benchmarks" OFF)

add_library(selvage_flags INTERFACE)
target_compile_options(selvage_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-missing-designated-field-initializers -fno-omit-frame-pointer $<$<BOOL:${SELVAGE_WERROR}>:-Werror>)
target_include_directories(selvage_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(selvage_flags INTERFACE fmt::fmt spdlog::spdlog)

# Two precompiled headers: the modules that must not know Asio share one without it.
function(selvage_pch_library name header)
  file(WRITE ${CMAKE_BINARY_DIR}/pch/${name}.cc "// Owns the precompiled header ${header}.\n")
  add_library(${name} STATIC ${CMAKE_BINARY_DIR}/pch/${name}.cc)
  target_link_libraries(${name} PRIVATE selvage_flags ${ARGN})
  target_precompile_headers(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/${header})
endfunction()
selvage_pch_library(selvage_pch_plain pch_plain.h)
selvage_pch_library(selvage_pch_asio pch_asio.h selvage_asio)
selvage_pch_library(selvage_pch_test pch_test.h selvage_asio GTest::gmock)

function(selvage_module name dir)
  cmake_parse_arguments(ARG "PLAIN" "" "DEPS;EXTRA;SOURCES;SUBDIRS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS ${dir}/*_test.cc)
  foreach(subdir ${ARG_SUBDIRS})
    file(GLOB more_sources CONFIGURE_DEPENDS ${dir}/${subdir}/*.cc)
    file(GLOB more_tests CONFIGURE_DEPENDS ${dir}/${subdir}/*_test.cc)
    list(APPEND sources ${more_sources})
    list(APPEND tests ${more_tests})
  endforeach()
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test_[a-z]+\\.cc$")
  list(APPEND sources ${ARG_SOURCES})
  if(NOT sources)
    file(WRITE ${CMAKE_BINARY_DIR}/empty/${name}.cc "// ${name} has headers only.\n")
    set(sources ${CMAKE_BINARY_DIR}/empty/${name}.cc)
  endif()
  add_library(selvage_${name} STATIC ${sources})
  set(deps)
  foreach(dep ${ARG_DEPS})
    list(APPEND deps selvage_${dep})
  endforeach()
  target_link_libraries(selvage_${name} PUBLIC selvage_flags ${deps} PRIVATE ${ARG_EXTRA})
  if(ARG_PLAIN)
    target_precompile_headers(selvage_${name} REUSE_FROM selvage_pch_plain)
  else()
    target_link_libraries(selvage_${name} PUBLIC selvage_asio)
    target_precompile_headers(selvage_${name} REUSE_FROM selvage_pch_asio)
  endif()
  if(tests)
    selvage_test(${name}_test SOURCES ${tests} DEPS ${name})
  endif()
endfunction()

# selvage_test(NAME SOURCES ... DEPS modules... EXTRA libraries...)
function(selvage_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;EXTRA" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set(deps)
  foreach(dep ${ARG_DEPS})
    list(APPEND deps selvage_${dep})
  endforeach()
  target_link_libraries(${name} PRIVATE selvage_flags selvage_asio ${deps} ${ARG_EXTRA} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE SELVAGE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_precompile_headers(${name} REUSE_FROM selvage_pch_test)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# selvage_table(SOURCE_VARIABLE FOLDER NOUN TYPE HEADER FUNCTION): writes a source file with the table of
# everything that a folder declares, and puts its name into SOURCE_VARIABLE. FOLDER/tcp.cc must define
# `tcp_NOUN` of TYPE; forgetting it is a link error that names it. FUNCTION returns the rows in the order of
# their file names. No row registers itself: a static library would drop it.
function(selvage_table source_variable folder noun type header function)
  file(GLOB rows CONFIGURE_DEPENDS ${folder}/*.cc)
  list(FILTER rows EXCLUDE REGEX "_test\\.cc$")
  list(SORT rows)
  cmake_path(GET folder PARENT_PATH module)
  cmake_path(GET module FILENAME module)
  set(declarations "")
  set(names "")
  foreach(row ${rows})
    cmake_path(GET row STEM stem)
    string(APPEND declarations "extern const ${type} ${stem}_${noun};\n")
    string(APPEND names "    &${stem}_${noun},\n")
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/generated/${module}_${noun}_table.cc)
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT
"// Written by the build from the files of ${folder}.
#include \"${header}\"

namespace selvage::${module} {

${declarations}
std::span<const ${type}* const> ${function}() {
    static constexpr const ${type}* kRows[] = {
${names}    };
    return kRows;
}

}  // namespace selvage::${module}
")
  set(${source_variable} ${out} PARENT_SCOPE)
endfunction()
