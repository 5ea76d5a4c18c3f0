# moonlet_interpose: what a program links, besides moonlet_static, to answer the blocking calls of C libraries.
# Its objects define libc's names, which the linker exports. Calls of moonlet's own rooms are sent to __wrap_...,
# which are libc's: they never wait twice.

set(interpose_dir ${PROJECT_SOURCE_DIR}/runtime/interpose)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${interpose_dir}/calls.h ${interpose_dir}/exports.c ${interpose_dir}/exports_no_wait.c)

# The names in the list; `stdio` those among them that the rooms share with the Lua library.
file(READ ${interpose_dir}/calls.h calls)
string(REGEX REPLACE ".*#define ML_STDIO_CALLS(.*)#define ML_WATCHED_CALLS.*" "\\1" stdio_calls "${calls}")
string(REGEX MATCHALL "X\\([a-zA-Z_ *]+, [a-z_0-9]+," lines "${calls}")
string(REGEX MATCHALL "X\\([a-zA-Z_ *]+, [a-z_0-9]+," stdio_lines "${stdio_calls}")
list(APPEND exported_names ${lines})
list(REMOVE_ITEM lines ${stdio_lines})
list(TRANSFORM lines REPLACE ".*, ([a-z_0-9]+),$" "-Wl,--wrap=\\1" OUTPUT_VARIABLE wraps)

# Those and their other names.
file(READ ${interpose_dir}/exports.c exports)
file(READ ${interpose_dir}/exports_no_wait.c exports_no_wait)
string(REGEX MATCHALL "(ALIAS|CHECKED)\\([a-z_ *]+, [a-zA-Z_0-9]+,|PRINT\\([a-z_0-9]+,|PUBLIC [a-zA-Z ]+[ *]+[a-z_]+\\([a-zA-Z]"
  others "${exports}${exports_no_wait}")
list(TRANSFORM others REPLACE ".*[ *(]([a-zA-Z_0-9]+)[,(][a-zA-Z]*$" "\\1")
list(TRANSFORM exported_names REPLACE ".*, ([a-z_0-9]+),$" "\\1")
list(APPEND exported_names ${others})
list(REMOVE_DUPLICATES exported_names)
list(REMOVE_ITEM exported_names name alias)
list(TRANSFORM exported_names PREPEND -Wl,--export-dynamic-symbol= OUTPUT_VARIABLE exports)

# For cmake/install.cmake, and for the test that compares them with what is exported.
set(ML_INTERPOSE_NAMES ${exported_names})
set(ML_INTERPOSE_OPTIONS ${wraps} ${exports})

set(export_sources
  ${interpose_dir}/exports.c ${interpose_dir}/exports_no_wait.c ${interpose_dir}/exporter.c)
# Without glibc's inline definitions of some of the names: clang takes no second one that is visible.
set(export_options -fno-lto -fno-builtin -U_FORTIFY_SOURCE -D__NO_INLINE__)

add_library(moonlet_interpose_objects OBJECT
  ${export_sources} ${interpose_dir}/exporter_program.c)
target_link_libraries(moonlet_interpose_objects PRIVATE ml_internal)
target_compile_options(moonlet_interpose_objects PRIVATE ${export_options})
add_library(moonlet_interpose INTERFACE)
target_sources(moonlet_interpose INTERFACE $<TARGET_OBJECTS:moonlet_interpose_objects>)
target_link_options(moonlet_interpose INTERFACE ${ML_INTERPOSE_OPTIONS})

# The same names for a host that is not linked with them: LD_PRELOAD=libmoonlet_interpose.so host.
add_library(moonlet_interpose_preload SHARED
  ${export_sources} ${interpose_dir}/exporter_preload.c)
set_target_properties(moonlet_interpose_preload PROPERTIES OUTPUT_NAME moonlet_interpose)
target_link_libraries(moonlet_interpose_preload PRIVATE ml_internal)
target_compile_options(moonlet_interpose_preload PRIVATE ${export_options})
target_compile_definitions(moonlet_interpose_preload PRIVATE ML_PRELOAD=1)
