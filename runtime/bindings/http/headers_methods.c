/*** @submodule moonlet.http */
/***
Header fields, as `req.headers`, `res.headers` and `r.headers` are, and the fields of a query, as
`req.query` is.

    h["content-type"]          -- any case; several lines joined by ", " (set-cookie: the first)
    h["x-limit"] = 10          -- a string, a number, a list of lines, or nil to remove it
    for name, value in pairs(h) do print(name, value) end -- line by line, in lower case

If a field has the name of a method, `get` reads it. In a query names keep their case.
@object headers
*/
#include "bindings/http/headers_methods.h"

#include "bindings/core/object.h"
#include "bindings/http/given_headers.h"
#include "bindings/http/query.h"

static void push_lower(lua_State *L, const char *text, size_t size)
{
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, size);
    for (size_t i = 0; i < size; i++)
        to[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
    luaL_pushresultsize(&buffer, size);
}

static void push_name(lua_State *L, const struct ml_http_line *line, bool is_query)
{
    if (line->known != ML_HTTP_OTHER)
        lua_pushlstring(L, ml_http_known_names[line->known].text, line->name_size);
    else if (is_query)
        lua_pushlstring(L, line->name, line->name_size);
    else
        push_lower(L, line->name, line->name_size);
}

static void push_value(lua_State *L, const struct ml_http_headers *headers, uint32_t at)
{
    const struct ml_http_slice *value = &headers->fields[at].value;
    lua_pushlstring(L, headers->bytes + value->at, value->size);
}

/* Pushes all lines of that name, the first at `first`; there are several. */
static void push_joined(lua_State *L, const struct ml_http_headers *headers,
                        const struct ml_http_key *name, uint32_t first)
{
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (uint32_t at = first; at < headers->count;
         at = ml_http_headers_find_key(headers, name, at + 1)) {
        const struct ml_http_slice *value = &headers->fields[at].value;
        if (at != first)
            luaL_addlstring(&buffer, ", ", 2);
        luaL_addlstring(&buffer, headers->bytes + value->at, value->size);
    }
    luaL_pushresult(&buffer);
}

/* Pushes the value that a script reads under the name at `index`; nil: there is no such field. */
static int push_field(lua_State *L, const struct ml_http_headers *headers, int index)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    struct ml_http_key name = ml_http_headers_key(headers, text, size);
    uint32_t first = ml_http_headers_find_key(headers, &name, 0);
    bool is_one = name.known == ML_HTTP_SET_COOKIE || first == headers->count ||
                  ml_http_headers_find_key(headers, &name, first + 1) == headers->count;
    if (first == headers->count)
        lua_pushnil(L);
    else if (is_one)
        push_value(L, headers, first);
    else
        push_joined(L, headers, &name, first);
    return 1;
}

/* All names of methods have this length; other names are looked up in the fields alone. */
enum { METHOD_LENGTH = 3 };

/* Upvalue 1: the methods. */
static int headers_index(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_rawlen(L, 2) == METHOD_LENGTH) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
            return 1;
    }
    return push_field(L, headers, 2);
}

/***
All lines of a field, joined by ", " (of set-cookie, the first). The same as `h[name]`, but it also
reads fields that have the name of a method.
@function headers:get
@tparam string name
@treturn ?string nil if there is none
*/
static int headers_get(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    luaL_checktype(L, 2, LUA_TSTRING);
    return push_field(L, headers, 2);
}

