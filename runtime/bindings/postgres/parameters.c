#include "bindings/postgres/parameters.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static Oid type_of(char letter)
{
    static const Oid types[128] = {
        ['b'] = 16,   ['i'] = 23,   ['l'] = 20,   ['d'] = 701,  ['y'] = 17,
        ['j'] = 3802, ['I'] = 1007, ['L'] = 1016, ['D'] = 1022, ['B'] = 1000};
    return types[letter & 127];
}

/* ---- signatures ---- */

/* 0: no plain value. */
static char letter_of(lua_State *L, int index, char otherwise)
{
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return otherwise;
    case LUA_TSTRING:
        return '0';
    case LUA_TBOOLEAN:
        return 'b';
    case LUA_TNUMBER:
        if (!lua_isinteger(L, index))
            return 'd';
        return lua_tointeger(L, index) == (int32_t)lua_tointeger(L, index) ? 'i' : 'l';
    default:
        return 0;
    }
}

static int push_signature(lua_State *L, const char *previous, size_t known, char *letters,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        letters[i] = letter_of(L, (int)i + 2, i < known ? previous[i] : '0');
        if (letters[i] == 0) {
            lua_pushnil(L);
            lua_pushinteger(L, (lua_Integer)i + 1);
            return 2;
        }
    }
    lua_pushlstring(L, letters, count);
    return 1;
}

int ml_pg_signature(lua_State *L)
{
    char few[ML_PG_FEW_PARAMETERS];
    size_t known = 0, count = (size_t)lua_gettop(L) - 1;
    const char *previous = luaL_optlstring(L, 1, "", &known);
    char *letters = count <= sizeof few ? few : lua_newuserdatauv(L, count, 0);
    return push_signature(L, previous, known, letters, count);
}

/* ---- values ---- */

static void init_arrays(lua_State *L, int count, struct ml_pg_parameters *p)
{
    p->count = count;
    p->types = p->few_types;
    p->values = p->few_values;
    p->lengths = p->few_lengths;
    p->formats = p->few_formats;
    p->numbers = p->few_numbers;
    if (count <= ML_PG_FEW_PARAMETERS)
        return;
    size_t n = (size_t)count;
    size_t each = sizeof *p->values + sizeof *p->numbers + sizeof *p->types + 2 * sizeof(int);
    p->values = lua_newuserdatauv(L, n * each, 0);
    p->numbers = (struct ml_pg_parameter_texts *)(p->values + n);
    p->types = (Oid *)(p->numbers + n);
    p->lengths = (int *)(p->types + n);
    p->formats = p->lengths + n;
}

/* Writes with a point, whatever the locale. */
static const char *write_float(char *text, lua_Number value)
{
    snprintf(text, ML_PG_NUMBER_SIZE, "%.17g", value);
    for (char *at = text; *at != 0; at++)
        if (*at == ',')
            *at = '.';
    return text;
}

static const char *read_text(lua_State *L, int index, struct ml_pg_parameters *p, int i)
{
    size_t length;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_typeerror(L, index, "string");
    const char *text = lua_tolstring(L, index, &length);
    luaL_argcheck(L, length < 0x40000000, index, "longer than 1 GiB");
    p->lengths[i] = (int)length;
    return text;
}

static const char *read_value(lua_State *L, int index, char letter, struct ml_pg_parameters *p,
                              int i)
{
    char *number = p->numbers[i].text;
    if (lua_isnil(L, index))
        return NULL;
    switch (letter) {
    case 'b':
        return lua_toboolean(L, index) ? "t" : "f";
    case 'i':
    case 'l':
        snprintf(number, ML_PG_NUMBER_SIZE, "%lld", (long long)luaL_checkinteger(L, index));
        return number;
    case 'd':
        return write_float(number, luaL_checknumber(L, index));
    default:
        return read_text(L, index, p, i);
    }
}

static bool has_zero(const struct ml_pg_parameters *p, int i)
{
    return p->lengths[i] > 0 && p->formats[i] == 0 &&
           memchr(p->values[i], 0, (size_t)p->lengths[i]) != NULL;
}

int ml_pg_read_parameters(lua_State *L, int first, const char *signature, size_t count,
                          struct ml_pg_parameters *p)
{
    int bad = 0;
    luaL_argcheck(L, count <= ML_PG_MOST_PARAMETERS, first, "more than 65,535 parameters");
    luaL_argcheck(L, lua_gettop(L) - first + 1 == (int)count, first, "signature does not match");
    init_arrays(L, (int)count, p);
    for (int i = 0; i < (int)count; i++) {
        p->types[i] = type_of(signature[i]);
        p->lengths[i] = 0;
        p->formats[i] = signature[i] == 'y';
        p->values[i] = read_value(L, first + i, signature[i], p, i);
        if (bad == 0 && p->values[i] != NULL && has_zero(p, i))
            bad = i + 1;
    }
    return bad;
}

const char *ml_pg_check_text(lua_State *L, int index)
{
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);
    luaL_argcheck(L, strlen(text) == size, index, "the text contains a zero byte");
    return text;
}
