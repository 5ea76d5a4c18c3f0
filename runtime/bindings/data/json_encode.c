/* From Lua values to a text. Tables are read raw, without metamethods. */
#include "bindings/data/json_encode.h"

#include "bindings/data/json_encoder.h"
#include "bindings/data/json_number.h"
#include "bindings/data/json_refusal.h"
#include "bindings/data/json_text.h"
#include "bindings/data/json_values.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct name {
    const char *text;
    size_t size;
};

static void put_line(struct ml_json_encoder *e)
{
    if (e->how.indent == NULL)
        return;
    ml_json_put_byte(&e->out, '\n');
    for (int i = 0; i < e->depth; i++)
        ml_json_put(&e->out, e->how.indent, e->how.indent_size);
}

/* ---- scalars ---- */

static void put_number(struct ml_json_encoder *e)
{
    char *out = ml_json_reserve(&e->out, ML_JSON_NUMBER_SIZE);
    if (lua_isinteger(e->L, -1)) {
        e->out.size += ml_json_write_integer(lua_tointeger(e->L, -1), out);
        return;
    }
    double number = lua_tonumber(e->L, -1);
    if (!isfinite(number))
        ml_json_refuse_value(e, isnan(number) ? "is not a number (NaN)" : "is infinite");
    e->out.size += ml_json_write_float(number, out);
}

/* Writes the value on top, which is no table. */
static void put_scalar(struct ml_json_encoder *e, int type)
{
    size_t size;
    const char *text;
    switch (type) {
    case LUA_TSTRING:
        text = lua_tolstring(e->L, -1, &size);
        if (!ml_json_put_string(&e->out, text, size))
            ml_json_refuse_value(e, "is not UTF-8");
        break;
    case LUA_TNUMBER:
        put_number(e);
        break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(e->L, -1))
            ml_json_put(&e->out, "true", 4);
        else
            ml_json_put(&e->out, "false", 5);
        break;
    default:
        if (type != LUA_TUSERDATA || lua_touserdata(e->L, -1) != e->null)
            ml_json_refuse_value(e, lua_pushfstring(e->L, type == LUA_TNIL ? "is %s" : "is a %s",
                                                    lua_typename(e->L, type)));
        ml_json_put(&e->out, "null", 4);
    }
}

/* ---- the shapes of tables ---- */

static void grow_levels(struct ml_json_encoder *e)
{
    struct ml_json_level *levels = lua_newuserdatauv(e->L, 2 * (size_t)e->room * sizeof *levels, 0);
    memcpy(levels, e->levels, (size_t)e->room * sizeof *levels);
    lua_replace(e->L, e->base + ML_JSON_LEVELS);
    e->levels = levels;
    e->room *= 2;
}

static int compare_names(const void *a, const void *b)
{
    const struct name *one = a, *other = b;
    size_t shorter = one->size < other->size ? one->size : other->size;
    int order = memcmp(one->text, other->text, shorter);
    return order != 0 ? order : (one->size > other->size) - (one->size < other->size);
}

/* The number of items of the table at `table`, if its keys are 1 to that number, in any order. */
static lua_Integer count_items(struct ml_json_encoder *e, int table)
{
    lua_State *L = e->L;
    lua_Integer count = 0, largest = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0;) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1)
            ml_json_refuse_key(e, false);
        if (key > largest)
            largest = key;
        count++;
    }
    if (count != largest) {
        lua_pushinteger(L, largest);
        ml_json_refuse_key(e, false);
    }
    return count;
}

/* Replaces `slot` with the names of the table at `table`, sorted. */
static lua_Integer sort_names(struct ml_json_encoder *e, int table, int slot)
{
    lua_State *L = e->L;
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_pop(L, 1);
            ml_json_refuse_key(e, true);
        }
        count++;
    }
    struct name *names = lua_newuserdatauv(L, count * sizeof *names, 0);
    lua_replace(L, slot);
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1), i++)
        names[i].text = lua_tolstring(L, -2, &names[i].size);
    qsort(names, count, sizeof *names, compare_names);
    return (lua_Integer)count;
}

