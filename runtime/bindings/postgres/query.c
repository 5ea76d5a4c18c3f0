/* Queries on a connection: their parameters in, their results out. */
#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/time_limit.h"
#include "bindings/postgres/connection_object.h"
#include "bindings/postgres/parameters.h"
#include "bindings/postgres/result.h"
#include "db/postgres/pipeline.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Owns a request, until it is over or the collector finds it. That of a stream has two user values:
 * its connection, and how values are read. */
static const char request_type[] = "libpq.request";

struct owner {
    struct ml_pg_request *request;
    PGresult *pending; /* of a stream: a failure behind the rows that were given */
};

/* Arguments of the methods that send a query; the parameters follow. */
enum { CONNECTION = 1, SQL, NAME, BEFORE, SIGNATURE, WANT, READING, PARAMETERS };

static int owner_gc(lua_State *L)
{
    struct owner *owner = ml_to_object(L, 1);
    struct owner was = *owner;
    *owner = (struct owner){NULL, NULL};
    ml_pg_request_release(was.request);
    if (was.pending != NULL)
        ml_libpq.PQclear(was.pending);
    return 0;
}

/* Reads the arguments. Returns 0, or the number of a parameter with a zero byte. */
static int read_query(lua_State *L, struct ml_pg_query *query, struct ml_pg_parameters *p)
{
    size_t count;
    const char *signature = luaL_checklstring(L, SIGNATURE, &count);
    if (lua_gettop(L) < PARAMETERS - 1)
        lua_settop(L, PARAMETERS - 1);
    *query = (struct ml_pg_query){.sql = lua_isnil(L, SQL) ? NULL : ml_pg_check_text(L, SQL),
                                  .name = luaL_optstring(L, NAME, NULL),
                                  .before = luaL_optstring(L, BEFORE, NULL)};
    luaL_argcheck(L, query->sql != NULL || query->name != NULL, SQL, "no text and no name");
    int bad = ml_pg_read_parameters(L, PARAMETERS, signature, count, p);
    query->count = p->count;
    query->types = p->types;
    query->values = p->values;
    query->lengths = p->lengths;
    query->formats = p->formats;
    return bad;
}

static void push_zero_failure(lua_State *L, int parameter)
{
    luaL_pushfail(L);
    lua_pushfstring(L, "parameter %d has a zero byte, which no text can hold: use sql.bytes",
                    parameter);
    lua_pushliteral(L, "22021");
}

/* Reads the arguments, and pushes the owner of a request to come. NULL: a failure was pushed, of 3
 * values. */
static struct owner *push_owner(lua_State *L, struct ml_pg_query *query, struct ml_pg_parameters *p,
                                int user_values)
{
    int bad = read_query(L, query, p);
    if (bad == 0)
        return ml_push_object(L, request_type, sizeof(struct owner), user_values);
    push_zero_failure(L, bad);
    return NULL;
}

static bool is_canceled(const PGresult *result)
{
    const char *code = ml_libpq.PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return code != NULL && strcmp(code, "57014") == 0;
}

