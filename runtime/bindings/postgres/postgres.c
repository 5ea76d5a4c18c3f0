#include "bindings/postgres/postgres.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/time_limit.h"
#include "bindings/postgres/connection_object.h"
#include "bindings/postgres/parameters.h"
#include "bindings/postgres/result.h"
#include "db/postgres/connection.h"

#include <errno.h>
#include <string.h>

static int push_missing(lua_State *L)
{
    luaL_pushfail(L);
    lua_pushliteral(L, "libpq is not installed (libpq.so.5, PostgreSQL 14 or later)");
    lua_pushliteral(L, "ELIBACC");
    return 3;
}

/* Pushes a table of the options that have a value; frees them. */
static void push_options(lua_State *L, const PQconninfoOption *options)
{
    lua_newtable(L);
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (o->val != NULL) {
            lua_pushstring(L, o->val);
            lua_setfield(L, -2, o->keyword);
        }
    }
}

/* Owns options while they are read. */
static const char options_type[] = "libpq.options";

static int options_gc(lua_State *L)
{
    PQconninfoOption **options = ml_to_object(L, 1);
    if (*options != NULL)
        ml_libpq.PQconninfoFree(*options);
    *options = NULL;
    return 0;
}

static int push_parse_failure(lua_State *L, char *message)
{
    luaL_pushfail(L);
    lua_pushstring(L, message != NULL ? message : "out of memory\n");
    if (message != NULL)
        ml_libpq.PQfreemem(message);
    return 2;
}

/* core.parse(text) -> the options of a URL or of "key=value ..."; or nil, message, code. */
static int postgres_parse(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    char *message = NULL;
    if (ml_libpq_load() != 0)
        return push_missing(L);
    PQconninfoOption **options = ml_push_object(L, options_type, sizeof *options, 0);
    *options = ml_libpq.PQconninfoParse(text, &message);
    if (*options == NULL)
        return push_parse_failure(L, message);
    push_options(L, *options);
    return 1;
}

/* core.defaults() -> the options that libpq takes where there are none: from the environment, the
 * service that it names, and libpq's own; or nil, message, code. */
static int postgres_defaults(lua_State *L)
{
    if (ml_libpq_load() != 0)
        return push_missing(L);
    PQconninfoOption **options = ml_push_object(L, options_type, sizeof *options, 0);
    *options = ml_libpq.PQconndefaults();
    if (*options == NULL)
        return push_parse_failure(L, NULL);
    push_options(L, *options);
    return 1;
}

/* Points into the strings of a list of keywords and values at 1. Raises if it holds others. */
static void read_list(lua_State *L, size_t count, const char **keywords, const char **values)
{
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)(2 * i + 1));
        lua_rawgeti(L, 1, (lua_Integer)(2 * i + 2));
        keywords[i] = luaL_checkstring(L, -2);
        values[i] = luaL_checkstring(L, -1);
        lua_pop(L, 2);
    }
    keywords[count] = values[count] = NULL;
}

/* core.connect({keyword, value, ...}[, timeout]) -> conn; or nil, message, code. */
static int postgres_connect(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    ml_time deadline = ml_check_deadline(L, 2);
    size_t count = lua_rawlen(L, 1) / 2;
    const char **keywords = lua_newuserdatauv(L, 2 * (count + 1) * sizeof *keywords, 0);
    read_list(L, count, keywords, keywords + count + 1);
    if (ml_libpq_load() != 0)
        return push_missing(L);
    struct ml_pg *pg = ml_push_pg(L);
    ml_blocking_begin(L);
    int error = ml_pg_open(pg, keywords, keywords + count + 1, deadline);
    if (error != 0 && error != -ECONNREFUSED)
        ml_pg_close(pg);
    error = ml_blocking_end(L, error);
    if (error == 0)
        return 1;
    int results = ml_pg_push_failure(L, pg, error);
    ml_pg_close(pg);
    return results;
}

int ml_open_postgres(lua_State *L)
{
    static const luaL_Reg functions[] = {{"parse", postgres_parse},
                                         {"defaults", postgres_defaults},
                                         {"connect", postgres_connect},
                                         {"signature", ml_pg_signature},
                                         {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", options_gc}, {NULL, NULL}};
    ml_open_object_type(L, options_type, none, metamethods);
    ml_open_pg_connection(L);
    ml_open_pg_request(L);
    luaL_newlib(L, functions);
    return 1;
}