/* Whether the table on top is one of json.array's. */
static bool is_marked_array(struct ml_json_encoder *e)
{
    if (!lua_getmetatable(e->L, -1))
        return false;
    bool is_one = lua_topointer(e->L, -1) == e->array_type;
    lua_pop(e->L, 1);
    return is_one;
}

/* ---- going through them ---- */

/* Ends the innermost container and removes its slots. */
static bool close_level(struct ml_json_encoder *e, bool is_empty)
{
    char mark = e->level->shape == ML_JSON_ARRAY ? ']' : '}';
    lua_settop(e->L, ml_json_slot(e, e->depth, ML_JSON_TABLE) - 1);
    e->depth--;
    e->level = e->depth > 0 ? &e->levels[e->depth - 1] : NULL;
    if (!is_empty)
        put_line(e);
    ml_json_put_byte(&e->out, mark);
    return false;
}

static void put_key(struct ml_json_encoder *e)
{
    size_t size;
    const char *text = lua_tolstring(e->L, ml_json_slot(e, e->depth, ML_JSON_KEY), &size);
    if (!ml_json_put_string(&e->out, text, size))
        ml_json_refuse(e, e->depth, false, "has a key that is not UTF-8");
    ml_json_put_byte(&e->out, ':');
    if (e->how.indent != NULL)
        ml_json_put_byte(&e->out, ' ');
}

static void put_separator(struct ml_json_encoder *e, bool is_first)
{
    if (!is_first)
        ml_json_put_byte(&e->out, ',');
    put_line(e);
}

/* Stack: ..., key, value, from lua_next(). For an array whose items have come in order so far: if
 * this is not the next one, the items are elsewhere in the table. Then counts them, and goes on by
 * number. */
static bool take_item(struct ml_json_encoder *e)
{
    lua_State *L = e->L;
    struct ml_json_level *level = e->level;
    if (__builtin_expect(lua_isinteger(L, -2) && lua_tointeger(L, -2) == level->index + 1, 1)) {
        level->index++;
        return true;
    }
    lua_settop(L, ml_json_slot(e, e->depth, ML_JSON_KEY));
    level->count = count_items(e, ml_json_slot(e, e->depth, ML_JSON_TABLE));
    return false;
}

/* Pushes the next item of an array; false: that was the last. */
static bool next_item(struct ml_json_encoder *e)
{
    struct ml_json_level *level = e->level;
    bool is_first = level->index == 0;
    if (level->count == 0) {
        if (lua_next(e->L, ml_json_slot(e, e->depth, ML_JSON_TABLE)) == 0)
            return close_level(e, is_first);
        if (take_item(e)) {
            put_separator(e, is_first);
            return true;
        }
    }
    if (level->index == level->count)
        return close_level(e, is_first);
    lua_rawgeti(e->L, ml_json_slot(e, e->depth, ML_JSON_TABLE), ++level->index);
    put_separator(e, is_first);
    return true;
}

static bool next_member(struct ml_json_encoder *e)
{
    bool is_first = e->level->index == 0;
    if (lua_next(e->L, ml_json_slot(e, e->depth, ML_JSON_TABLE)) == 0)
        return close_level(e, is_first);
    if (lua_type(e->L, -2) != LUA_TSTRING) {
        lua_pop(e->L, 1);
        ml_json_refuse_key(e, true);
    }
    e->level->index++;
    put_separator(e, is_first);
    put_key(e);
    return true;
}

static bool next_sorted(struct ml_json_encoder *e)
{
    struct ml_json_level *level = e->level;
    bool is_first = level->index == 0;
    if (level->index == level->count)
        return close_level(e, is_first);
    const struct name *names = lua_touserdata(e->L, ml_json_slot(e, e->depth, ML_JSON_NAMES));
    const struct name *name = &names[level->index++];
    lua_pushlstring(e->L, name->text, name->size);
    lua_replace(e->L, ml_json_slot(e, e->depth, ML_JSON_KEY));
    lua_pushvalue(e->L, ml_json_slot(e, e->depth, ML_JSON_KEY));
    lua_rawget(e->L, ml_json_slot(e, e->depth, ML_JSON_TABLE));
    put_separator(e, is_first);
    put_key(e);
    return true;
}

