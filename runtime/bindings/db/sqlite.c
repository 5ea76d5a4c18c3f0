#include "bindings/db/sqlite.h"

#include "bindings/core/blocking.h"
#include "bindings/core/object.h"
#include "bindings/db/sqlite_object.h"
#include "bindings/db/sqlite_parameters.h"
#include "bindings/db/sqlite_quick.h"
#include "bindings/db/sqlite_rows.h"
#include "bindings/task/task.h"
#include "db/sqlite/backup.h"
#include "db/sqlite/statement_call.h"

#include <sqlite3.h>

static const char cursor_type[] = "database.cursor";
static const char closings_type[] = "database.closings";

/* The rows of a statement that has more of them. Its connection is its user value. */
struct cursor {
    struct ml_sqlite_statement *statement; /* NULL: it has ended */
    unsigned generation;                   /* of the connection: another one, and it has ended */
};

/* ---- statements ---- */

enum { HOW = 2, TEXT = 3, FIRST = 4 };

static bool has_types(lua_State *L)
{
    luaL_checktype(L, HOW, LUA_TTABLE);
    bool has = lua_getfield(L, HOW, "types") == LUA_TTABLE;
    lua_pop(L, 1);
    return has;
}

/* Runs the statement. Stack: the connection, how, the text, the parameters. Returns the result. */
static int run(lua_State *L, struct ml_lua_sqlite *s, unsigned flags, unsigned max_rows)
{
    struct ml_sqlite_call *call = &s->c->call;
    ml_sqlite_set_text(L, s, TEXT);
    flags |= s->flags | ml_sqlite_pack(L, FIRST, call);
    if ((flags & ML_SQLITE_WANTS_ROWS) && has_types(L))
        flags |= ML_SQLITE_WANTS_TYPES;
    call->flags = flags | ML_SQLITE_STATEMENT;
    call->max_rows = max_rows;
    lua_settop(L, TEXT);
    return ml_sqlite_call(L, s, ml_sqlite_execute);
}

/* connection:execute(how, text, ...) -> rows changed, rowid of the last that was inserted */
static int connection_execute(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    if (run(L, s, 0, 0) != SQLITE_OK)
        return ml_sqlite_push_failure(L, s);
    lua_pushinteger(L, (lua_Integer)s->c->call.changes);
    lua_pushinteger(L, (lua_Integer)s->c->call.rowid);
    return 2;
}

/* connection:row(how, text, ...) -> a table, or nil */
static int connection_row(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    if (run(L, s, ML_SQLITE_WANTS_ROWS | ML_SQLITE_SINGLE, 1) != SQLITE_OK)
        return ml_sqlite_push_failure(L, s);
    ml_sqlite_push_row(L, &s->c->call, HOW);
    return 1;
}

/* connection:value(how, text, ...) -> the first value of the first row, or nil */
static int connection_value(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    if (run(L, s, ML_SQLITE_WANTS_ROWS | ML_SQLITE_SINGLE, 1) != SQLITE_OK)
        return ml_sqlite_push_failure(L, s);
    ml_sqlite_push_value(L, &s->c->call, HOW);
    return 1;
}

static int fetch(lua_State *L, struct ml_lua_sqlite *s, struct ml_sqlite_statement *cursor,
                 unsigned flags)
{
    s->c->call.cursor = cursor;
    s->c->call.flags = flags & ~(unsigned)ML_SQLITE_STATEMENT;
    s->c->call.max_rows = ML_SQLITE_BATCH_ROWS;
    return ml_sqlite_call(L, s, ml_sqlite_fetch);
}

/* connection:all(how, text, ...) -> a list of tables. A statement that an error leaves open is
 * dropped by connection:tidy(). */
static int connection_all(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    int result = run(L, s, ML_SQLITE_WANTS_ROWS, ML_SQLITE_BATCH_ROWS);
    unsigned flags = s->c->call.flags;
    lua_newtable(L);
    lua_Integer count = 0;
    while (result == SQLITE_OK) {
        struct ml_sqlite_statement *open = s->c->call.open;
        count = ml_sqlite_append_rows(L, &s->c->call, HOW, count);
        if (open == NULL)
            return 1;
        result = fetch(L, s, open, flags);
    }
    return ml_sqlite_push_failure(L, s);
}

/* ---- cursors ---- */

/* Its connection, if it can bring more rows; NULL: it has ended, or its connection was given back.
 */
static struct ml_lua_sqlite *cursor_connection(lua_State *L, const struct cursor *cursor)
{
    lua_getiuservalue(L, 1, 1);
    struct ml_lua_sqlite *s = ml_test_object(L, -1, ml_sqlite_type);
    lua_pop(L, 1);
    bool has_more = cursor->statement != NULL && s != NULL && s->c != NULL &&
                    cursor->generation == s->generation;
    return has_more ? s : NULL;
}

