#include "bindings/db/sqlite_quick.h"

#include "bindings/core/blocking.h"
#include "bindings/core/object.h"
#include "bindings/db/sqlite_object.h"
#include "bindings/db/sqlite_rows.h"
#include "db/sqlite/statement_call.h"

#include <stdalign.h>
#include <string.h>

enum { DATABASE = 1, TEXT = 2, FIRST = 3 };

/* Upvalues: whether it is for rows, and the names of fields. */
enum { IS_ROW = 1, READERS, WARM, HOW, TYPES, CONNECTION };

static const char *const fields[] = {"readers", "warm", "how", "types", "connection"};

/* Bytes of a row that are decoded here; a larger one takes the usual way. */
enum { ROOM = 4096 };

/* What was found: the indexes of values on the stack, and the place of the loan among the warm. */
struct quick {
    struct ml_lua_sqlite *s;
    int how, warm, loan;
    lua_Integer place;
    bool is_row;
};

/* Pushes a field of a table, without metamethods. Its type. */
static int push_field(lua_State *L, int table, int name)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    return lua_rawget(L, table);
}

/* Pushes `how`, which has no types, and the list of idle loans of those that read. */
static bool push_parts(lua_State *L, struct quick *q)
{
    if (lua_type(L, DATABASE) != LUA_TTABLE || push_field(L, DATABASE, HOW) != LUA_TTABLE)
        return false;
    q->how = lua_gettop(L);
    if (push_field(L, q->how, TYPES) != LUA_TNIL || lua_getmetatable(L, q->how) ||
        push_field(L, DATABASE, READERS) != LUA_TTABLE ||
        push_field(L, q->how + 2, WARM) != LUA_TTABLE)
        return false;
    q->warm = q->how + 3;
    return true;
}

/* Pushes the last loan, whose connection is idle. */
static bool push_loan(lua_State *L, struct quick *q)
{
    q->place = (lua_Integer)lua_rawlen(L, q->warm);
    if (q->place == 0 || lua_rawgeti(L, q->warm, q->place) != LUA_TTABLE)
        return false;
    q->loan = q->warm + 1;
    push_field(L, q->loan, CONNECTION);
    q->s = ml_test_object(L, q->loan + 1, ml_sqlite_type);
    return q->s != NULL && q->s->c != NULL && !q->s->is_busy;
}

/* Appends a parameter. False: one that is not plain, or is refused, or there is no memory. Collects
 * no garbage: a finalizer might use the connection. */
static bool put_value(lua_State *L, int value, struct ml_buffer *out)
{
    size_t size;
    lua_Number number;
    const char *bytes;
    switch (lua_type(L, value)) {
    case LUA_TNIL:
        return ml_cell_put_null(out) == 0;
    case LUA_TBOOLEAN:
        return ml_cell_put_integer(out, lua_toboolean(L, value)) == 0;
    case LUA_TNUMBER:
        number = lua_tonumber(L, value);
        if (lua_isinteger(L, value))
            return ml_cell_put_integer(out, lua_tointeger(L, value)) == 0;
        return number == number && ml_cell_put_float(out, number) == 0;
    case LUA_TSTRING:
        bytes = lua_tolstring(L, value, &size);
        return size <= ROOM && ml_cell_put_bytes(out, ML_CELL_TEXT, bytes, size) == 0;
    default:
        return false;
    }
}

static bool put_values(lua_State *L, int last, struct ml_sqlite_call *call)
{
    ml_buffer_consume(&call->input, ml_buffer_size(&call->input));
    call->parameters = (unsigned)(last + 1 - FIRST);
    bool is_plain = true;
    for (int i = FIRST; is_plain && i <= last; i++)
        is_plain = put_value(L, i, &call->input);
    return is_plain;
}

static bool has_short_text(lua_State *L, struct ml_sqlite *c)
{
    size_t size;
    if (lua_type(L, TEXT) != LUA_TSTRING)
        return false;
    const char *text = lua_tolstring(L, TEXT, &size);
    return ml_sqlite_finds_here(c, text, size);
}

/* The connection is idle again. If others have run somebody may wait for it. */
static void give_back(lua_State *L, const struct quick *q)
{
    ml_blocking_end(L, 0);
    if (q->s->c->others_ran) {
        lua_getfield(L, q->loan, "close");
        lua_pushvalue(L, q->loan);
        lua_call(L, 1, 0);
        return;
    }
    ml_sqlite_rest(q->s->c);
    lua_pushvalue(L, q->loan);
    lua_rawseti(L, q->warm, q->place);
}

/* The row is copied before the connection is given back: from then on it may be overwritten, by a
 * finalizer at the least. */
static __attribute__((noinline)) int finish(lua_State *L, const struct quick *q, bool has_run)
{
    alignas(struct ml_cell) char cells[ROOM];
    struct ml_sqlite_call *call = &q->s->c->call;
    unsigned rows = call->rows, columns = call->columns;
    size_t size = ml_buffer_size(&call->output);
    if (has_run && size > sizeof cells)
        call->found->is_large = true;
    has_run = has_run && size <= sizeof cells;
    if (has_run && size > 0)
        memcpy(cells, ml_buffer_data(&call->output), size);
    give_back(L, q);
    lua_pushboolean(L, has_run);
    if (!has_run)
        return 1;
    if (rows == 0 || columns == 0)
        lua_pushnil(L);
    else
        ml_sqlite_push_cells(L, (const struct ml_cell *)cells, columns, q->how, q->is_row);
    return 2;
}

/* (database, text, ...) -> whether it ran; the row or the value */
static int quick(lua_State *L)
{
    struct quick q = {.is_row = lua_toboolean(L, lua_upvalueindex(IS_ROW))};
    int last = lua_gettop(L);
    if (!lua_checkstack(L, 20) || !push_parts(L, &q) || !push_loan(L, &q) ||
        !has_short_text(L, q.s->c) || !put_values(L, last, &q.s->c->call)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    struct ml_lua *lua = ml_blocking_begin(L);
    lua_pushnil(L);
    lua_rawseti(L, q.warm, q.place);
    q.s->c->call.flags = q.s->flags | ML_SQLITE_WANTS_ROWS | ML_SQLITE_SINGLE | ML_SQLITE_STATEMENT;
    q.s->c->call.max_rows = 1;
    q.s->is_busy = true;
    bool has_run = ml_sqlite_try_here(&lua->hub, q.s->c, ml_sqlite_execute);
    q.s->is_busy = false;
    return finish(L, &q, has_run);
}

static void push_one(lua_State *L, bool is_row)
{
    enum { COUNT = sizeof fields / sizeof *fields };
    lua_pushboolean(L, is_row);
    for (int i = 0; i < COUNT; i++)
        lua_pushstring(L, fields[i]);
    lua_pushcclosure(L, quick, 1 + COUNT);
}

void ml_sqlite_push_quick(lua_State *L)
{
    push_one(L, true);
    push_one(L, false);
}
