/*
 * The reader of PostgreSQL's values and arrays in text format (bindings/postgres/values.h), in a
 * Lua state of its own. The first byte chooses the type, the rest is the server's text: whatever a
 * server sends is one value, and the stack is as before.
 */
#include "fuzz.h"

#include "base/check.h"
#include "bindings/data/json_values.h"
#include "bindings/postgres/values.h"

#include <lauxlib.h>
#include <lua.h>

/* int8, int4[], bool[], text[], float8, bytea, jsonb, bytea[], float8[], jsonb[] and a type that
 * nobody knows. */
static const Oid types[] = {20, 1007, 1000, 1009, 701, 17, 3802, 1001, 1022, 3807, 99999};

enum { KINDS = sizeof types / sizeof *types };

/* Stack: type, text. */
static int run(lua_State *L)
{
    size_t size;
    Oid type = (Oid)lua_tointeger(L, 1);
    const char *text = lua_tolstring(L, 2, &size);
    struct ml_pg_reading how = {0, 0, 0};
    ml_json_push_null(L);
    how.element_null = lua_gettop(L);
    int top = lua_gettop(L);
    ml_pg_push_value(L, &how, type, text, size);
    ML_CHECK(lua_gettop(L) == top + 1 && !lua_isnil(L, -1));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lua_State *L;
    if (L == NULL) {
        L = luaL_newstate();
        ML_CHECK(L != NULL);
        ml_json_open_types(L);
    }
    if (size == 0)
        return 0;
    lua_settop(L, 0);
    lua_pushcfunction(L, run);
    lua_pushinteger(L, (lua_Integer)types[data[0] % KINDS]);
    lua_pushlstring(L, (const char *)data + 1, size - 1);
    ML_CHECK(lua_pcall(L, 2, 0, 0) == LUA_OK);
    return 0;
}
