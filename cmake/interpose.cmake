# moonlet_interpose: what a program links, besides moonlet_static, to answer the blocking calls of C libraries.
# Its objects define libc's names, which the linker exports. Calls of moonlet's own rooms are sent to __wrap_...,
# which are libc's: they never wait twice.

set(interpose_dir ${PROJECT_SOURCE_DIR}/runtime/interpose)

# For cmake/install.cmake, too.
list(TRANSFORM ML_WRAPPED_NAMES PREPEND -Wl,--wrap= OUTPUT_VARIABLE wraps)
list(TRANSFORM ML_INTERPOSE_NAMES PREPEND -Wl,--export-dynamic-symbol= OUTPUT_VARIABLE exports)
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
