# Chooses the one file that implements the stack switch.
# Result: ML_SWITCH (the name) and ML_SWITCH_SOURCE (the file).

if(CMAKE_SIZEOF_VOID_P EQUAL 8 AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(native_switch x86_64)
elseif(CMAKE_SIZEOF_VOID_P EQUAL 8 AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(native_switch aarch64)
else()
  set(native_switch ucontext)
endif()

set(ML_SWITCH ${native_switch} CACHE STRING "Stack switch: x86_64, aarch64 or ucontext")
set_property(CACHE ML_SWITCH PROPERTY STRINGS x86_64 aarch64 ucontext)
if(NOT ML_SWITCH MATCHES "^(x86_64|aarch64|ucontext)$")
  message(FATAL_ERROR "ML_SWITCH is \"${ML_SWITCH}\"; it must be x86_64, aarch64 or ucontext.")
endif()

file(GLOB ML_SWITCH_SOURCE CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/runtime/coro/switch_${ML_SWITCH}.[cS])
