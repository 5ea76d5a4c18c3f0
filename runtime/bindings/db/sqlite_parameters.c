#include "bindings/db/sqlite_parameters.h"

#include "bindings/data/json_values.h"

#include <lauxlib.h>
#include <stdbool.h>

static void check(lua_State *L, int error)
{
    if (error != 0)
        luaL_error(L, "not enough memory");
}

static void put_string(lua_State *L, int value, int argument, enum ml_cell_type type,
                       struct ml_buffer *out)
{
    size_t size;
    const char *bytes = lua_tolstring(L, value, &size);
    luaL_argcheck(L, size <= ML_CELL_LONGEST, argument, "a value of more than 1,000,000,000 bytes");
    check(L, ml_cell_put_bytes(out, type, bytes, size));
}

/* SQLite would store NULL in place of not-a-number. */
static void put_number(lua_State *L, int value, int argument, struct ml_buffer *out)
{
    lua_Number number = lua_tonumber(L, value);
    luaL_argcheck(L, number == number, argument, "SQLite has no not-a-number");
    check(L, lua_isinteger(L, value) ? ml_cell_put_integer(out, lua_tointeger(L, value))
                                     : ml_cell_put_float(out, number));
}

static bool is_null(lua_State *L, int value)
{
    ml_json_push_null(L);
    bool is = lua_rawequal(L, value, -1);
    lua_pop(L, 1);
    return is;
}

/* What sql.bytes() and sql.json() make: a table with a text at 1, whose metatable says the kind. */
static void put_wrapped(lua_State *L, int value, int argument, struct ml_buffer *out)
{
    bool is_known = luaL_getmetafield(L, value, "__sql") == LUA_TSTRING;
    const char *kind = is_known ? lua_tostring(L, -1) : "";
    bool is_bytes = kind[0] == 'b';
    if (!is_bytes && kind[0] != 'j')
        luaL_argerror(L, argument,
                      lua_pushfstring(L, "a %s cannot be a parameter", luaL_typename(L, value)));
    lua_rawgeti(L, value, 1);
    put_string(L, lua_gettop(L), argument, is_bytes ? ML_CELL_BLOB : ML_CELL_TEXT, out);
    lua_pop(L, 2);
}

static void put_value(lua_State *L, int value, int argument, struct ml_buffer *out)
{
    switch (lua_type(L, value)) {
    case LUA_TNIL:
        check(L, ml_cell_put_null(out));
        break;
    case LUA_TBOOLEAN:
        check(L, ml_cell_put_integer(out, lua_toboolean(L, value)));
        break;
    case LUA_TNUMBER:
        put_number(L, value, argument, out);
        break;
    case LUA_TSTRING:
        put_string(L, value, argument, ML_CELL_TEXT, out);
        break;
    default:
        if (is_null(L, value))
            check(L, ml_cell_put_null(out));
        else
            put_wrapped(L, value, argument, out);
    }
}

static void pack_named(lua_State *L, int table, struct ml_sqlite_call *call)
{
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, table,
                      "the names of parameters must be strings");
        put_string(L, -2, table, ML_CELL_TEXT, &call->input);
        put_value(L, lua_gettop(L), table, &call->input);
        call->parameters++;
    }
}

static bool is_plain_table(lua_State *L, int index)
{
    bool is_table = lua_istable(L, index), has = is_table && lua_getmetatable(L, index);
    if (has)
        lua_pop(L, 1);
    return is_table && !has;
}

unsigned ml_sqlite_pack(lua_State *L, int first, struct ml_sqlite_call *call)
{
    int last = lua_gettop(L);
    call->parameters = 0;
    ml_buffer_consume(&call->input, ml_buffer_size(&call->input));
    luaL_checkstack(L, 4, "too many parameters");
    if (last == first && is_plain_table(L, first)) {
        pack_named(L, first, call);
        return ML_SQLITE_NAMED;
    }
    for (int i = first; i <= last; i++)
        put_value(L, i, i, &call->input);
    call->parameters = (unsigned)(last - first + 1);
    return 0;
}
