# Debian packages, by `make package` (cpack -G DEB): the program, the shared libraries, and what is needed to
# build with them. Their dependencies are those that dpkg-shlibdeps finds.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME moonlet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program library dev)

# Who answers for a package is who made it. The two variables are those of Debian's own tools.
if(DEFINED ENV{DEBFULLNAME} AND DEFINED ENV{DEBEMAIL})
  set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
else()
  set(maintainer "the authors of moonlet <moonlet@localhost>")
endif()
set(ML_MAINTAINER "${maintainer}" CACHE STRING "Name and address in the Debian packages: NAME <ADDRESS>")
set(CPACK_PACKAGE_CONTACT "${ML_MAINTAINER}")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(DPKG_SHLIBDEPS)
if(DPKG_SHLIBDEPS)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=")

set(library_package libmoonlet${ML_SOVERSION})
set(loaded "libev4 | libev4t64, libc-ares2 | libcares2") # by the runtime, for itself alone
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "${loaded}")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "${loaded}")
set(tls "libssl3 | libssl3t64") # loaded at first use, like the next
set(http "zlib1g, libnghttp2-14")

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME moonlet)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "${tls}, ${http}, libedit2, libpq5") # all loaded at first use
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
  "Lua 5.4 runtime with green threads\n\
Runs Lua 5.4 scripts as lua5.4 does, each in tasks with real C stacks:\n\
code blocks where it likes, and never blocks anybody else. The modules for\n\
tasks, channels and networking are in the program, which is one file.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library_package})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "${tls}, ${http}")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
  "Lua 5.4 runtime with green threads, shared libraries\n\
For applications that run Lua in green threads, to the end or step by step\n\
in a loop of their own. libmoonlet_interpose, to be preloaded, has the\n\
blocking calls of other C libraries wait for their task alone.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libmoonlet-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
  "${library_package} (= ${PROJECT_VERSION}), liblua5.4-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_COMPONENT_DEV_DESCRIPTION
  "Lua 5.4 runtime with green threads, development files\n\
What is needed to build applications that run Lua in green threads: the\n\
header moonlet.h, static archives, pkg-config files and a CMake package.")

# ---- files that only packages have ----

set(debian_dir ${PROJECT_BINARY_DIR}/debian)
file(MAKE_DIRECTORY ${debian_dir})

# Rules that are excluded from all are those of CPack, which installs component by component.
function(ml_install_packaged component file directory)
  install(FILES ${file} DESTINATION ${CMAKE_INSTALL_DATADIR}/${directory} COMPONENT ${component} EXCLUDE_FROM_ALL ${ARGN})
endfunction()

# FILE.gz in that directory.
function(ml_compress file)
  get_filename_component(name ${file} NAME)
  file(ARCHIVE_CREATE OUTPUT ${debian_dir}/${name}.gz PATHS ${file} FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9)
endfunction()

# Each package says what it may be used for, and has a changelog of Debian's form, which points to ours.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # that of SOURCE_DATE_EPOCH, where it is set
foreach(package "program:moonlet" "library:${library_package}" "dev:libmoonlet-dev")
  string(REGEX REPLACE "(.*):(.*)" "\\1;\\2" package "${package}")
  list(GET package 0 component)
  list(GET package 1 name)
  ml_install_packaged(${component} ${PROJECT_SOURCE_DIR}/LICENSE doc/${name} RENAME copyright)
  ml_install_packaged(${component} ${debian_dir}/changelog.gz doc/${name})
endforeach()
file(WRITE ${debian_dir}/changelog "moonlet (${PROJECT_VERSION}) unstable; urgency=medium\n\n\
  * CHANGELOG.md, in the documentation of the package moonlet, says what is new.\n\n\
 -- ${ML_MAINTAINER}  ${date}\n")
ml_compress(${debian_dir}/changelog)

ml_compress(${PROJECT_BINARY_DIR}/moonlet.1)
ml_install_packaged(program ${debian_dir}/moonlet.1.gz man/man1)

# CPack's own scripts call ldconfig; the trigger has it called once for all packages of an installation.
file(WRITE ${debian_dir}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${debian_dir}/triggers)

include(CPack)
