/*
 * The reader of JSON (bindings/data/json.h) in a Lua state of its own: what it takes is written as
 * a text that it reads as the same, and what it refuses it refuses in a sentence.
 */
#include "fuzz.h"

#include "base/check.h"
#include "bindings/data/json_decode.h"
#include "bindings/data/json_encode.h"
#include "bindings/data/json_values.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

static const struct ml_json_reading reading = {.max_depth = 100, .first_line = 1};

static void check_refusal(lua_State *L)
{
    ML_CHECK(lua_isnil(L, -3) && strncmp(lua_tostring(L, -2), "line ", 5) == 0);
    ML_CHECK(strcmp(lua_tostring(L, -1), "EJSON") == 0);
}

/* Stack: a value. */
static void check_round_trip(lua_State *L)
{
    static const struct ml_json_writing forms[] = {
        {.max_depth = 100, .sorts_keys = true},
        {.max_depth = 100, .sorts_keys = true, .indent = "\t", .indent_size = 1}};
    int value = lua_gettop(L);
    ml_json_encode(L, value, forms[0]);
    for (int i = 0; i < 2; i++) {
        size_t size;
        ml_json_encode(L, value, forms[i]);
        const char *text = lua_tolstring(L, -1, &size);
        ML_CHECK(ml_json_decode(L, text, size, reading) == 1);
        ml_json_encode(L, -1, forms[0]);
        ML_CHECK(lua_rawequal(L, value + 1, -1));
        lua_settop(L, value + 1);
    }
}

static int run(lua_State *L)
{
    size_t size;
    const char *text = lua_tolstring(L, 1, &size);
    if (ml_json_decode(L, text, size, reading) == 1)
        check_round_trip(L);
    else
        check_refusal(L);
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
    lua_settop(L, 0);
    lua_pushcfunction(L, run);
    lua_pushlstring(L, (const char *)data, size);
    ML_CHECK(lua_pcall(L, 1, 0, 0) == LUA_OK);
    return 0;
}
