/* What a connection does outside pipeline mode: texts of several commands, COPY. */
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/postgres/connection_object.h"
#include "bindings/postgres/parameters.h"
#include "bindings/postgres/result.h"
#include "db/postgres/pipeline.h"
#include "db/postgres/simple.h"

#include <errno.h>
#include <stdbool.h>

static int push_true_or_failure(lua_State *L, const struct ml_pg *pg, int error)
{
    if (error != 0)
        return ml_pg_push_failure(L, pg, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* conn:send(text) -> true; or nil, message, code. Results follow; the connection is settled. */
int ml_pg_connection_send(lua_State *L)
{
    struct ml_pg *pg = ml_check_pg(L);
    const char *sql = ml_pg_check_text(L, 2);
    ml_blocking_begin(L);
    return push_true_or_failure(L, pg, ml_blocking_end(L, ml_pg_simple_send(pg, sql, ML_FOREVER)));
}

static const char *kind_of(const PGresult *result)
{
    switch (ml_libpq.PQresultStatus(result)) {
    case PGRES_COPY_IN:
        return "in";
    case PGRES_COPY_OUT:
        return "out";
    case PGRES_COPY_BOTH:
        return "both";
    default:
        return "done";
    }
}

/* Pushes the next result: kind, rows, command; or an error's nil, message, code, details. */
static int push_simple(lua_State *L, const PGresult *result)
{
    struct ml_pg_reading how = {0, 0, 0};
    if (ml_pg_has_failed(result))
        return ml_pg_push_error(L, result, false);
    lua_pushstring(L, kind_of(result));
    ml_pg_push_result(L, &how, result, ML_PG_COUNT);
    ml_pg_push_result(L, &how, result, ML_PG_TAG);
    return 3;
}

struct owned {
    PGresult *result;
    char *data;
};

static const char owned_type[] = "libpq.piece";

static int owned_gc(lua_State *L)
{
    struct owned *owned = ml_to_object(L, 1);
    ml_libpq.PQclear(owned->result);
    if (owned->data != NULL)
        ml_libpq.PQfreemem(owned->data);
    *owned = (struct owned){NULL, NULL};
    return 0;
}

static struct owned *push_owned(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", owned_gc}, {NULL, NULL}};
    if (luaL_getmetatable(L, owned_type) == LUA_TNIL)
        ml_open_object_type(L, owned_type, none, metamethods);
    lua_pop(L, 1);
    return ml_push_object(L, owned_type, sizeof(struct owned), 0);
}

static void release(struct owned *owned)
{
    ml_libpq.PQclear(owned->result);
    owned->result = NULL;
    if (owned->data != NULL)
        ml_libpq.PQfreemem(owned->data);
    owned->data = NULL;
}

/* conn:result() -> "in", "out" or "done", rows, command; false: that was all; or nil, message,
 * code, details. */
int ml_pg_connection_result(lua_State *L)
{
    struct ml_pg *pg = ml_check_pg(L);
    struct owned *owned = push_owned(L);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_pg_simple_next(pg, &owned->result, ML_FOREVER));
    if (error != 0)
        return ml_pg_push_failure(L, pg, error);
    if (owned->result == NULL) {
        lua_pushboolean(L, 0);
        return 1;
    }
    int count = push_simple(L, owned->result);
    release(owned);
    return count;
}

/* conn:put(data) -> true; or nil, message, code. */
int ml_pg_connection_put(lua_State *L)
{
    size_t size;
    struct ml_pg *pg = ml_check_pg(L);
    const char *data = luaL_checklstring(L, 2, &size);
    ml_blocking_begin(L);
    return push_true_or_failure(L, pg,
                                ml_blocking_end(L, ml_pg_copy_put(pg, data, size, ML_FOREVER)));
}

/* conn:end_copy([reason]) -> true; or nil, message, code. */
int ml_pg_connection_end_copy(lua_State *L)
{
    struct ml_pg *pg = ml_check_pg(L);
    const char *reason = luaL_optstring(L, 2, NULL);
    ml_blocking_begin(L);
    return push_true_or_failure(L, pg, ml_blocking_end(L, ml_pg_copy_end(pg, reason, ML_FOREVER)));
}

/* conn:get() -> a row of data; false: that was all; or nil, message, code. */
int ml_pg_connection_get(lua_State *L)
{
    size_t size = 0;
    struct ml_pg *pg = ml_check_pg(L);
    struct owned *owned = push_owned(L);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_pg_copy_get(pg, &owned->data, &size, ML_FOREVER));
    if (error != 0)
        return ml_pg_push_failure(L, pg, error);
    if (owned->data != NULL)
        lua_pushlstring(L, owned->data, size);
    else
        lua_pushboolean(L, 0);
    release(owned);
    return 1;
}
