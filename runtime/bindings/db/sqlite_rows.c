#include "bindings/db/sqlite_rows.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* What a walk over rows keeps on the stack, from `base` on: the value for NULL, the functions of
 * the columns (false: none), the names of the columns. */
struct walk {
    const struct ml_cell *next;
    int base;
    int columns;
    bool has_types;
};

static void push_cell(lua_State *L, const struct walk *walk, const struct ml_cell *cell)
{
    switch (cell->type) {
    case ML_CELL_NULL:
        lua_pushvalue(L, walk->base);
        break;
    case ML_CELL_INTEGER:
        lua_pushinteger(L, (lua_Integer)cell->value.integer);
        break;
    case ML_CELL_FLOAT:
        lua_pushnumber(L, cell->value.number);
        break;
    default:
        lua_pushlstring(L, ml_cell_bytes(cell), cell->size);
    }
}

/* Pushes the next value, as the function of its column makes it. */
static void push_next(lua_State *L, struct walk *walk, int column)
{
    const struct ml_cell *cell = walk->next;
    walk->next = ml_cell_next(cell);
    push_cell(L, walk, cell);
    if (!walk->has_types || cell->type == ML_CELL_NULL)
        return;
    if (lua_rawgeti(L, walk->base + 1, column) == LUA_TFUNCTION) {
        lua_insert(L, -2);
        lua_call(L, 1, 1);
    } else {
        lua_pop(L, 1);
    }
}

/* Pushes a list with the function for each column, nil where there is none: types[declared type],
 * in capitals. */
static void push_functions(lua_State *L, struct walk *walk, int types)
{
    lua_createtable(L, walk->columns, 0);
    for (int i = 1; i <= walk->columns; i++, walk->next = ml_cell_next(walk->next)) {
        const struct ml_cell *type = walk->next;
        char name[64];
        if (type->type != ML_CELL_TEXT || type->size > sizeof name)
            continue;
        for (size_t k = 0; k < type->size; k++) {
            char byte = ml_cell_bytes(type)[k];
            name[k] = (char)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
        }
        lua_pushlstring(L, name, type->size);
        lua_gettable(L, types);
        lua_rawseti(L, -2, i);
    }
}

static struct walk begin_cells(lua_State *L, const struct ml_cell *cells, unsigned columns, int how)
{
    struct walk walk = {.next = cells, .columns = (int)columns};
    luaL_checkstack(L, walk.columns + 10, "too many columns");
    lua_getfield(L, how, "null");
    walk.base = lua_gettop(L);
    lua_pushboolean(L, 0);
    for (int i = 0; i < walk.columns; i++, walk.next = ml_cell_next(walk.next))
        lua_pushlstring(L, ml_cell_bytes(walk.next), walk.next->size);
    return walk;
}

static struct walk begin(lua_State *L, const struct ml_sqlite_call *call, int how)
{
    const struct ml_cell *first = (const struct ml_cell *)ml_buffer_data(&call->output);
    struct walk walk = begin_cells(L, first, call->columns, how);
    if (call->flags & ML_SQLITE_WANTS_TYPES) {
        lua_getfield(L, how, "types");
        push_functions(L, &walk, lua_gettop(L));
        lua_replace(L, walk.base + 1);
        lua_pop(L, 1);
        walk.has_types = true;
    }
    return walk;
}

static void push_row(lua_State *L, struct walk *walk)
{
    lua_createtable(L, 0, walk->columns);
    for (int i = 1; i <= walk->columns; i++) {
        lua_pushvalue(L, walk->base + 1 + i);
        push_next(L, walk, i);
        lua_rawset(L, -3);
    }
}

void ml_sqlite_push_cells(lua_State *L, const struct ml_cell *cells, unsigned columns, int how,
                          bool is_row)
{
    struct walk walk = begin_cells(L, cells, columns, how);
    if (is_row)
        push_row(L, &walk);
    else
        push_next(L, &walk, 1);
    lua_replace(L, walk.base);
    lua_settop(L, walk.base);
}

lua_Integer ml_sqlite_append_rows(lua_State *L, const struct ml_sqlite_call *call, int how,
                                  lua_Integer count)
{
    int list = lua_gettop(L);
    if (call->rows == 0)
        return count;
    struct walk walk = begin(L, call, how);
    for (unsigned i = 0; i < call->rows; i++) {
        push_row(L, &walk);
        lua_rawseti(L, list, ++count);
    }
    lua_settop(L, list);
    return count;
}

void ml_sqlite_push_row(lua_State *L, const struct ml_sqlite_call *call, int how)
{
    if (call->rows == 0) {
        lua_pushnil(L);
        return;
    }
    struct walk walk = begin(L, call, how);
    push_row(L, &walk);
    lua_replace(L, walk.base);
    lua_settop(L, walk.base);
}

void ml_sqlite_push_value(lua_State *L, const struct ml_sqlite_call *call, int how)
{
    if (call->rows == 0 || call->columns == 0) {
        lua_pushnil(L);
        return;
    }
    struct walk walk = begin(L, call, how);
    push_next(L, &walk, 1);
    lua_replace(L, walk.base);
    lua_settop(L, walk.base);
}
