/***
JSON, strictly by RFC 8259.

Integers stay integers, also beyond 2^53; a number with a "." or an exponent is a float, as are "-0"
and integers that 64 bits do not hold. Floats are written in the fewest digits that read as the same
float, and never as an integer: `1.0`. Text is UTF-8, in both directions.

@module moonlet.json
*/
#include "bindings/data/json.h"

#include "base/error.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/data/json_decode.h"
#include "bindings/data/json_encode.h"
#include "bindings/data/json_encoder.h"
#include "bindings/data/json_values.h"

#include <string.h>

/* ---- options ---- */

static int depth_option(lua_State *L, int options)
{
    bool is_absent = lua_getfield(L, options, "max_depth") == LUA_TNIL;
    lua_Integer value = is_absent ? ML_JSON_DEPTH : lua_tointeger(L, -1);
    luaL_argcheck(
        L, is_absent || (lua_isinteger(L, -1) && value >= 1 && value <= ML_JSON_LARGEST_DEPTH),
        options, "option 'max_depth' must be an integer from 1 to 100000");
    lua_pop(L, 1);
    return (int)value;
}

static struct ml_json_reading reading_options(lua_State *L, int options)
{
    static const char *const names[] = {"max_depth", "nulls", NULL};
    struct ml_json_reading how = {.max_depth = ML_JSON_DEPTH, .first_line = 1};
    if (lua_isnoneornil(L, options))
        return how;
    luaL_checktype(L, options, LUA_TTABLE);
    ml_check_option_names(L, options, names);
    how.max_depth = depth_option(L, options);
    bool is_there = lua_getfield(L, options, "nulls") != LUA_TNIL;
    const char *nulls = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    how.drops_nulls = strcmp(nulls, "drop") == 0;
    luaL_argcheck(L, !is_there || how.drops_nulls || strcmp(nulls, "keep") == 0, options,
                  "option 'nulls' must be \"keep\" or \"drop\"");
    lua_pop(L, 1);
    return how;
}

static bool is_space(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && (text[i] == ' ' || text[i] == '\t'))
        i++;
    return i == size;
}

/* Leaves the text on the stack. */
static void indent_option(lua_State *L, int options, struct ml_json_writing *how)
{
    enum { LARGEST_INDENT = 16 };
    static const char spaces[] = "                ";
    int type = lua_getfield(L, options, "indent");
    if (type == LUA_TSTRING) {
        how->indent = lua_tolstring(L, -1, &how->indent_size);
        luaL_argcheck(L, is_space(how->indent, how->indent_size), options,
                      "option 'indent' must be of spaces and tabs");
    } else if (type != LUA_TNIL) {
        lua_Integer count = lua_tointeger(L, -1);
        luaL_argcheck(L, lua_isinteger(L, -1) && count >= 0 && count <= LARGEST_INDENT, options,
                      "option 'indent' must be a string, or an integer from 0 to 16");
        how->indent = spaces;
        how->indent_size = (size_t)count;
    }
    /* None: everything goes on one line. */
    if (how->indent_size == 0)
        how->indent = NULL;
}

static struct ml_json_writing writing_options(lua_State *L, int options)
{
    static const char *const names[] = {"indent", "max_depth", "sort_keys", NULL};
    struct ml_json_writing how = {.max_depth = ML_JSON_DEPTH};
    if (lua_isnoneornil(L, options))
        return how;
    luaL_checktype(L, options, LUA_TTABLE);
    ml_check_option_names(L, options, names);
    how.max_depth = depth_option(L, options);
    how.sorts_keys = ml_boolean_option(L, options, "sort_keys", false);
    indent_option(L, options, &how);
    return how;
}

/* ---- functions ---- */

/***
Writes a value as JSON. A table whose keys are 1 to n is an array; one of `json.array` is always
one; any other table, an empty one included, is an object, and its keys must be strings. Tables are
read raw: metamethods (`__index`, `__pairs`) are not called.

A value that JSON does not have raises an error that names the path to it, such as `value.users[3].f
is a function`: functions, threads, userdata but json.null, NaN and infinities, strings that are not
UTF-8, arrays with holes, keys of other kinds, tables that contain themselves.
@function encode
@param v
@tparam[opt] table opts
@tparam[opt] string|integer opts.indent each item stands on a line of its own, indented by this text
of spaces and tabs, or so many spaces (16 at most), for each level
@tparam[opt=false] boolean opts.sort_keys members stand in the order of their names, byte by byte,
so that equal values give equal texts
@tparam[opt=1000] integer opts.max_depth of nesting, 100000 at most
@treturn string
@usage json.encode {name = "Ada", tags = {"a", "b"}, score = 1.0}
*/
static int encode(lua_State *L)
{
    luaL_checkany(L, 1);
    ml_json_encode(L, 1, writing_options(L, 2));
    return 1;
}

