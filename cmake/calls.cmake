# Reads runtime/interpose/calls.def, the list of the calls of libc that moonlet answers. Sets:
#   ML_INTERPOSE_NAMES  the names that are exported
#   ML_WRAPPED_NAMES    those of them that go to libc when moonlet's own rooms call them
#   ML_GENERATED_DIR    a folder with interpose/calls_list.h, the lists for the compiler

set(calls_def ${PROJECT_SOURCE_DIR}/runtime/interpose/calls.def)
set(ML_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${calls_def})
set(ML_INTERPOSE_NAMES "")
set(ML_WRAPPED_NAMES "")

# The fields of each class, in the order of the lines.
set(call_fields class result name parameters arguments)
foreach(class wait stdio watch print)
  set(fields_of_${class} ${call_fields})
endforeach()
set(fields_of_alias ${call_fields} base)
set(fields_of_checked ${call_fields} base needed)
set(fields_of_other class name)

# A line that begins with a blank continues the one before. Comments and empty lines are dropped.
file(READ ${calls_def} lines)
string(REGEX REPLACE "\n +" " " lines "${lines}")
string(REGEX REPLACE "(^|\n)#[^\n]*" "\\1" lines "${lines}")
string(REGEX REPLACE "\n+" ";" lines "${lines}")
list(REMOVE_ITEM lines "")

foreach(line IN LISTS lines)
  string(REGEX REPLACE " *\\| *" ";" values "${line}")
  list(GET values 0 class)
  list(LENGTH values value_count)
  list(LENGTH fields_of_${class} field_count)
  if(NOT value_count EQUAL field_count)
    message(FATAL_ERROR "${calls_def}: not a class, or not the fields of that class: ${line}")
  endif()
  foreach(field value IN ZIP_LISTS fields_of_${class} values)
    set(${field} "${value}")
  endforeach()

  list(APPEND ML_INTERPOSE_NAMES ${name})
  if(class MATCHES "^(wait|watch)$")
    list(APPEND ML_WRAPPED_NAMES ${name})
  endif()
  if(class MATCHES "^(wait|stdio|watch)$")
    set(entry "${result}, ${name}, (${parameters}), (${arguments})")
  elseif(class STREQUAL "alias")
    set(entry "${result}, ${name}, ${base}, (${parameters}), (${arguments})")
  elseif(class STREQUAL "checked")
    set(entry "${result}, ${name}, ${base}, (${parameters}), ${needed}, (${arguments})")
  elseif(class STREQUAL "print")
    set(entry "${name}, (${parameters}), (${arguments})")
  endif()
  string(APPEND ${class}_list " \\\n    X(${entry})")
endforeach()

file(CONFIGURE OUTPUT ${ML_GENERATED_DIR}/interpose/calls_list.h @ONLY CONTENT
"/* Made by cmake/calls.cmake from runtime/interpose/calls.def. */
#define ML_WAITING_CALLS(X)@wait_list@

#define ML_STDIO_CALLS(X)@stdio_list@

#define ML_WATCHED_CALLS(X)@watch_list@

#define ML_ALIASES(X)@alias_list@

#define ML_CHECKED_CALLS(X)@checked_list@

#define ML_PRINTING_CALLS(X)@print_list@
")
