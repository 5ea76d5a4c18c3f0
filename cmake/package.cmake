# Debian packages, by `make package` (cpack -G DEB): the program, the shared libraries, and what is needed to
# build with them. Their dependencies are those that dpkg-shlibdeps finds.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME moonlet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "the authors of moonlet <moonlet@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program library dev)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(DPKG_SHLIBDEPS)
if(DPKG_SHLIBDEPS)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=")

set(library_package libmoonlet${ML_SOVERSION})
set(tls "libssl3 | libssl3t64") # loaded at first use

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME moonlet)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS ${tls})
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
  "Lua 5.4 runtime with green threads\n\
Runs Lua 5.4 scripts as lua5.4 does, each in tasks with real C stacks:\n\
code blocks where it likes, and never blocks anybody else.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library_package})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS ${tls})
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
  "Lua 5.4 runtime with green threads, shared libraries\n\
For applications that run Lua in green threads.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libmoonlet-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
  "${library_package} (= ${PROJECT_VERSION}), liblua5.4-dev, libev-dev, libc-ares-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_COMPONENT_DEV_DESCRIPTION
  "Lua 5.4 runtime with green threads, development files\n\
Header, static archives, pkg-config files and CMake package.")

# Each package says what it may be used for.
foreach(package "program:moonlet" "library:${library_package}" "dev:libmoonlet-dev")
  string(REGEX REPLACE "(.*):(.*)" "\\1;\\2" package "${package}")
  list(GET package 0 component)
  list(GET package 1 name)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name}
    COMPONENT ${component} RENAME copyright)
endforeach()

include(CPack)
