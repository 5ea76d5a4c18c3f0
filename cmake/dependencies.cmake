# Finds what moonlet links with. Everything missing is told in one message, not one per run.
# Result: the targets ml_dependencies (Lua, and the headers of libev and c-ares), ml_shared_dependencies (the same for the
# shared library) and, with tests, ml_cmocka.

set(missing "")
find_package(Threads)
if(NOT Threads_FOUND)
  string(APPEND missing "  POSIX threads                   Debian package: libc6-dev\n")
endif()

find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
  pkg_check_modules(LUA QUIET IMPORTED_TARGET lua5.4)
  pkg_check_modules(CARES QUIET IMPORTED_TARGET libcares)
  pkg_check_modules(OPENSSL QUIET libssl>=3.0) # its headers; the library is loaded at first use
  pkg_check_modules(ZLIB QUIET zlib) # likewise
  pkg_check_modules(NGHTTP2 QUIET libnghttp2)
  pkg_check_modules(LIBPQ QUIET libpq)
  pkg_check_modules(SQLITE QUIET sqlite3) # likewise
  if(ML_TESTS)
    pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
  endif()
else()
  string(APPEND missing "  pkg-config                      Debian package: pkg-config\n")
endif()
if(NOT LUA_FOUND)
  string(APPEND missing "  Lua 5.4 (lua5.4.pc)             Debian package: liblua5.4-dev\n")
endif()
if(NOT CARES_FOUND)
  string(APPEND missing "  c-ares (libcares.pc)            Debian package: libc-ares-dev\n")
endif()
if(NOT OPENSSL_FOUND)
  string(APPEND missing "  OpenSSL 3 headers (libssl.pc)   Debian package: libssl-dev\n")
endif()
if(NOT ZLIB_FOUND)
  string(APPEND missing "  zlib headers (zlib.pc)          Debian package: zlib1g-dev\n")
endif()
if(NOT NGHTTP2_FOUND)
  string(APPEND missing "  nghttp2 headers (libnghttp2.pc) Debian package: libnghttp2-dev\n")
endif()
if(NOT LIBPQ_FOUND)
  string(APPEND missing "  libpq headers (libpq.pc)        Debian package: libpq-dev\n")
endif()
if(NOT SQLITE_FOUND)
  string(APPEND missing "  SQLite headers (sqlite3.pc)     Debian package: libsqlite3-dev\n")
endif()

# Of libev and c-ares the headers: the libraries are loaded at run time (hub/loop/libev.h, io/cares.h). libev ships no .pc file
# on Debian. Its library is for tests that are hosts with a loop of libev's.
find_path(EV_INCLUDE_DIR ev.h PATH_SUFFIXES libev)
find_library(EV_LIBRARY ev)
mark_as_advanced(EV_INCLUDE_DIR EV_LIBRARY)
if(NOT EV_INCLUDE_DIR OR NOT EV_LIBRARY)
  string(APPEND missing "  libev (ev.h and the library)    Debian package: libev-dev\n")
endif()

if(ML_TESTS AND NOT CMOCKA_FOUND)
  string(APPEND missing
    "  cmocka, for the tests           Debian package: libcmocka-dev (or set -DML_TESTS=OFF)\n")
endif()

if(missing)
  message(FATAL_ERROR
    "moonlet cannot be built yet, this is missing:\n${missing}"
    "On Debian and Ubuntu, `make deps` installs all of it.")
endif()

# The distribution's static liblua where there is one, as in its own lua5.4: an API call is then a
# plain call (measured: task.yield 55 -> 44 ns on a busy machine). All of it goes in and is exported,
# for C modules expect the whole API in the program that loads them.
option(ML_STATIC_LUA "Link the static liblua5.4 where the system has it" ON)
find_library(LUA_STATIC_LIBRARY liblua5.4.a)
mark_as_advanced(LUA_STATIC_LIBRARY)
if(ML_STATIC_LUA AND LUA_STATIC_LIBRARY)
  set(lua_libraries -Wl,--export-dynamic
    -Wl,--whole-archive ${LUA_STATIC_LIBRARY} -Wl,--no-whole-archive)
else()
  set(lua_libraries PkgConfig::LUA)
endif()

# A target with the property ML_LUA_API has that archive instead: cmake/lua_api.cmake.
string(REPLACE "${LUA_STATIC_LIBRARY}"
  "$<IF:$<BOOL:$<TARGET_PROPERTY:ML_LUA_API>>,$<TARGET_PROPERTY:ML_LUA_API>,${LUA_STATIC_LIBRARY}>"
  linked_lua "${lua_libraries}")

add_library(ml_dependencies INTERFACE)
target_include_directories(ml_dependencies SYSTEM INTERFACE ${LUA_INCLUDE_DIRS})
target_include_directories(ml_dependencies SYSTEM INTERFACE ${EV_INCLUDE_DIR} ${CARES_INCLUDE_DIRS}
  ${LIBPQ_INCLUDE_DIRS})
target_link_libraries(ml_dependencies INTERFACE
  ${linked_lua} Threads::Threads ${CMAKE_DL_LIBS} m)

# A shared library brings the shared liblua along: where C modules look for Lua's functions they find those, and the
# process has one Lua, whatever else in it uses liblua.
add_library(ml_shared_dependencies INTERFACE)
target_link_libraries(ml_shared_dependencies INTERFACE
  PkgConfig::LUA Threads::Threads ${CMAKE_DL_LIBS} m)

if(ML_TESTS)
  add_library(ml_cmocka INTERFACE)
  target_link_libraries(ml_cmocka INTERFACE PkgConfig::CMOCKA)
endif()
