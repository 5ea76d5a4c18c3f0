#include "bindings/postgres/values.h"

#include "bindings/data/json_decode.h"
#include "bindings/data/json_values.h"
#include "bindings/postgres/array.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of types that never change (pg_type.dat of PostgreSQL). */
enum {
    BOOL = 16,
    BYTEA = 17,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    OID = 26,
    JSON = 114,
    FLOAT4 = 700,
    FLOAT8 = 701,
    JSONB = 3802
};

static void push_integer(lua_State *L, const char *text)
{
    bool is_negative = *text == '-';
    lua_Unsigned value = 0;
    for (text += is_negative; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (lua_Unsigned)(*text - '0');
    lua_pushinteger(L, (lua_Integer)(is_negative ? 0 - value : value));
}

/* Lua reads a number by the same rules, except NaN and Infinity; "-0" would be an integer. */
static void push_float(lua_State *L, const char *text)
{
    if (lua_stringtonumber(L, text) == 0) {
        lua_pushnumber(L, strtod(text, NULL));
    } else if (lua_isinteger(L, -1)) {
        lua_Number value = lua_tonumber(L, -1);
        lua_pop(L, 1);
        lua_pushnumber(L, *text == '-' && value == 0 ? -0.0 : value);
    }
}

/* Of what is no digit some number. */
static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

static void push_hex(lua_State *L, const char *text, size_t size)
{
    luaL_Buffer bytes;
    char *out = luaL_buffinitsize(L, &bytes, size / 2);
    for (size_t i = 0; i + 1 < size; i += 2)
        *out++ = (char)(digit(text[i]) << 4 | digit(text[i + 1]));
    luaL_pushresultsize(&bytes, size / 2);
}

static bool is_octal_byte(const char *text)
{
    bool is = true;
    for (int i = 0; i < 3; i++)
        is = is && text[i] >= '0' && text[i] <= '7';
    return is;
}

/* bytea_output = 'escape': \\ and \ooo. */
static void push_escaped(lua_State *L, const char *text, size_t size)
{
    luaL_Buffer bytes;
    char *out = luaL_buffinitsize(L, &bytes, size);
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        bool is_octal = text[i] == '\\' && i + 3 < size && is_octal_byte(text + i + 1);
        if (is_octal) {
            out[length++] =
                (char)((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
            i += 3;
        } else {
            i += text[i] == '\\' && i + 1 < size;
            out[length++] = text[i];
        }
    }
    luaL_pushresultsize(&bytes, length);
}

static void push_bytes(lua_State *L, const char *text, size_t size)
{
    if (size >= 2 && text[0] == '\\' && text[1] == 'x')
        push_hex(L, text + 2, size - 2);
    else
        push_escaped(L, text, size);
}

/* A text that PostgreSQL's json takes and moonlet.json does not, such as one with a lone surrogate,
 * stays a string. */
static void push_json(lua_State *L, const char *text, size_t size)
{
    struct ml_json_reading how = {.max_depth = ML_JSON_DEPTH, .first_line = 1};
    int top = lua_gettop(L);
    if (ml_json_decode(L, text, size, how) != 1)
        lua_pushlstring(L, text, size);
    lua_replace(L, top + 1); /* what the decoder has left below it goes */
    lua_settop(L, top + 1);
}

/* Pushes what the script's function makes of it. False: there is none for the type. */
static bool push_override(lua_State *L, const struct ml_pg_reading *how, Oid type, const char *text,
                          size_t size)
{
    if (how->types == 0)
        return false;
    if (lua_rawgeti(L, how->types, (lua_Integer)type) == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushlstring(L, text, size);
    lua_call(L, 1, 1);
    return true;
}

static void push_builtin(lua_State *L, const struct ml_pg_reading *how, Oid type, const char *text,
                         size_t size)
{
    Oid element = ml_pg_element_type(type);
    if (element != 0)
        ml_pg_push_array(L, how, ml_pg_push_value, element, text, size);
    else
        lua_pushlstring(L, text, size);
}

void ml_pg_push_value(lua_State *L, const struct ml_pg_reading *how, Oid type, const char *text,
                      size_t size)
{
    if (push_override(L, how, type, text, size))
        return;
    switch (type) {
    case BOOL:
        lua_pushboolean(L, text[0] == 't');
        break;
    case INT2:
    case INT4:
    case INT8:
    case OID:
        push_integer(L, text);
        break;
    case FLOAT4:
    case FLOAT8:
        push_float(L, text);
        break;
    case BYTEA:
        push_bytes(L, text, size);
        break;
    case JSON:
    case JSONB:
        push_json(L, text, size);
        break;
    default:
        push_builtin(L, how, type, text, size);
    }
}
