# moonlet_lua_api: what a program with the static liblua links, besides moonlet_static, to show C modules a few functions
# of Lua's API as vm/lua_api.h has them. liblua's own get other names in a copy of the archive, which liblua's other
# functions and moonlet's rooms call.

set(ML_LUA_API_NAMES lua_status lua_isyieldable lua_resume lua_resetthread lua_closethread)
add_library(moonlet_lua_api INTERFACE)

if(ML_STATIC_LUA AND LUA_STATIC_LIBRARY AND CMAKE_OBJCOPY)
  set(renamed ${PROJECT_BINARY_DIR}/liblua_renamed.a)
  foreach(name IN LISTS ML_LUA_API_NAMES)
    list(APPEND renames --redefine-sym ${name}=__wrap_${name})
    list(APPEND lua_wraps -Wl,--wrap=${name})
  endforeach()
  add_custom_command(
    OUTPUT ${renamed}
    COMMAND ${CMAKE_OBJCOPY} ${renames} ${LUA_STATIC_LIBRARY} ${renamed}
    DEPENDS ${LUA_STATIC_LIBRARY}
    COMMENT "Renaming functions of liblua"
    VERBATIM)
  add_custom_target(moonlet_renamed_lua DEPENDS ${renamed})

  # The collector keeps its name: liblua's other objects, which call it, come to export_collector.c instead.
  list(APPEND lua_wraps -Wl,--wrap=luaC_step -Wl,--wrap=luaC_fullgc)

  add_library(moonlet_lua_api_objects OBJECT ${PROJECT_SOURCE_DIR}/runtime/vm/export_lua.c
    ${PROJECT_SOURCE_DIR}/runtime/vm/export_collector.c)
  target_link_libraries(moonlet_lua_api_objects PRIVATE ml_internal)
  target_include_directories(moonlet_lua_api_objects SYSTEM PRIVATE ${LUA_INCLUDE_DIRS})
  target_compile_options(moonlet_lua_api_objects PRIVATE -fno-lto)
  target_sources(moonlet_lua_api INTERFACE $<TARGET_OBJECTS:moonlet_lua_api_objects>)
  target_link_options(moonlet_lua_api INTERFACE ${lua_wraps})

  # Of a target that has the property ML_LUA_API the archive is the copy (cmake/dependencies.cmake).
  function(ml_link_lua_api target)
    target_link_libraries(${target} PRIVATE moonlet_lua_api)
    set_target_properties(${target} PROPERTIES ML_LUA_API ${renamed})
    add_dependencies(${target} moonlet_renamed_lua)
  endfunction()
else()
  function(ml_link_lua_api target)
  endfunction()
endif()