/* connection:rows(how, text, ...) -> a cursor, or nil if there are no more rows; the first of them.
 */
static int connection_rows(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    if (run(L, s, ML_SQLITE_WANTS_ROWS, ML_SQLITE_BATCH_ROWS) != SQLITE_OK)
        return ml_sqlite_push_failure(L, s);
    struct cursor *cursor = ml_push_object(L, cursor_type, sizeof *cursor, 2);
    cursor->generation = s->generation;
    cursor->statement = s->c->call.open;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, HOW);
    lua_setiuservalue(L, -2, 2);
    lua_newtable(L);
    ml_sqlite_append_rows(L, &s->c->call, HOW, 0);
    return 2;
}

static int push_closed(lua_State *L)
{
    luaL_pushfail(L);
    lua_pushliteral(L, "the rows were closed with their transaction");
    lua_pushliteral(L, "CLOSED");
    return 3;
}

/* cursor:fetch() -> a list of the next rows, which is empty at the end */
static int cursor_fetch(lua_State *L)
{
    struct cursor *cursor = ml_check_object(L, 1, cursor_type);
    struct ml_lua_sqlite *s = cursor_connection(L, cursor);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 2);
    if (s == NULL && cursor->statement != NULL)
        return push_closed(L);
    if (s == NULL) {
        lua_newtable(L);
        return 1;
    }
    if (s->is_busy)
        return luaL_error(L, "another task is using this connection");
    unsigned flags = ML_SQLITE_WANTS_ROWS | (has_types(L) ? ML_SQLITE_WANTS_TYPES : 0);
    struct ml_sqlite_statement *statement = cursor->statement;
    cursor->statement = NULL;
    int result = fetch(L, s, statement, flags);
    cursor->statement = s->c->call.open;
    if (result != SQLITE_OK)
        return ml_sqlite_push_failure(L, s);
    lua_newtable(L);
    ml_sqlite_append_rows(L, &s->c->call, HOW, 0);
    return 1;
}

/* cursor:close(); also its finalizer. */
static int cursor_close(lua_State *L)
{
    struct cursor *cursor = ml_check_object(L, 1, cursor_type);
    struct ml_lua_sqlite *s = cursor_connection(L, cursor);
    if (s != NULL && !s->is_busy)
        ml_sqlite_drop_cursor(s->c, cursor->statement);
    if (s == NULL || !s->is_busy)
        cursor->statement = NULL;
    return 0;
}

/* ---- the connection ---- */

/* Makes a call with the text at 2 -> true */
static int call_with_text(lua_State *L, int (*make)(struct ml_sqlite *))
{
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    ml_sqlite_set_text(L, s, 2);
    s->c->call.flags = s->flags;
    s->c->call.parameters = 0;
    if (ml_sqlite_call(L, s, make) != SQLITE_OK)
        return ml_sqlite_push_failure(L, s);
    lua_pushboolean(L, 1);
    return 1;
}

/* connection:script(text) -> true */
static int connection_script(lua_State *L)
{
    return call_with_text(L, ml_sqlite_script);
}

/* connection:backup(path) -> true */
static int connection_backup(lua_State *L)
{
    return call_with_text(L, ml_sqlite_backup);
}

/* connection:seal(): its statements may attach no file any more. */
static int connection_seal(lua_State *L)
{
    ml_sqlite_check(L, 1)->c->is_sealed = true;
    return 0;
}

/* connection:restrict(how): what its statements may do from now on: "any", "read" (change nothing),
 * "begin" (leave a transaction open), "within" (nothing outside of it). */
static int connection_restrict(lua_State *L)
{
    static const char *const names[] = {"any", "read", "begin", "within", NULL};
    static const unsigned flags[] = {0, ML_SQLITE_ONLY_READS, ML_SQLITE_MAY_BEGIN,
                                     ML_SQLITE_MAY_BEGIN | ML_SQLITE_WITHIN};
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    s->flags = flags[luaL_checkoption(L, 2, NULL, names)];
    return 0;
}

/* connection:guard(fn, ...) -> fn's results: in it the task waits in calls of this connection only.
 */
static int connection_guard(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_sqlite_check(L, 1);
    s->is_guarded = true;
    return ml_call_in_scope(L, ML_SCOPE_TRANSACTION, ML_FOREVER);
}

/* Only a database in memory is not sealed: it would end with its connection. To undo what was done
 * to it takes no disk. */
static void save_memory(struct ml_lua_sqlite *s)
{
    if (s->c->is_sealed || !ml_sqlite_has_transaction(s->c))
        return;
    ml_sqlite_roll_back(s->c);
    s->flags = 0;
}

