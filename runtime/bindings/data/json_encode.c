/*
 * From Lua values to a text. Tables are taken as they are, without metamethods. Nesting is kept in
 * levels of our own, not on the C stack; the text grows in a block of Lua's, so that an error
 * leaves nothing behind.
 */
#include "bindings/data/json.h"
#include "bindings/data/json_text.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_LEVELS = 32, FIRST_BYTES = 2048 };

/* Levels that are searched for a table that contains itself. */
enum { LONGEST_CYCLE = 2000 };

/* Of a level: the table, its sorted names or nil, the key at which it is. */
enum { TABLE, NAMES, KEY, LEVEL_SLOTS };

/* Of the encoder, below them. */
enum { BLOCK = 1, LEVELS, FIRST_LEVEL };

enum shape { ARRAY, OBJECT, SORTED_OBJECT };

struct level {
    lua_Integer index; /* of an array: the item at which it is; of an object: how many so far */
    lua_Integer count; /* of an array whose items do not lie in their order; else 0 */
    enum shape shape;
};

struct name {
    const char *text;
    size_t size;
};

struct encoder {
    lua_State *L;
    struct ml_json_writing how;
    int base; /* its slots follow */
    char *text;
    size_t size, capacity;
    const void *null, *array_type;
    struct level *levels, *level;
    int depth, room;
    struct level first_levels[FIRST_LEVELS];
    char first_text[FIRST_BYTES];
};

/* The slot of a level, the innermost of which is e->depth. */
static inline int slot_of(const struct encoder *e, int depth, int which)
{
    return e->base + FIRST_LEVEL + (depth - 1) * LEVEL_SLOTS + which;
}

/* ---- the text ---- */

static __attribute__((noinline)) void grow(struct encoder *e, size_t size)
{
    size_t capacity = 2 * e->capacity;
    if (size > SIZE_MAX / 4 - e->capacity)
        luaL_error(e->L, "not enough memory");
    if (capacity < e->size + size)
        capacity = e->size + size;
    char *text = lua_newuserdatauv(e->L, capacity, 0);
    memcpy(text, e->text, e->size);
    lua_replace(e->L, e->base + BLOCK);
    e->text = text;
    e->capacity = capacity;
}

/* Where `size` bytes can be written. */
static inline char *reserve(struct encoder *e, size_t size)
{
    if (__builtin_expect(e->capacity - e->size < size, 0))
        grow(e, size);
    return e->text + e->size;
}

static inline void put(struct encoder *e, const char *data, size_t size)
{
    memcpy(reserve(e, size), data, size);
    e->size += size;
}

static inline void put_byte(struct encoder *e, char byte)
{
    *reserve(e, 1) = byte;
    e->size++;
}

static void put_line(struct encoder *e)
{
    if (e->how.indent == NULL)
        return;
    put_byte(e, '\n');
    for (int i = 0; i < e->depth; i++)
        put(e, e->how.indent, e->how.indent_size);
}

/* ---- failures ---- */

static bool is_identifier(const char *text, size_t size)
{
    static const char others[] = "_0123456789";
    bool is_one = size > 0 && strlen(text) == size && !(text[0] >= '0' && text[0] <= '9');
    for (size_t i = 0; is_one && i < size; i++) {
        char lower = (char)(text[i] | 0x20);
        is_one = (lower >= 'a' && lower <= 'z') || strchr(others, text[i]) != NULL;
    }
    return is_one;
}

static void add_step(lua_State *L, luaL_Buffer *b, int key)
{
    size_t size;
    if (lua_type(L, key) == LUA_TNUMBER) {
        lua_pushfstring(L, lua_isinteger(L, key) ? "[%I]" : "[%f]",
                        lua_isinteger(L, key) ? lua_tointeger(L, key) : 0);
        luaL_addvalue(b);
        return;
    }
    const char *text = lua_tolstring(L, key, &size);
    bool is_plain = is_identifier(text, size);
    luaL_addstring(b, is_plain ? "." : "[\"");
    luaL_addlstring(b, text, size);
    luaL_addstring(b, is_plain ? "" : "\"]");
}