/***
The lines of a field, as a list.
@function headers:all
@tparam string name
@treturn {string} empty if there is none
*/
static int headers_all(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    size_t size;
    luaL_checktype(L, 2, LUA_TSTRING);
    const char *text = lua_tolstring(L, 2, &size);
    struct ml_http_key name = ml_http_headers_key(headers, text, size);
    lua_newtable(L);
    lua_Integer count = 0;
    for (uint32_t at = ml_http_headers_find_key(headers, &name, 0); at < headers->count;
         at = ml_http_headers_find_key(headers, &name, at + 1)) {
        push_value(L, headers, at);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* The object at 1, which the caller is about to change. */
static struct ml_http_headers *check_unsent(lua_State *L)
{
    struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    if (headers->is_sent)
        luaL_error(L, "the head of the answer has been sent");
    return headers;
}

/***
Adds a line, and keeps the field's other lines.
@function headers:add
@tparam string name
@tparam string|number|table value a list adds a line for each of its elements
*/
static int headers_add(lua_State *L)
{
    struct ml_http_headers *headers = check_unsent(L);
    luaL_checkany(L, 3);
    struct ml_http_key name = ml_http_check_script_name(L, headers, 2);
    lua_settop(L, 3);
    ml_http_headers_add_value(L, 1, headers, &name, 3);
    return 0;
}

/* Raises for a value that cannot be set, and makes room for it; changes no field yet. */
static void prepare_value(lua_State *L, struct ml_http_headers *headers,
                          const struct ml_http_key *name, int value)
{
    bool is_list = lua_istable(L, value);
    lua_Integer count = is_list ? luaL_len(L, value) : 1;
    size_t bytes = 0;
    for (lua_Integer i = 1; i <= count; i++) {
        size_t size;
        if (is_list)
            lua_geti(L, value, i);
        else
            lua_pushvalue(L, value);
        const char *text = ml_http_check_script_value(L, name, &size);
        if (!headers->is_query)
            ml_http_check_value(L, name, text, size);
        bytes += name->size + size;
        lua_pop(L, 1);
    }
    ml_http_headers_reserve(L, 1, headers, count > 0 ? (size_t)count : 0, bytes);
}

static int headers_newindex(lua_State *L)
{
    struct ml_http_headers *headers = check_unsent(L);
    struct ml_http_key name = ml_http_check_script_name(L, headers, 2);
    lua_settop(L, 3);
    bool has_value = !lua_isnil(L, 3);
    if (has_value)
        prepare_value(L, headers, &name, 3);
    ml_http_headers_remove_key(headers, &name);
    if (has_value)
        ml_http_headers_add_value(L, 1, headers, &name, 3);
    return 0;
}

/* Upvalues: the object, the place of the next line. */
static int next_line(lua_State *L)
{
    const struct ml_http_headers *headers = ml_to_object(L, lua_upvalueindex(1));
    size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(2));
    struct ml_http_line line;
    if (!ml_http_headers_next(headers, &at, &line)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)at);
    lua_replace(L, lua_upvalueindex(2));
    push_name(L, &line, headers->is_query);
    lua_pushlstring(L, line.value, line.value_size);
    return 2;
}

static int headers_pairs(lua_State *L)
{
    ml_http_check_headers(L, 1);
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_line, 2);
    return 1;
}

/* Without the values: some are secrets, and printed text goes to logs. */
static int headers_tostring(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    lua_pushfstring(L, "http.%s (%d %s)", headers->is_query ? "query" : "headers",
                    (int)headers->count, headers->count == 1 ? "line" : "lines");
    return 1;
}

/*
Makes headers of a table or of other headers; fields of a connection and of framing are left out.
@tparam[opt] table fields
@treturn headers
*/
static int new_headers(lua_State *L)
{
    ml_http_take_headers(L, 1, "headers");
    return 1;
}

/* new_query(text): the fields of a query, decoded. */
static int new_query(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    ml_http_push_query(L, text, size);
    return 1;
}

static const luaL_Reg methods[] = {
    {"get", headers_get}, {"all", headers_all}, {"add", headers_add}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__newindex", headers_newindex},
                                       {"__pairs", headers_pairs},
                                       {"__tostring", headers_tostring},
                                       {NULL, NULL}};

void ml_open_http_headers_type(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, ml_http_headers_type) == LUA_TNIL) {
        ml_open_object_type(L, ml_http_headers_type, methods, metamethods);
        lua_getfield(L, LUA_REGISTRYINDEX, ml_http_headers_type);
        lua_getfield(L, -1, "__index");
        lua_pushcclosure(L, headers_index, 1);
        lua_setfield(L, -2, "__index");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

int ml_open_http_headers(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", new_headers}, {"query", new_query}, {NULL, NULL}};
    ml_open_http_headers_type(L);
    luaL_newlib(L, functions);
    return 1;
}
