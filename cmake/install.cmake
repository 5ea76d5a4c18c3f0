# What `make install` puts where: the program, the shared library, static archives, headers, moonlet.pc and its
# companions, the CMake package, the manual page, the shell completion. `cmake --install --prefix` may choose
# another prefix than the one configured: nothing that is installed knows its place.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Until 1.0 a minor version may change the interface.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(ML_SOVERSION 0.${PROJECT_VERSION_MINOR})
else()
  set(ML_SOVERSION ${PROJECT_VERSION_MAJOR})
endif()

# ---- the shared library ----

# Never unloaded: its worker threads, and the signal actions it may have set, would be left without code.
add_library(moonlet_shared SHARED $<TARGET_OBJECTS:moonlet_coro> $<TARGET_OBJECTS:moonlet_static>)
set_target_properties(moonlet_shared PROPERTIES
  OUTPUT_NAME moonlet VERSION ${PROJECT_VERSION} SOVERSION ${ML_SOVERSION} LINKER_LANGUAGE C)
target_link_libraries(moonlet_shared PRIVATE ml_flags ml_shared_dependencies)
target_link_options(moonlet_shared PRIVATE -Wl,--no-undefined -Wl,-z,nodelete ${ML_PACKED_RELOCATIONS})

set_target_properties(moonlet_interpose_preload PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${ML_SOVERSION})

# ---- static archives, for any compiler and linker ----

# GCC's objects carry machine code and the form for link-time optimisation, which only this very version of GCC can
# read; clang's carry that form alone. What is installed has the machine code and nothing else.
set(machine_code moonlet_static)
if(CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE AND NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_library(moonlet_machine_code STATIC ${coro_sources} ${upper_sources} ${ML_STDLIB_SOURCE})
  set_target_properties(moonlet_machine_code PROPERTIES
    INTERPROCEDURAL_OPTIMIZATION_RELEASE OFF POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(moonlet_machine_code PRIVATE ml_internal ml_dependencies)
  set(machine_code moonlet_machine_code)
endif()

add_library(moonlet_interpose_archive STATIC $<TARGET_OBJECTS:moonlet_interpose_objects>)
set_target_properties(moonlet_interpose_archive PROPERTIES OUTPUT_NAME moonlet_interpose LINKER_LANGUAGE C)

set(archive_dir ${PROJECT_BINARY_DIR}/archives)
file(MAKE_DIRECTORY ${archive_dir})
function(ml_install_archive target file)
  add_custom_command(
    OUTPUT ${archive_dir}/${file}
    COMMAND ${CMAKE_STRIP} --strip-debug --enable-deterministic-archives
            --remove-section=.gnu.lto_* --remove-section=.gnu.debuglto_* --remove-section=.comment
            --strip-symbol=__gnu_lto_slim -o ${archive_dir}/${file} $<TARGET_FILE:${target}>
    DEPENDS ${target}
    COMMENT "Preparing ${file}"
    VERBATIM)
  add_custom_target(archive_${target} ALL DEPENDS ${archive_dir}/${file})
  install(FILES ${archive_dir}/${file} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
endfunction()
ml_install_archive(${machine_code} libmoonlet.a)
ml_install_archive(moonlet_interpose_archive libmoonlet_interpose.a)

# ---- programs and libraries ----

install(TARGETS moonlet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(TARGETS moonlet_shared moonlet_interpose_preload
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT dev)
install(FILES ${public_include}/moonlet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)

# ---- how a host is linked ----

set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH ML_PC_TO_PREFIX /${pc_dir} /)
string(REGEX REPLACE "/$" "" ML_PC_TO_PREFIX "${ML_PC_TO_PREFIX}")
string(REPLACE ";" " " ML_INTERPOSE_FLAGS "${ML_INTERPOSE_OPTIONS}")
foreach(name moonlet moonlet-static moonlet-interpose moonlet-interpose-static)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/install/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${pc_dir} COMPONENT dev)
endforeach()

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/moonlet)
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/install/moonletConfig.cmake.in ${PROJECT_BINARY_DIR}/moonletConfig.cmake
  INSTALL_DESTINATION ${config_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
else()
  set(compatibility SameMajorVersion)
endif()
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/moonletConfigVersion.cmake COMPATIBILITY ${compatibility})
install(
  FILES ${PROJECT_BINARY_DIR}/moonletConfig.cmake ${PROJECT_BINARY_DIR}/moonletConfigVersion.cmake
  DESTINATION ${config_dir} COMPONENT dev)

# ---- to read and to type ----

# Packages have it compressed.
configure_file(
  ${PROJECT_SOURCE_DIR}/docs/moonlet.1.in ${PROJECT_BINARY_DIR}/moonlet.1 @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/moonlet.1
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT unpackaged)
install(FILES ${PROJECT_SOURCE_DIR}/tools/completion/moonlet
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)

# The documentation lies as it does in the sources, so that its links hold.
set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc/moonlet)
foreach(file README.md CHANGELOG.md CONTRIBUTING.md LICENSE)
  install(FILES ${PROJECT_SOURCE_DIR}/${file} DESTINATION ${doc_dir} COMPONENT program)
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs ${PROJECT_SOURCE_DIR}/examples ${PROJECT_SOURCE_DIR}/scripts
  DESTINATION ${doc_dir} COMPONENT program
  FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "*.png" PATTERN "*.c" PATTERN "*.cpp" PATTERN "*.lua")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/stubs
  DESTINATION ${CMAKE_INSTALL_DATADIR}/moonlet COMPONENT program)