/* The path to the table of a level, or with its key. */
static void push_path(struct encoder *e, int depth, bool has_key)
{
    luaL_Buffer b;
    luaL_buffinit(e->L, &b);
    luaL_addstring(&b, "value");
    for (int i = 1; i < depth + has_key; i++) {
        if (e->levels[i - 1].shape == ARRAY) {
            lua_pushfstring(e->L, "[%I]", e->levels[i - 1].index);
            luaL_addvalue(&b);
        } else {
            add_step(e->L, &b, slot_of(e, i, KEY));
        }
    }
    luaL_pushresult(&b);
}

/* Raises "path text". */
static _Noreturn void refuse(struct encoder *e, int depth, bool has_key, const char *text)
{
    luaL_checkstack(e->L, LUA_MINSTACK, NULL);
    push_path(e, depth, has_key);
    luaL_where(e->L, 1);
    lua_pushfstring(e->L, "%s%s %s", lua_tostring(e->L, -1), lua_tostring(e->L, -2), text);
    lua_error(e->L);
    abort();
}

/* Of the value that is at its turn. */
static _Noreturn void refuse_value(struct encoder *e, const char *text)
{
    refuse(e, e->depth, true, text);
}

/* The table on top lies too deep; if it is in itself, the path to where it comes again. */
static _Noreturn void refuse_depth(struct encoder *e)
{
    const void *tables[2] = {NULL};
    for (int i = 2; i <= e->depth && i <= LONGEST_CYCLE; i++) {
        tables[0] = lua_topointer(e->L, slot_of(e, i, TABLE));
        for (int k = 1; k < i; k++) {
            tables[1] = lua_topointer(e->L, slot_of(e, k, TABLE));
            if (tables[0] == tables[1])
                refuse(e, i, false, "contains itself: a cycle");
        }
    }
    refuse(e, e->depth < 8 ? e->depth : 8, true, "is nested too deep");
}

/* ---- scalars ---- */

static void put_escape(struct encoder *e, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[256] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                    ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (names[byte] != 0)
        put(e, (const char[]){'\\', names[byte]}, 2);
    else
        put(e, (const char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
}

/* False: it is not UTF-8. */
static bool put_string(struct encoder *e, const char *text, size_t size)
{
    const char *end = text + size, *p = text;
    put_byte(e, '"');
    while ((p = ml_json_plain(p, end)) < end) {
        size_t length = (unsigned char)*p >= 0x80 ? ml_json_character(p, end) : 1;
        if (length == 0)
            return false;
        if (length == 1) {
            put(e, text, (size_t)(p - text));
            put_escape(e, (unsigned char)*p);
            text = p + 1;
        }
        p += length;
    }
    char *out = reserve(e, (size_t)(end - text) + 1);
    memcpy(out, text, (size_t)(end - text));
    out[end - text] = '"';
    e->size += (size_t)(end - text) + 1;
    return true;
}

static void put_number(struct encoder *e)
{
    char *out = reserve(e, ML_JSON_NUMBER_SIZE);
    if (lua_isinteger(e->L, -1)) {
        e->size += ml_json_write_integer(lua_tointeger(e->L, -1), out);
        return;
    }
    double number = lua_tonumber(e->L, -1);
    if (!isfinite(number))
        refuse_value(e, isnan(number) ? "is not a number (NaN)" : "is infinite");
    e->size += ml_json_write_float(number, out);
}

/* The value on top, which is no table. */
static void put_scalar(struct encoder *e, int type)
{
    size_t size;
    const char *text;
    switch (type) {
    case LUA_TSTRING:
        text = lua_tolstring(e->L, -1, &size);
        if (!put_string(e, text, size))
            refuse_value(e, "is not UTF-8");
        break;
    case LUA_TNUMBER:
        put_number(e);
        break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(e->L, -1))
            put(e, "true", 4);
        else
            put(e, "false", 5);
        break;
    default:
        if (type != LUA_TUSERDATA || lua_touserdata(e->L, -1) != e->null)
            refuse_value(e, lua_pushfstring(e->L, type == LUA_TNIL ? "is %s" : "is a %s",
                                            lua_typename(e->L, type)));
        put(e, "null", 4);
    }
}

/* ---- the shapes of tables ---- */

static void grow_levels(struct encoder *e)
{
    struct level *levels = lua_newuserdatauv(e->L, 2 * (size_t)e->room * sizeof *levels, 0);
    memcpy(levels, e->levels, (size_t)e->room * sizeof *levels);
    lua_replace(e->L, e->base + LEVELS);
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

/* Raises for a table whose key on top is none that its other keys go with. The level is pushed. */
static _Noreturn void refuse_key(struct encoder *e, bool has_names)
{
    lua_State *L = e->L;
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING || (has_names && lua_isinteger(L, -1)))
        refuse(e, e->depth, false, "has names and numbers as keys");
    if (lua_isinteger(L, -1))
        refuse(e, e->depth, false,
               lua_pushfstring(L, "is a sparse array: it has the key %I", lua_tointeger(L, -1)));
    refuse(e, e->depth, false, lua_pushfstring(L, "has a key that is a %s", luaL_typename(L, -1)));
}

/* How many items the table at `table` has, if its keys are 1 to that number, in any order. */
static lua_Integer count_items(struct encoder *e, int table)
{
    lua_State *L = e->L;
    lua_Integer count = 0, largest = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0;) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1)
            refuse_key(e, false);
        if (key > largest)
            largest = key;
        count++;
    }
    if (count != largest) {
        lua_pushinteger(L, largest);
        refuse_key(e, false);
    }
    return count;
}

