# What counts in pointers, compiled for a machine where those have 32 bits: tests/cross/bare/.

if(ML_SANITIZE OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  return()
endif()
ml_add_test(cross.32_bits sh ${PROJECT_SOURCE_DIR}/tests/cross/bare/run.sh ${CMAKE_C_COMPILER} ${CMAKE_CURRENT_BINARY_DIR}/32_bits)
set_tests_properties(cross.32_bits PROPERTIES SKIP_RETURN_CODE 77)
