// A C++ library that has brought a C++ runtime along inside itself (-static-libstdc++ -static-libgcc).
extern "C" {
#include <lauxlib.h>
#include <lua.h>
}
#include <stdexcept>
#include <string>

namespace {

// Calls the function on top, which may wait, while a static variable is initialised.
int with_static(lua_State *L)
{
    static int value = [L] {
        lua_pushvalue(L, 1);
        return lua_pcall(L, 0, 0, 0);
    }();
    lua_pushinteger(L, value);
    return 1;
}

int fails_once(lua_State *L)
{
    static bool has_failed = false;
    try {
        static std::string text = [] {
            if (!has_failed) {
                has_failed = true;
                throw std::runtime_error("not yet");
            }
            return std::string("made");
        }();
        lua_pushstring(L, text.c_str());
    } catch (const std::exception &e) {
        lua_pushstring(L, e.what());
    }
    return 1;
}

// Calls function 2 while an exception with the text 1 is being caught; returns the text that is rethrown after that.
int catching(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    try {
        try {
            throw std::runtime_error(text);
        } catch (...) {
            lua_pushvalue(L, 2);
            lua_pcall(L, 0, 0, 0);
            throw;
        }
    } catch (const std::exception &e) {
        lua_pushstring(L, e.what());
    }
    return 1;
}

} // namespace

extern "C" __attribute__((visibility("default"))) int luaopen_own_cxx(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, with_static);
    lua_setfield(L, -2, "with_static");
    lua_pushcfunction(L, fails_once);
    lua_setfield(L, -2, "fails_once");
    lua_pushcfunction(L, catching);
    lua_setfield(L, -2, "catching");
    return 1;
}