/* The names of the table at `table`, sorted, in place of `slot`. */
static lua_Integer sort_names(struct encoder *e, int table, int slot)
{
    lua_State *L = e->L;
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_pop(L, 1);
            refuse_key(e, true);
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
static bool is_marked_array(struct encoder *e)
{
    if (!lua_getmetatable(e->L, -1))
        return false;
    bool is_one = lua_topointer(e->L, -1) == e->array_type;
    lua_pop(e->L, 1);
    return is_one;
}

/* ---- going through them ---- */

/* The innermost container ends. Its slots go. */
static bool close_level(struct encoder *e, bool is_empty)
{
    char mark = e->level->shape == ARRAY ? ']' : '}';
    lua_settop(e->L, slot_of(e, e->depth, TABLE) - 1);
    e->depth--;
    e->level = e->depth > 0 ? &e->levels[e->depth - 1] : NULL;
    if (!is_empty)
        put_line(e);
    put_byte(e, mark);
    return false;
}

static void put_key(struct encoder *e)
{
    size_t size;
    const char *text = lua_tolstring(e->L, slot_of(e, e->depth, KEY), &size);
    if (!put_string(e, text, size))
        refuse(e, e->depth, false, "has a key that is not UTF-8");
    put_byte(e, ':');
    if (e->how.indent != NULL)
        put_byte(e, ' ');
}

static void put_separator(struct encoder *e, bool is_first)
{
    if (!is_first)
        put_byte(e, ',');
    put_line(e);
}

/* Stack: ..., key, value, which lua_next() gave. An array: the items have come in their order. If
 * the next one is not what follows, they lie elsewhere in the table: counts them, and goes on by
 * number. */
static bool take_item(struct encoder *e)
{
    lua_State *L = e->L;
    struct level *level = e->level;
    if (__builtin_expect(lua_isinteger(L, -2) && lua_tointeger(L, -2) == level->index + 1, 1)) {
        level->index++;
        return true;
    }
    lua_settop(L, slot_of(e, e->depth, KEY));
    level->count = count_items(e, slot_of(e, e->depth, TABLE));
    return false;
}

/* Pushes the next item of an array; false: that was the last. */
static bool next_item(struct encoder *e)
{
    struct level *level = e->level;
    bool is_first = level->index == 0;
    if (level->count == 0) {
        if (lua_next(e->L, slot_of(e, e->depth, TABLE)) == 0)
            return close_level(e, is_first);
        if (take_item(e)) {
            put_separator(e, is_first);
            return true;
        }
    }
    if (level->index == level->count)
        return close_level(e, is_first);
    lua_rawgeti(e->L, slot_of(e, e->depth, TABLE), ++level->index);
    put_separator(e, is_first);
    return true;
}

static bool next_member(struct encoder *e)
{
    bool is_first = e->level->index == 0;
    if (lua_next(e->L, slot_of(e, e->depth, TABLE)) == 0)
        return close_level(e, is_first);
    if (lua_type(e->L, -2) != LUA_TSTRING) {
        lua_pop(e->L, 1);
        refuse_key(e, true);
    }
    e->level->index++;
    put_separator(e, is_first);
    put_key(e);
    return true;
}

static bool next_sorted(struct encoder *e)
{
    struct level *level = e->level;
    bool is_first = level->index == 0;
    if (level->index == level->count)
        return close_level(e, is_first);
    const struct name *names = lua_touserdata(e->L, slot_of(e, e->depth, NAMES));
    const struct name *name = &names[level->index++];
    lua_pushlstring(e->L, name->text, name->size);
    lua_replace(e->L, slot_of(e, e->depth, KEY));
    lua_pushvalue(e->L, slot_of(e, e->depth, KEY));
    lua_rawget(e->L, slot_of(e, e->depth, TABLE));
    put_separator(e, is_first);
    put_key(e);
    return true;
}

/* Finds out what the table of the level is: by its first key. */
static void choose_shape(struct encoder *e, bool is_array)
{
    int table = slot_of(e, e->depth, TABLE);
    struct level *level = e->level;
    level->shape = OBJECT;
    if (is_array) {
        level->shape = ARRAY;
    } else if (lua_next(e->L, table) != 0) {
        lua_pop(e->L, 1);
        level->shape = lua_type(e->L, -1) == LUA_TSTRING ? OBJECT : ARRAY;
        lua_pop(e->L, 1);
        lua_pushnil(e->L);
    } else {
        lua_pushnil(e->L);
    }
    if (level->shape == OBJECT && e->how.sorts_keys) {
        level->count = sort_names(e, table, slot_of(e, e->depth, NAMES));
        level->shape = SORTED_OBJECT;
    }
}

/* The table on top becomes a level. */
static void open_level(struct encoder *e)
{
    if (e->depth >= e->how.max_depth)
        refuse_depth(e);
    if (e->depth == e->room)
        grow_levels(e);
    luaL_checkstack(e->L, LUA_MINSTACK, "nested too deep");
    bool is_array = is_marked_array(e);
    lua_pushnil(e->L); /* NAMES, KEY */
    lua_pushnil(e->L);
    e->level = &e->levels[e->depth++];
    *e->level = (struct level){0};
    choose_shape(e, is_array);
    put_byte(e, e->level->shape == ARRAY ? '[' : '{');
}

static bool next_value(struct encoder *e)
{
    switch (e->level->shape) {
    case ARRAY:
        return next_item(e);
    case OBJECT:
        return next_member(e);
    case SORTED_OBJECT:
        break;
    }
    return next_sorted(e);
}

/* The value on top, which goes or becomes a level. */
static void put_value(struct encoder *e)
{
    int type = lua_type(e->L, -1);
    if (type == LUA_TTABLE) {
        open_level(e);
    } else {
        put_scalar(e, type);
        lua_pop(e->L, 1);
    }
}

static void encode(struct encoder *e)
{
    put_value(e);
    while (e->depth > 0)
        if (next_value(e))
            put_value(e);
}

void ml_json_encode(lua_State *L, int index, struct ml_json_writing how)
{
    struct encoder e;
    index = lua_absindex(L, index);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    e.L = L;
    e.how = how;
    e.base = lua_gettop(L);
    e.text = e.first_text;
    e.size = 0;
    e.capacity = FIRST_BYTES;
    e.levels = e.first_levels;
    e.level = NULL;
    e.depth = 0;
    e.room = FIRST_LEVELS;
    ml_json_push_null(L);
    ml_json_push_array_type(L);
    e.null = lua_touserdata(L, -2);
    e.array_type = lua_topointer(L, -1);
    lua_settop(L, e.base + LEVELS);
    lua_pushvalue(L, index);
    encode(&e);
    lua_pushlstring(L, e.text, e.size);
    lua_replace(L, e.base + 1);
    lua_settop(L, e.base + 1);
}