static bool is_copy(const PGresult *result)
{
    ExecStatusType status = ml_libpq.PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* The connection serves for nothing else any more. */
static int push_copy_failure(lua_State *L)
{
    luaL_pushfail(L);
    lua_pushliteral(L, "COPY from or to the client needs copy_in or copy_out");
    lua_pushliteral(L, "0A000");
    return 3;
}

/* Pushes the outcome of a request that is over. */
static int push_outcome(lua_State *L, const struct ml_pg *pg, const struct ml_pg_request *request)
{
    const PGresult *result = request->result;
    struct ml_pg_reading how;
    if (request->error != 0)
        return ml_pg_push_failure(L, pg, request->error);
    if (result == NULL)
        return ml_pg_push_failure(L, pg, -ECONNRESET);
    if (is_copy(result))
        return push_copy_failure(L);
    if (ml_pg_has_failed(result))
        return ml_pg_push_error(L, result, request->may_be_struck && is_canceled(result));
    ml_pg_push_reading(L, READING, &how);
    ml_pg_push_result(L, &how, result, (enum ml_pg_want)luaL_checkinteger(L, WANT));
    return 1;
}

/* conn:run(sql, name, before, signature, want, reading, ...) -> what is wanted; or nil, message,
 * code, details. sql nil: the statement `name` is prepared; name nil: unnamed. reading:
 * bindings/postgres/reading.h; nil: none is wanted. */
int ml_pg_connection_run(lua_State *L)
{
    struct ml_pg_query query;
    struct ml_pg_parameters parameters;
    struct ml_pg *pg = ml_check_pg(L);
    struct owner *owner = push_owner(L, &query, &parameters, 0);
    if (owner == NULL)
        return 3;
    ml_blocking_begin(L);
    int error = ml_pg_send(pg, &query, &owner->request);
    if (error == 0)
        error = ml_pg_await(owner->request, ML_FOREVER);
    if (error != 0) {
        ml_pg_request_release(owner->request);
        owner->request = NULL;
    }
    error = ml_blocking_end(L, error);
    if (error != 0)
        return ml_pg_push_failure(L, pg, error);
    int count = push_outcome(L, pg, owner->request);
    ml_pg_request_release(owner->request);
    owner->request = NULL;
    return count;
}

/* conn:leave(sql) -> true; or nil, message, code. Sends a command that nobody waits for. */
int ml_pg_connection_leave(lua_State *L)
{
    struct ml_pg *pg = ml_check_pg(L);
    struct ml_pg_query query = {.sql = ml_pg_check_text(L, 2)};
    struct ml_pg_request *request;
    int error = ml_pg_send(pg, &query, &request);
    if (error != 0)
        return ml_pg_push_failure(L, pg, error);
    ml_pg_request_leave(request);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- streams ---- */

/* conn:stream(sql, name, before, signature, want, reading, ...) -> request; or nil, message, code.
 */
int ml_pg_connection_stream(lua_State *L)
{
    struct ml_pg_query query;
    struct ml_pg_parameters parameters;
    struct ml_pg *pg = ml_check_pg(L);
    struct owner *owner = push_owner(L, &query, &parameters, 2);
    if (owner == NULL)
        return 3;
    lua_pushvalue(L, CONNECTION);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, READING);
    lua_setiuservalue(L, -2, 2);
    query.is_streamed = true;
    int error = ml_pg_send(pg, &query, &owner->request);
    return error != 0 ? ml_pg_push_failure(L, pg, error) : 1;
}

static bool is_last(const PGresult *result)
{
    ExecStatusType status = ml_libpq.PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
           status == PGRES_PIPELINE_ABORTED || status == PGRES_EMPTY_QUERY;
}

/* The next row or failure; *result is NULL when all rows have been given. */
static int next_result(struct ml_pg_request *request, PGresult **result, ml_time deadline)
{
    int error = ml_pg_next(request, result, deadline);
    while (error == 0 && *result != NULL && is_last(*result)) {
        ml_libpq.PQclear(*result);
        error = ml_pg_next(request, result, deadline);
    }
    return error;
}

/* Where a stream's reading lies in request:fetch(). */
enum { STREAM_READING = 3 };

/* Owns one result while its values are read, which may run code of the script's. */
static const char result_type[] = "libpq.result";

static int result_gc(lua_State *L)
{
    PGresult **result = ml_to_object(L, 1);
    if (*result != NULL)
        ml_libpq.PQclear(*result);
    *result = NULL;
    return 0;
}

/* The next row or failure into *result. Without `may_wait` only what has come. */
static int advance(lua_State *L, struct owner *owner, PGresult **result, bool may_wait)
{
    ml_libpq.PQclear(*result);
    *result = owner->pending;
    owner->pending = NULL;
    if (*result != NULL)
        return 0;
    if (owner->request == NULL)
        return -ML_ECLOSED;
    if (!may_wait)
        return next_result(owner->request, result, ML_NEVER_WAIT);
    ml_blocking_begin(L);
    return ml_blocking_end(L, next_result(owner->request, result, ML_FOREVER));
}

/* Appends a row to the list on top of the stack. */
static void append_row(lua_State *L, const PGresult *result, lua_Integer index)
{
    int list = lua_gettop(L);
    struct ml_pg_reading how;
    ml_pg_push_reading(L, STREAM_READING, &how);
    ml_pg_push_result(L, &how, result, ML_PG_ROW);
    lua_rawseti(L, list, index);
    lua_settop(L, list);
}

/* Appends the row and those behind it that have come, up to `most`. A failure stays for the next
 * call. */
static void append_rows(lua_State *L, struct owner *owner, PGresult **result, lua_Integer most)
{
    lua_Integer count = 0;
    int error = 0;
    while (error == 0 && *result != NULL && !ml_pg_has_failed(*result)) {
        append_row(L, *result, ++count);
        if (count == most)
            return;
        error = advance(L, owner, result, false);
    }
    if (error == 0 && *result != NULL) {
        owner->pending = *result;
        *result = NULL;
    }
}

/* request:fetch(most) -> a list of the rows that have come, at least one, empty: that was all; or
 * nil, message, code, details. */
static int request_fetch(lua_State *L)
{
    struct owner *owner = ml_check_object(L, 1, request_type);
    lua_Integer most = luaL_checkinteger(L, 2);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    lua_insert(L, CONNECTION); /* the request stays above it */
    lua_getiuservalue(L, 2, 2);
    PGresult **result = ml_push_object(L, result_type, sizeof *result, 0);
    int error = advance(L, owner, result, true);
    if (error != 0)
        return ml_pg_push_failure(L, ml_to_object(L, CONNECTION), error);
    if (*result != NULL && ml_pg_has_failed(*result))
        return ml_pg_push_error(L, *result, false);
    lua_newtable(L);
    append_rows(L, owner, result, most);
    return 1;
}

/* request:close(): a stream that has not ended is cancelled. */
static int request_close(lua_State *L)
{
    ml_check_object(L, 1, request_type);
    return owner_gc(L);
}

void ml_open_pg_request(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"fetch", request_fetch}, {"close", request_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", owner_gc}, {NULL, NULL}};
    static const luaL_Reg results[] = {{"__gc", result_gc}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    ml_open_object_type(L, request_type, methods, metamethods);
    ml_open_object_type(L, result_type, none, results);
}