/***
Reads a value. null is `json.null`; arrays have the metatable of `json.array`, so that an empty one
stays one. Of two members with one name the last counts. Half of a surrogate pair (`\ud800`), a byte
order mark, and a number beyond the range of a float are errors.

The text is read in one piece while no other task runs: some milliseconds for a megabyte.
@function decode
@tparam string text
@tparam[opt] table opts
@tparam[opt=1000] integer opts.max_depth of nesting, 100000 at most
@tparam[opt="keep"] string opts.nulls "drop": members that are null are left out; items of arrays,
and a text that is only null, are kept
@return the value; or nil, message, code: "EJSON", the message says line, column, and what was
expected there. A column counts characters
@usage json.decode '{"id": 9007199254740993, "tags": []}'
*/
static int decode(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    return ml_json_decode(L, text, size, reading_options(L, 2));
}

/***
Makes a table an array for `json.encode`, also if it is empty.
@function array
@tparam[opt={}] table t gets a metatable, which only marks it
@treturn table the same
@usage json.encode {users = json.array {}}
*/
static int array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_argcheck(
        L, lua_getmetatable(L, 1) == 0 || (ml_json_push_array_type(L), lua_rawequal(L, -1, -2)), 1,
        "table has a metatable already");
    ml_json_push_array_type(L);
    lua_setmetatable(L, 1);
    lua_settop(L, 1);
    return 1;
}

/* ---- lines ---- */

/* Upvalues of the iterator: the source of lines; the number of the last line; max_depth; whether
 * nulls are dropped. */
enum { NEXT_LINE = 1, NUMBER, DEPTH, DROPS };

static bool is_blank(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && strchr(" \t\r\n", text[i]) != NULL && text[i] != '\0')
        i++;
    return i == size;
}

/* Pushes the next line that is not blank; false: there is none, and nil is pushed. */
static bool push_line(lua_State *L, lua_Integer *number)
{
    size_t size = 0;
    const char *text = "";
    do {
        lua_settop(L, 0);
        lua_pushvalue(L, lua_upvalueindex(NEXT_LINE));
        lua_call(L, 0, 3);
        if (lua_isnil(L, 1) && lua_isstring(L, 2) && lua_isstring(L, 3))
            ml_raise_failure(L);
        lua_settop(L, 1);
        if (lua_isnil(L, 1))
            return false;
        ++*number;
        text = lua_tolstring(L, 1, &size);
        if (text == NULL)
            luaL_error(L, "a line is a %s", luaL_typename(L, 1));
    } while (is_blank(text, size));
    return true;
}

static int next_value(lua_State *L)
{
    size_t size;
    lua_Integer number = lua_tointeger(L, lua_upvalueindex(NUMBER));
    bool is_there = push_line(L, &number);
    lua_pushinteger(L, number);
    lua_replace(L, lua_upvalueindex(NUMBER));
    if (!is_there)
        return 1;
    const char *text = lua_tolstring(L, 1, &size);
    struct ml_json_reading how = {.max_depth = (int)lua_tointeger(L, lua_upvalueindex(DEPTH)),
                                  .drops_nulls = lua_toboolean(L, lua_upvalueindex(DROPS)),
                                  .first_line = number};
    if (ml_json_decode(L, text, size, how) != 1)
        return ml_raise_failure(L);
    return 1;
}

/***
Iterates over the values of a stream that has one in each line (NDJSON, JSON Lines). Blank lines are
skipped. A line that is no JSON raises `{message=, code="EJSON"}`, and the message begins with the
line's number; errors of the stream are raised unchanged.
@function lines
@param stream anything with a method `lines()`: a stream, a file, a request, a response; or a
function that returns the next line at each call
@tparam[opt] table opts as for `decode`
@treturn function
@usage for entry in json.lines(io.stdin) do print(entry.id) end
*/
static int lines(lua_State *L)
{
    luaL_checkany(L, 1);
    struct ml_json_reading how = reading_options(L, 2);
    lua_settop(L, 1);
    if (!lua_isfunction(L, 1)) {
        if (luaL_getmetafield(L, 1, "__index") == LUA_TNIL && !lua_istable(L, 1))
            return luaL_typeerror(L, 1, "stream");
        lua_settop(L, 1);
        lua_getfield(L, 1, "lines");
        luaL_argcheck(L, !lua_isnil(L, -1), 1, "it has no method 'lines'");
        lua_insert(L, 1);
        lua_call(L, 1, 1);
    }
    lua_pushinteger(L, 0);
    lua_pushinteger(L, how.max_depth);
    lua_pushboolean(L, how.drops_nulls);
    lua_pushcclosure(L, next_value, 4);
    return 1;
}

/* ---- the module ---- */

/***
null. It is a value like others, and true in a condition: `if v == json.null then`.
@field null
*/
int ml_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"encode", encode}, {"decode", decode}, {"array", array}, {"lines", lines}, {NULL, NULL}};
    ml_json_open_types(L);
    luaL_newlib(L, functions);
    ml_json_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
