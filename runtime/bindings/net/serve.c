#include "bindings/net/serve.h"

#include <lauxlib.h>

/* The stack at the start; at the call of the handler it holds but the guard, in the place of the
 * server. */
enum { SERVER = 1, CONN, GUARD, HANDLER, WAITING };

static void push_guard(lua_State *L)
{
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, CONN);
    lua_rawseti(L, GUARD, 1);
    lua_getfield(L, SERVER, "guard");
    lua_setmetatable(L, GUARD);
}

/* Replaces the server by the guard, whose metamethod is called from now on. */
static void set_guard(lua_State *L)
{
    lua_copy(L, GUARD, SERVER);
    lua_toclose(L, SERVER);
}

int ml_net_serve_one(lua_State *L)
{
    lua_settop(L, CONN);
    push_guard(L);
    lua_getfield(L, SERVER, "handler");
    lua_getfield(L, SERVER, "waiting");
    set_guard(L);
    lua_pushvalue(L, CONN);
    lua_pushnil(L);
    lua_rawset(L, WAITING);
    lua_settop(L, HANDLER);
    lua_replace(L, GUARD);
    lua_insert(L, CONN);
    lua_call(L, 1, 0);
    return 0;
}