/* Decides by its first key what the table of the level is. */
static void choose_shape(struct ml_json_encoder *e, bool is_array)
{
    int table = ml_json_slot(e, e->depth, ML_JSON_TABLE);
    struct ml_json_level *level = e->level;
    level->shape = ML_JSON_OBJECT;
    if (is_array) {
        level->shape = ML_JSON_ARRAY;
    } else if (lua_next(e->L, table) != 0) {
        lua_pop(e->L, 1);
        level->shape = lua_type(e->L, -1) == LUA_TSTRING ? ML_JSON_OBJECT : ML_JSON_ARRAY;
        lua_pop(e->L, 1);
        lua_pushnil(e->L);
    } else {
        lua_pushnil(e->L);
    }
    if (level->shape == ML_JSON_OBJECT && e->how.sorts_keys) {
        level->count = sort_names(e, table, ml_json_slot(e, e->depth, ML_JSON_NAMES));
        level->shape = ML_JSON_SORTED_OBJECT;
    }
}

/* Makes the table on top a level. */
static void open_level(struct ml_json_encoder *e)
{
    if (e->depth >= e->how.max_depth)
        ml_json_refuse_depth(e);
    if (e->depth == e->room)
        grow_levels(e);
    ml_json_check_stack(e->L, LUA_MINSTACK);
    bool is_array = is_marked_array(e);
    lua_pushnil(e->L); /* ML_JSON_NAMES, ML_JSON_KEY */
    lua_pushnil(e->L);
    e->level = &e->levels[e->depth++];
    *e->level = (struct ml_json_level){0};
    choose_shape(e, is_array);
    ml_json_put_byte(&e->out, e->level->shape == ML_JSON_ARRAY ? '[' : '{');
}

static bool next_value(struct ml_json_encoder *e)
{
    switch (e->level->shape) {
    case ML_JSON_ARRAY:
        return next_item(e);
    case ML_JSON_OBJECT:
        return next_member(e);
    case ML_JSON_SORTED_OBJECT:
        break;
    }
    return next_sorted(e);
}

/* Writes the value on top and pops it, or makes it a level. */
static void put_value(struct ml_json_encoder *e)
{
    int type = lua_type(e->L, -1);
    if (type == LUA_TTABLE) {
        open_level(e);
    } else {
        put_scalar(e, type);
        lua_pop(e->L, 1);
    }
}

static void encode(struct ml_json_encoder *e)
{
    put_value(e);
    while (e->depth > 0)
        if (next_value(e))
            put_value(e);
}

void ml_json_encode_for(lua_State *L, int index, struct ml_json_writing how, ml_json_take *take,
                        void *context)
{
    struct ml_json_encoder e;
    index = lua_absindex(L, index);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    e.L = L;
    e.how = how;
    e.base = lua_gettop(L);
    ml_json_output_init(&e.out, L, e.base + ML_JSON_BLOCK);
    e.levels = e.first_levels;
    e.level = NULL;
    e.depth = 0;
    e.room = ML_JSON_FIRST_LEVELS;
    ml_json_push_null(L);
    ml_json_push_array_type(L);
    e.null = lua_touserdata(L, -2);
    e.array_type = lua_topointer(L, -1);
    lua_settop(L, e.base + ML_JSON_LEVELS);
    lua_pushvalue(L, index);
    encode(&e);
    take(L, context, e.out.text, e.out.size);
    lua_settop(L, e.base);
}

/* Puts the string into the slot at *context, which is not in use any more. */
static void take_string(lua_State *L, void *context, const char *text, size_t size)
{
    const int *slot = context;
    lua_pushlstring(L, text, size);
    lua_replace(L, *slot);
}

void ml_json_encode(lua_State *L, int index, struct ml_json_writing how)
{
    index = lua_absindex(L, index);
    lua_pushnil(L);
    int slot = lua_gettop(L);
    ml_json_encode_for(L, index, how, take_string, &slot);
}
