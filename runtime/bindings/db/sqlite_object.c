#include "bindings/db/sqlite_object.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/db/sqlite_codes.h"
#include "db/sqlite/statement_call.h"

#include <errno.h>
#include <string.h>

const char ml_sqlite_type[] = "database.connection";

struct ml_lua_sqlite *ml_sqlite_push(lua_State *L)
{
    return ml_push_object(L, ml_sqlite_type, sizeof(struct ml_lua_sqlite), 0);
}

struct ml_lua_sqlite *ml_sqlite_check(lua_State *L, int index)
{
    struct ml_lua_sqlite *s = ml_check_object(L, index, ml_sqlite_type);
    if (s->c == NULL)
        luaL_error(L, "the connection is closed");
    if (s->is_busy)
        luaL_error(L, "another task is using this connection: a transaction belongs to one task");
    return s;
}

/* After a call that no task waits for any more, the worker has the connection, unless it has never
 * begun. */
static void note_end(struct ml_lua_sqlite *s, int error)
{
    s->is_busy = false;
    if (error == 0 || atomic_load(&s->c->users) == 1)
        return;
    s->c->is_lost = true;
    ml_sqlite_release(NULL, s->c);
    s->c = NULL;
}

static _Noreturn void raise_refusal(lua_State *L, const struct ml_sqlite_call *call)
{
    ml_raise_in_script(L, "%s", call->message);
    __builtin_unreachable();
}

int ml_sqlite_call(lua_State *L, struct ml_lua_sqlite *s, int (*make)(struct ml_sqlite *))
{
    struct ml_lua *lua = s->is_guarded ? ml_blocking_begin_transacting(L) : ml_blocking_begin(L);
    s->is_busy = true;
    int error = ml_sqlite_run(&lua->hub, s->c, make);
    note_end(s, error);
    if (error == 0 && s->c->call.result == ML_SQLITE_GIVEN_UP)
        error = -ECANCELED;
    if (error == 0 && s->c->call.result == ML_SQLITE_NO_MEMORY)
        error = -ENOMEM;
    if (ml_blocking_end(L, error) != 0)
        luaL_error(L, "cannot start a thread");
    int result = s->c->call.result;
    if (result == ML_SQLITE_PARAMETERS || result == ML_SQLITE_UNNAMED)
        raise_refusal(L, &s->c->call);
    return result;
}

int ml_sqlite_push_failure(lua_State *L, const struct ml_lua_sqlite *s)
{
    int result = s->c->call.result;
    luaL_pushfail(L);
    lua_pushstring(L, result > 0 ? s->c->call.message : ml_sqlite_refusal_text(result));
    ml_sqlite_push_code(L, result);
    return 3;
}

void ml_sqlite_set_text(lua_State *L, struct ml_lua_sqlite *s, int index)
{
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);
    struct ml_buffer *b = &s->c->call.text;
    luaL_argcheck(L, strlen(text) == size, index, "the text contains a zero byte");
    luaL_argcheck(L, size <= ML_CELL_LONGEST, index, "the text is too long");
    ml_buffer_consume(b, ml_buffer_size(b));
    if (ml_buffer_reserve(b, size + 1) != 0)
        luaL_error(L, "not enough memory");
    memcpy(ml_buffer_end(b), text, size + 1);
    ml_buffer_commit(b, size);
}

void ml_sqlite_drop_cursors(struct ml_lua_sqlite *s)
{
    s->is_guarded = false;
    if (s->c->statements.taken == 0)
        return;
    s->generation++;
    ml_sqlite_drop_all_cursors(s->c);
}

void ml_sqlite_close(lua_State *L, struct ml_lua_sqlite *s)
{
    struct ml_sqlite *c = s->c;
    if (c == NULL || s->is_busy)
        return;
    s->c = NULL;
    s->generation++;
    ml_sqlite_release(&ml_lua_of(L)->hub, c);
}
