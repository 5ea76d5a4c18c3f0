#include "bindings/http/given_headers.h"

#include "http/syntax.h"

#include <lauxlib.h>

/* ---- names and values ---- */

/* The script's name at `index`. */
struct ml_http_key ml_http_check_script_name(lua_State *L, const struct ml_http_headers *headers,
                                             int index)
{
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "the name of a header field must be a string, not a %s",
                   luaL_typename(L, index));
    const char *text = lua_tolstring(L, index, &size);
    if (!headers->is_query)
        ml_http_check_name(L, text, size);
    return ml_http_headers_key(headers, text, size);
}

/* The script's value on top of the stack, which becomes a string. */
const char *ml_http_check_script_value(lua_State *L, const struct ml_http_key *name, size_t *size)
{
    const char *value = lua_tolstring(L, -1, size);
    if (value == NULL) {
        lua_pushlstring(L, name->text, name->size);
        luaL_error(L, "header field '%s' must be a string, a number or a list of them, not a %s",
                   lua_tostring(L, -1), luaL_typename(L, -2));
    }
    return value;
}

/* Adds the script's value at index `value`: a string, a number, or a list. */
void ml_http_headers_add_value(lua_State *L, int index, struct ml_http_headers *headers,
                               const struct ml_http_key *name, int value)
{
    bool is_list = lua_istable(L, value);
    lua_Integer count = is_list ? luaL_len(L, value) : 1;
    for (lua_Integer i = 1; i <= count; i++) {
        size_t size;
        if (is_list)
            lua_geti(L, value, i);
        else
            lua_pushvalue(L, value);
        const char *text = ml_http_check_script_value(L, name, &size);
        ml_http_headers_add_line(L, index, headers, name, text, size);
        lua_pop(L, 1);
    }
}

/* ---- what `headers` takes ---- */

/* Whether the line concerns one connection or the framing of one message: such lines are not
 * copied. */
static bool is_of_connection(const struct ml_http_line *line)
{
    switch (line->known) {
    case ML_HTTP_CONTENT_LENGTH:
    case ML_HTTP_TRANSFER_ENCODING:
    case ML_HTTP_CONNECTION:
    case ML_HTTP_UPGRADE:
    case ML_HTTP_TRAILER:
    case ML_HTTP_TE:
    case ML_HTTP_KEEP_ALIVE:
    case ML_HTTP_PROXY_CONNECTION:
    case ML_HTTP_HTTP2_SETTINGS:
        return true;
    default:
        return false;
    }
}

/* Removes the fields that a Connection field of `from` names. */
static void remove_named(struct ml_http_headers *headers, const struct ml_http_headers *from)
{
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(from, &at, &line);) {
        struct ml_http_text rest = {line.value, line.value_size}, name;
        while (line.known == ML_HTTP_CONNECTION && ml_http_list_next(&rest, &name))
            ml_http_headers_remove(headers, name.at, name.size);
    }
}

/* Pushes a copy of the object at `index`, without the fields of its connection. Fields of a query
 * are checked like a script's. */
static struct ml_http_headers *copy(lua_State *L, int index)
{
    const struct ml_http_headers *from = ml_http_check_headers(L, index);
    struct ml_http_headers *headers =
        ml_http_push_new_headers(L, from->count, (uint32_t)ml_http_headers_bytes(from));
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(from, &at, &line);) {
        if (from->is_query)
            ml_http_headers_add(L, -1, line.name, line.name_size, line.value, line.value_size);
        else
            ml_http_headers_put(headers, &line);
    }
    return headers;
}

/* Pushes an object with the fields of the table at `index`. */
static struct ml_http_headers *read_table(lua_State *L, int index)
{
    struct ml_http_headers *headers = ml_http_push_new_headers(L, 8, 256);
    int own = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        struct ml_http_key name = ml_http_check_script_name(L, headers, own + 1);
        ml_http_headers_add_value(L, own, headers, &name, own + 2);
    }
    return headers;
}

/* Removes the fields of one connection. */
static void remove_connection(struct ml_http_headers *headers)
{
    uint32_t kept = 0;
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(headers, &at, &line);)
        if (!is_of_connection(&line))
            headers->fields[kept++] = headers->fields[at - 1];
    headers->count = kept;
}

struct ml_http_headers *ml_http_take_headers(lua_State *L, int index, const char *what)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    if (lua_isnoneornil(L, index))
        return ml_http_push_new_headers(L, 8, 256);
    bool is_object = ml_http_test_headers(L, index) != NULL;
    if (!is_object && !lua_istable(L, index))
        luaL_error(L, "%s must be a table, not a %s", what, luaL_typename(L, index));
    struct ml_http_headers *headers = is_object ? copy(L, index) : read_table(L, index);
    /* Only for objects, which may come from another connection. A script that writes `connection`
     * into a table means its own. */
    struct ml_http_headers all = *headers;
    if (is_object)
        remove_named(headers, &all);
    remove_connection(headers);
    return headers;
}