/* connection:tidy() -> whether it can serve somebody else: drops its cursors. */
static int connection_tidy(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_check_object(L, 1, ml_sqlite_type);
    bool is_whole = s->c != NULL && !s->is_busy;
    if (is_whole) {
        ml_sqlite_drop_cursors(s);
        ml_sqlite_rest(s->c);
        save_memory(s);
        is_whole = !ml_sqlite_has_transaction(s->c);
    }
    lua_pushboolean(L, is_whole);
    return 1;
}

/* connection:in_transaction() -> boolean */
static int connection_in_transaction(lua_State *L)
{
    struct ml_lua_sqlite *s = ml_check_object(L, 1, ml_sqlite_type);
    lua_pushboolean(L, s->c != NULL && ml_sqlite_has_transaction(s->c));
    return 1;
}

/* connection:close(), also its finalizer. */
static int connection_close(lua_State *L)
{
    ml_sqlite_close(L, ml_check_object(L, 1, ml_sqlite_type));
    return 0;
}

/* The end of closings; also their finalizer. */
static int closings_release(lua_State *L)
{
    struct ml_sqlite_closings **closings = ml_check_object(L, 1, closings_type);
    ml_sqlite_closings_drop(*closings);
    *closings = NULL;
    return 0;
}

/* closings:wait(): until those connections are closed whose closing has begun. */
static int closings_wait(lua_State *L)
{
    struct ml_sqlite_closings **closings = ml_check_object(L, 1, closings_type);
    if (*closings == NULL || (*closings)->under_way == 0)
        return 0;
    ml_blocking_begin(L);
    ml_blocking_end(L, ml_sqlite_closings_wait(*closings));
    return 0;
}

/* closings() -> an object for connections of one database */
static int new_closings(lua_State *L)
{
    struct ml_sqlite_closings **closings = ml_push_object(L, closings_type, sizeof *closings, 0);
    *closings = ml_sqlite_closings_new(&ml_lua_of(L)->hub);
    return *closings != NULL ? 1 : luaL_error(L, "not enough memory");
}

/* open(path, how[, closings]) -> a connection. how: "create", "write", "read". */
static int open_connection(lua_State *L)
{
    static const char *const names[] = {"create", "write", "read", NULL};
    static const unsigned flags[] = {SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                     SQLITE_OPEN_READWRITE, SQLITE_OPEN_READONLY};
    int how = luaL_checkoption(L, 2, "create", names);
    struct ml_sqlite_closings **closings =
        lua_isnoneornil(L, 3) ? NULL : ml_check_object(L, 3, closings_type);
    struct ml_lua_sqlite *s = ml_sqlite_push(L);
    s->c = ml_sqlite_new();
    if (s->c == NULL)
        return luaL_error(L, "not enough memory");
    if (closings != NULL)
        s->c->closings = ml_sqlite_closings_share(*closings);
    ml_sqlite_set_text(L, s, 1);
    s->c->call.flags = flags[how];
    if (ml_sqlite_call(L, s, ml_sqlite_open) != SQLITE_OK)
        return ml_sqlite_push_failure(L, s);
    return 1;
}

int ml_open_sqlite(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"row", connection_row},       {"execute", connection_execute},
        {"value", connection_value},   {"all", connection_all},
        {"rows", connection_rows},     {"script", connection_script},
        {"backup", connection_backup}, {"guard", connection_guard},
        {"tidy", connection_tidy},     {"restrict", connection_restrict},
        {"seal", connection_seal},     {"in_transaction", connection_in_transaction},
        {"close", connection_close},   {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", connection_close}, {"__close", connection_close}, {NULL, NULL}};
    static const luaL_Reg cursor_methods[] = {
        {"fetch", cursor_fetch}, {"close", cursor_close}, {NULL, NULL}};
    static const luaL_Reg cursor_metamethods[] = {{"__gc", cursor_close}, {NULL, NULL}};
    static const luaL_Reg closings_methods[] = {{"wait", closings_wait}, {NULL, NULL}};
    static const luaL_Reg closings_metamethods[] = {{"__gc", closings_release}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"open", open_connection}, {"closings", new_closings}, {NULL, NULL}};
    ml_open_object_type(L, ml_sqlite_type, methods, metamethods);
    ml_open_object_type(L, cursor_type, cursor_methods, cursor_metamethods);
    ml_open_object_type(L, closings_type, closings_methods, closings_metamethods);
    luaL_newlib(L, functions);
    ml_sqlite_push_quick(L);
    lua_setfield(L, -3, "quick_value");
    lua_setfield(L, -2, "quick_row");
    return 1;
}
