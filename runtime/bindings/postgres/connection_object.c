#include "bindings/postgres/connection_object.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/time_limit.h"
#include "bindings/postgres/result.h"
#include "db/postgres/pipeline.h"
#include "db/postgres/simple.h"

#include <stdlib.h>
#include <string.h>

const char ml_pg_connection_type[] = "libpq.connection";

struct ml_pg *ml_push_pg(lua_State *L)
{
    struct ml_pg *pg = ml_push_object(L, ml_pg_connection_type, sizeof *pg, 0);
    ml_pg_init(pg, &ml_lua_of(L)->hub);
    return pg;
}

struct ml_pg *ml_check_pg(lua_State *L)
{
    return ml_check_object(L, 1, ml_pg_connection_type);
}

void ml_pg_push_reading(lua_State *L, int index, struct ml_pg_reading *how)
{
    *how = (struct ml_pg_reading){0, 0, 0};
    luaL_checkstack(L, 10, NULL);
    if (!lua_istable(L, index))
        return;
    bool has_null = lua_rawgeti(L, index, 1) != LUA_TNIL;
    how->null = has_null ? lua_gettop(L) : 0;
    lua_rawgeti(L, index, 2);
    how->element_null = lua_gettop(L);
    bool has_types = lua_rawgeti(L, index, 3) == LUA_TTABLE;
    how->types = has_types ? lua_gettop(L) : 0;
}

/* conn:settle([timeout]) -> true; or nil, message, code. */
static int connection_settle(lua_State *L)
{
    struct ml_pg *pg = ml_check_pg(L);
    ml_time deadline = ml_check_deadline(L, 2);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_pg_settle(pg, deadline));
    if (error != 0)
        return ml_pg_push_failure(L, pg, error);
    lua_pushboolean(L, 1);
    return 1;
}

static int connection_is_settled(lua_State *L)
{
    lua_pushboolean(L, ml_pg_is_settled(ml_check_pg(L)));
    return 1;
}

static int connection_is_alive(lua_State *L)
{
    lua_pushboolean(L, ml_pg_is_alive(ml_check_pg(L)));
    return 1;
}

/* Whether it is known to be of no use any more; looks at nothing new. */
static int connection_is_broken(lua_State *L)
{
    const struct ml_pg *pg = ml_check_pg(L);
    lua_pushboolean(L, pg->conn == NULL || pg->is_broken);
    return 1;
}

/* conn:state() -> "idle", "active", "transaction", "failed" or "unknown". */
static int connection_state(lua_State *L)
{
    static const char *const names[] = {[PQTRANS_IDLE] = "idle",
                                        [PQTRANS_ACTIVE] = "active",
                                        [PQTRANS_INTRANS] = "transaction",
                                        [PQTRANS_INERROR] = "failed",
                                        [PQTRANS_UNKNOWN] = "unknown"};
    const struct ml_pg *pg = ml_check_pg(L);
    lua_pushstring(
        L, names[pg->conn != NULL ? ml_libpq.PQtransactionStatus(pg->conn) : PQTRANS_UNKNOWN]);
    return 1;
}

/* conn:parameter(name) -> a parameter that the server has reported, or nil. */
static int connection_parameter(lua_State *L)
{
    const struct ml_pg *pg = ml_check_pg(L);
    const char *name = luaL_checkstring(L, 2);
    lua_pushstring(L, pg->conn != NULL ? ml_libpq.PQparameterStatus(pg->conn, name) : NULL);
    return 1;
}

/* conn:pid() -> the process of the server that serves it; 0: closed. */
static int connection_pid(lua_State *L)
{
    const struct ml_pg *pg = ml_check_pg(L);
    lua_pushinteger(L, pg->conn != NULL ? ml_libpq.PQbackendPID(pg->conn) : 0);
    return 1;
}

/* conn:notices() -> a list of texts and how many found no room; nil: there are none. */
static int connection_notices(lua_State *L)
{
    struct ml_pg_notices *notices = &ml_check_pg(L)->notices;
    if (notices->size == 0 && notices->dropped == 0)
        return 0;
    lua_newtable(L);
    lua_Integer count = 0;
    for (size_t at = 0; at < notices->size; at += strlen(notices->texts + at) + 1) {
        lua_pushstring(L, notices->texts + at);
        lua_rawseti(L, -2, ++count);
    }
    lua_pushinteger(L, notices->dropped);
    notices->size = notices->dropped = 0;
    return 2;
}

static int connection_keep_notices(lua_State *L)
{
    ml_check_pg(L)->notices.are_kept = true;
    return 0;
}

/* Owns a notification until its texts stand on the stack. */
static const char notification_type[] = "libpq.notification";

static int notification_gc(lua_State *L)
{
    PGnotify **notification = ml_to_object(L, 1);
    if (*notification != NULL)
        ml_libpq.PQfreemem(*notification);
    *notification = NULL;
    return 0;
}

/* conn:notification([timeout]) -> channel, payload, pid; or nil, message, code. */
static int connection_notification(lua_State *L)
{
    struct ml_pg *pg = ml_check_pg(L);
    ml_time deadline = ml_check_deadline(L, 2);
    PGnotify **notification = ml_push_object(L, notification_type, sizeof *notification, 0);
    ml_blocking_begin_until(L, deadline);
    int error = ml_pg_notification(pg, notification, deadline);
    error = ml_blocking_end_until(L, deadline, error);
    if (error != 0)
        return ml_pg_push_failure(L, pg, error);
    lua_pushstring(L, (*notification)->relname);
    lua_pushstring(L, (*notification)->extra);
    lua_pushinteger(L, (*notification)->be_pid);
    return 3;
}

/* conn:close(): what the server still does for it is cancelled. */
static int connection_close(lua_State *L)
{
    ml_pg_abort(ml_check_pg(L));
    return 0;
}

static int connection_gc(lua_State *L)
{
    ml_pg_close(ml_check_pg(L));
    return 0;
}

void ml_open_pg_connection(lua_State *L)
{
    static const luaL_Reg methods[] = {{"run", ml_pg_connection_run},
                                       {"stream", ml_pg_connection_stream},
                                       {"leave", ml_pg_connection_leave},
                                       {"send", ml_pg_connection_send},
                                       {"result", ml_pg_connection_result},
                                       {"put", ml_pg_connection_put},
                                       {"end_copy", ml_pg_connection_end_copy},
                                       {"get", ml_pg_connection_get},
                                       {"settle", connection_settle},
                                       {"is_settled", connection_is_settled},
                                       {"is_alive", connection_is_alive},
                                       {"is_broken", connection_is_broken},
                                       {"state", connection_state},
                                       {"parameter", connection_parameter},
                                       {"pid", connection_pid},
                                       {"notices", connection_notices},
                                       {"keep_notices", connection_keep_notices},
                                       {"notification", connection_notification},
                                       {"close", connection_close},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", connection_gc}, {"__close", connection_close}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg notifications[] = {{"__gc", notification_gc}, {NULL, NULL}};
    ml_open_object_type(L, notification_type, none, notifications);
    ml_open_object_type(L, ml_pg_connection_type, methods, metamethods);
}
