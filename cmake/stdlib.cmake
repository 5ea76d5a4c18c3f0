# Turns stdlib/**/*.lua into one C file, so that the program needs no files at run time.
# Result: ML_STDLIB_SOURCE.

set(stdlib_dir ${PROJECT_SOURCE_DIR}/stdlib)
set(stdlib_list ${PROJECT_BINARY_DIR}/stdlib_modules.list)
set(stdlib_script ${CMAKE_CURRENT_LIST_DIR}/embed_stdlib.cmake)
file(GLOB_RECURSE stdlib_files CONFIGURE_DEPENDS RELATIVE ${stdlib_dir} ${stdlib_dir}/*.lua)
file(GLOB stdlib_header CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/vm/stdlib.h)

# The list goes through a file, written only when it differs: a module that was removed also
# makes the C file out of date.
file(GENERATE OUTPUT ${stdlib_list} CONTENT "${stdlib_files}")

set(ML_STDLIB_SOURCE "")
if(stdlib_header)
  set(ML_STDLIB_SOURCE ${PROJECT_BINARY_DIR}/stdlib_modules.c)
  list(TRANSFORM stdlib_files PREPEND ${stdlib_dir}/ OUTPUT_VARIABLE stdlib_inputs)
  add_custom_command(
    OUTPUT ${ML_STDLIB_SOURCE}
    COMMAND ${CMAKE_COMMAND} -D LIST=${stdlib_list} -D ROOT=${stdlib_dir}
            -D OUTPUT=${ML_STDLIB_SOURCE} -P ${stdlib_script}
    DEPENDS ${stdlib_inputs} ${stdlib_list} ${stdlib_script}
    COMMENT "Embedding stdlib"
    VERBATIM)
endif()
