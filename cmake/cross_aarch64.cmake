# Builds base, coro and the AArch64 switch with a cross compiler and runs all unit tests of coro in qemu. There is no
# cmocka for that machine: tests/cross/cmocka.h stands in. Without the two tools, or without the cross C library, the
# tests show as skipped.

find_program(AARCH64_GCC aarch64-linux-gnu-gcc)
find_program(QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static)
mark_as_advanced(AARCH64_GCC QEMU_AARCH64)
if(ML_SANITIZE OR ML_TSAN OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  return()
endif()

function(ml_skip_aarch64 reason)
  ml_add_test(cross.aarch64 sh -c "echo 'pending: ${reason}' && exit 77")
  set_tests_properties(cross.aarch64 PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

if(NOT AARCH64_GCC OR NOT QEMU_AARCH64)
  ml_skip_aarch64("needs aarch64-linux-gnu-gcc and qemu-aarch64 (gcc-aarch64-linux-gnu, qemu-user)")
  return()
endif()

set(cross_dir ${CMAKE_CURRENT_BINARY_DIR}/aarch64)
file(MAKE_DIRECTORY ${cross_dir})
if(NOT DEFINED ML_AARCH64_WORKS)
  file(WRITE ${cross_dir}/probe.c "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n")
  execute_process(
    COMMAND ${AARCH64_GCC} -static -o ${cross_dir}/probe ${cross_dir}/probe.c
    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(ML_AARCH64_WORKS OFF CACHE INTERNAL "The AArch64 compiler can link a program")
  else()
    set(ML_AARCH64_WORKS ON CACHE INTERNAL "The AArch64 compiler can link a program")
  endif()
endif()

file(GLOB cross_switch CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/coro/switch_aarch64.S)
file(GLOB cross_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/coro/test_*.c)
if(NOT ML_AARCH64_WORKS OR NOT cross_switch)
  ml_skip_aarch64("aarch64-linux-gnu-gcc cannot link a program (libc6-dev-arm64-cross)")
  return()
endif()

file(GLOB cross_sources CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/runtime/base/*.c ${PROJECT_SOURCE_DIR}/runtime/coro/*.c
  ${PROJECT_SOURCE_DIR}/tests/cross/*.c)
list(FILTER cross_sources EXCLUDE REGEX "/runtime/coro/switch_[^/]*\\.c$")
file(GLOB cross_headers CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/runtime/base/*.h ${PROJECT_SOURCE_DIR}/runtime/coro/*.h
  ${PROJECT_SOURCE_DIR}/tests/cross/*.h ${PROJECT_SOURCE_DIR}/tests/unit/*.h ${PROJECT_SOURCE_DIR}/tests/unit/coro/*.h)
get_target_property(cross_warnings ml_flags INTERFACE_COMPILE_OPTIONS)
string(REGEX MATCHALL "-W[a-z-]+" cross_warnings "${cross_warnings}")

foreach(source IN LISTS cross_tests)
  get_filename_component(name ${source} NAME_WE)
  set(program ${cross_dir}/${name})
  add_custom_command(
    OUTPUT ${program}
    COMMAND ${AARCH64_GCC} -std=gnu11 -O2 -g -static ${cross_warnings} -D_GNU_SOURCE=
            "-DMOONLET_VERSION=\"${PROJECT_VERSION}\"" $<$<BOOL:${ML_HOSTILE}>:-DML_HOSTILE=1>
            -I${PROJECT_SOURCE_DIR}/runtime -I${PROJECT_SOURCE_DIR}/tests/cross -Wl,--wrap=madvise -o ${program}
            ${source} ${cross_sources} ${cross_switch} -pthread
    DEPENDS ${source} ${cross_sources} ${cross_switch} ${cross_headers}
    COMMENT "Building ${name} for AArch64"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(cross_${name} ALL DEPENDS ${program})
  string(REGEX REPLACE "^test_" "" name ${name})
  ml_add_test(cross.aarch64.${name} ${QEMU_AARCH64} ${program})
endforeach()
