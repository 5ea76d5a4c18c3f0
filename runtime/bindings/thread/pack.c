/* Values into a parcel. Nothing here raises, runs Lua code or recurses: tables that contain each
 * other are levels of the packer. */
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/data/json_values.h"
#include "bindings/thread/packer.h"
#include "bindings/thread/thread_channel.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>

/* The result of a step: packed, or the reason why not. */
enum outcome { DONE, NO_MEMORY, REFUSED, REFUSED_KEY };

static enum outcome done_if(bool has_memory)
{
    return ml_likely(has_memory) ? DONE : NO_MEMORY;
}

static enum outcome pop(struct ml_packer *p, bool has_memory)
{
    lua_pop(p->L, 1);
    return done_if(has_memory);
}

/* ---- numbers and strings ---- */

static bool add_integer(struct ml_packer *p, lua_Integer value)
{
    if (value >= INT8_MIN && value <= INT8_MAX) {
        char *place = ml_packer_extend(p, 2);
        if (place != NULL)
            place[0] = ML_PARCEL_BYTE, place[1] = (char)(int8_t)value;
        return place != NULL;
    }
    char *place = ml_packer_extend(p, 1 + sizeof value);
    if (place != NULL) {
        place[0] = ML_PARCEL_INTEGER;
        memcpy(place + 1, &value, sizeof value);
    }
    return place != NULL;
}

static bool add_number(struct ml_packer *p, int index)
{
    if (lua_isinteger(p->L, index))
        return add_integer(p, lua_tointeger(p->L, index));
    lua_Number value = lua_tonumber(p->L, index);
    char *place = ml_packer_extend(p, 1 + sizeof value);
    if (place != NULL) {
        place[0] = ML_PARCEL_NUMBER;
        memcpy(place + 1, &value, sizeof value);
    }
    return place != NULL;
}

static bool add_long(struct ml_packer *p, const char *text, size_t length)
{
    uint64_t size = length;
    char *place = length <= SIZE_MAX / 4 ? ml_packer_extend(p, 1 + sizeof size + length) : NULL;
    if (place != NULL) {
        place[0] = ML_PARCEL_STRING;
        memcpy(place + 1, &size, sizeof size);
        memcpy(place + 1 + sizeof size, text, length);
    }
    return place != NULL;
}

/* Lua keeps one copy of a short string: its address identifies it. */
static inline bool add_short(struct ml_packer *p, const char *text, size_t length)
{
    unsigned at = (unsigned)((uintptr_t)text >> 5) % ML_PARCEL_CACHE;
    bool is_cached = p->cache[at] == text;
    char *place = ml_packer_extend(p, is_cached ? 2 : 3 + length);
    if (ml_unlikely(place == NULL))
        return false;
    place[0] = is_cached ? ML_PARCEL_CACHED : ML_PARCEL_SHORT;
    place[1] = (char)at;
    if (!is_cached) {
        place[2] = (char)length;
        memcpy(place + 3, text, length);
        p->cache[at] = text;
        p->parcel->uses_cache = true;
    }
    return true;
}

static inline bool add_string(struct ml_packer *p, int index)
{
    size_t length;
    const char *text = lua_tolstring(p->L, index, &length);
    bool is_cacheable = length < ML_PARCEL_SHORTEST_LONG && p->depth > 0;
    return is_cacheable ? add_short(p, text, length) : add_long(p, text, length);
}

/* ---- tables and functions ---- */

/* Adds the number of the value on top, if it was met before, and pops it: *is_known. */
static enum outcome add_known(struct ml_packer *p, bool *is_known)
{
    struct ml_pack_entry *entry = ml_packer_find(p, lua_topointer(p->L, -1));
    *is_known = entry != NULL && entry->offset != SIZE_MAX;
    if (entry != NULL && !*is_known)
        entry->offset = p->size + 1;
    if (!*is_known)
        return done_if(entry != NULL);
    uint32_t number = ml_packer_number(p, entry->offset);
    return pop(p, ml_packer_add_tag(p, ML_PARCEL_SEEN) && ml_packer_add(p, &number, sizeof number));
}

static enum ml_parcel_tag tag_of_table(lua_State *L)
{
    if (ml_likely(!lua_getmetatable(L, -1)))
        return ML_PARCEL_TABLE;
    ml_json_push_array_type(L);
    bool is_array = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_array ? ML_PARCEL_ARRAY : ml_is_failure(L, -1) ? ML_PARCEL_FAILURE : ML_PARCEL_TABLE;
}

/* The table on top, which was not met before, becomes a level. */
static enum outcome begin_table(struct ml_packer *p)
{
    static const struct ml_parcel_table none;
    if (!lua_checkstack(p->L, 8) || !ml_packer_add_tag(p, tag_of_table(p->L)))
        return NO_MEMORY;
    struct ml_pack_level *level = ml_packer_push(p);
    if (level == NULL)
        return NO_MEMORY;
    level->kind = ML_PACK_TABLE;
    lua_pushnil(p->L);
    return done_if(ml_packer_add(p, &none, sizeof none));
}

static enum outcome add_table(struct ml_packer *p)
{
    bool is_known;
    if (ml_unlikely(lua_topointer(p->L, -1) == p->globals))
        return pop(p, ml_packer_add_tag(p, ML_PARCEL_GLOBALS));
    enum outcome outcome = add_known(p, &is_known);
    return is_known || outcome != DONE ? outcome : begin_table(p);
}

static enum outcome end_table(struct ml_packer *p)
{
    const struct ml_pack_level *level = &p->levels[--p->depth];
    char *header = p->parcel->bytes + level->offset;
    memcpy(header + offsetof(struct ml_parcel_table, items), &level->items, sizeof level->items);
    memcpy(header + offsetof(struct ml_parcel_table, keyed), &level->keyed, sizeof level->keyed);
    return pop(p, ml_packer_add_tag(p, ML_PARCEL_END));
}

static int write_code(lua_State *L, const void *code, size_t size, void *packer)
{
    (void)L;
    return !ml_packer_add(packer, code, size);
}

/* The Lua function on top, which was not met before, becomes a level. */
static enum outcome begin_function(struct ml_packer *p)
{
    struct ml_parcel_function header = {0};
    if (!lua_checkstack(p->L, 8) || !ml_packer_add_tag(p, ML_PARCEL_FUNCTION))
        return NO_MEMORY;
    while (lua_upvalueid(p->L, -1, (int)header.upvalues + 1) != NULL)
        header.upvalues++;
    struct ml_pack_level *level = ml_packer_push(p);
    if (level == NULL)
        return NO_MEMORY;
    level->kind = ML_PACK_FUNCTION;
    size_t offset = level->offset;
    if (!ml_packer_add(p, &header, sizeof header) || lua_dump(p->L, write_code, p, 0) != 0)
        return NO_MEMORY;
    uint64_t size = p->size - offset - sizeof header;
    memcpy(p->parcel->bytes + offset + offsetof(struct ml_parcel_function, size), &size,
           sizeof size);
    return DONE;
}

/* ---- modules ---- */

/* Whether the module on top, of the name below it, has the value at `index`. Its key then stands on
 * top of the stack. The globals are a module of C functions only: what a script adds to them is not
 * there in another runtime. */
static bool has_member(struct ml_packer *p, int index)
{
    lua_State *L = p->L;
    bool is_usable = lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1) &&
                     (lua_topointer(L, -1) != p->globals || lua_iscfunction(L, index));
    if (!is_usable)
        return false;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, index)) {
            lua_pop(L, 1);
            return true;
        }
    return false;
}

/* Adds the value on top as a module, or as a field of one, and pops it: *is_one. */
static enum outcome add_by_name(struct ml_packer *p, bool *is_one)
{
    lua_State *L = p->L;
    int index = lua_gettop(L);
    *is_one = false;
    bool is_module = false;
    if (!lua_checkstack(L, 8))
        return NO_MEMORY;
    for (lua_pushnil(L); !*is_one && lua_next(L, p->loaded) != 0;) {
        is_module = lua_rawequal(L, -1, index) && lua_type(L, -2) == LUA_TSTRING;
        *is_one = is_module || (lua_isfunction(L, index) && has_member(p, index));
        if (!*is_one)
            lua_pop(L, 1);
    }
    if (!*is_one)
        return DONE;
    bool has_memory = ml_packer_add_tag(p, is_module ? ML_PARCEL_MODULE : ML_PARCEL_MEMBER) &&
                      add_string(p, index + 1) && (is_module || add_string(p, index + 3));
    lua_settop(L, index - 1);
    return done_if(has_memory);
}

static enum outcome add_function(struct ml_packer *p)
{
    bool is_one;
    enum outcome outcome = add_by_name(p, &is_one);
    if (is_one || outcome != DONE)
        return outcome;
    if (lua_iscfunction(p->L, -1))
        return REFUSED;
    outcome = add_known(p, &is_one);
    return is_one || outcome != DONE ? outcome : begin_function(p);
}

/* ---- any value ---- */

static bool is_null(lua_State *L)
{
    ml_json_push_null(L);
    bool is = lua_isuserdata(L, -1) && lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return is;
}

static enum outcome add_userdata(struct ml_packer *p)
{
    if (!lua_checkstack(p->L, 4))
        return NO_MEMORY;
    if (is_null(p->L))
        return pop(p, ml_packer_add_tag(p, ML_PARCEL_NULL));
    struct ml_thread_channel *channel = ml_test_thread_channel(p->L, -1);
    if (channel == NULL)
        return REFUSED;
    bool has_memory = ml_packer_add_tag(p, ML_PARCEL_CHANNEL) &&
                      ml_packer_add(p, &channel, sizeof channel) &&
                      ml_packer_add_channel(p, channel);
    return pop(p, has_memory);
}

/* Packs the value on top: pops it, or it has become a level. */
static inline enum outcome add_value(struct ml_packer *p)
{
    switch (lua_type(p->L, -1)) {
    case LUA_TSTRING:
        return pop(p, add_string(p, -1));
    case LUA_TNUMBER:
        return pop(p, add_number(p, -1));
    case LUA_TTABLE:
        return add_table(p);
    case LUA_TBOOLEAN:
        return pop(
            p, ml_packer_add_tag(p, lua_toboolean(p->L, -1) ? ML_PARCEL_TRUE : ML_PARCEL_FALSE));
    case LUA_TNIL:
        return pop(p, ml_packer_add_tag(p, ML_PARCEL_NIL));
    case LUA_TFUNCTION:
        return add_function(p);
    case LUA_TUSERDATA:
        return add_userdata(p);
    default:
        return REFUSED;
    }
}

/* Packs the key below the value on top, and then the value, at once or in later steps. */
static enum outcome add_pair(struct ml_packer *p, struct ml_pack_level *level)
{
    lua_State *L = p->L;
    if (!level->is_keyed && !ml_packer_add_tag(p, ML_PARCEL_KEYED))
        return NO_MEMORY;
    level->is_keyed = true;
    level->keyed++;
    if (ml_likely(lua_type(L, -2) == LUA_TSTRING))
        return ml_likely(add_string(p, -2)) ? add_value(p) : NO_MEMORY;
    if (lua_type(L, -2) == LUA_TNUMBER)
        return add_number(p, -2) ? add_value(p) : NO_MEMORY;
    level->value_is_left = true;
    lua_pushvalue(L, -2);
    enum outcome outcome = add_value(p);
    return outcome == REFUSED ? REFUSED_KEY : outcome;
}

static inline bool is_next_item(lua_State *L, const struct ml_pack_level *level)
{
    return !level->is_keyed && lua_isinteger(L, -2) &&
           lua_tointeger(L, -2) == (lua_Integer)level->items + 1;
}

/* The next key and value of a table. */
static inline enum outcome step_table(struct ml_packer *p, struct ml_pack_level *level)
{
    if (ml_unlikely(level->value_is_left)) {
        level->value_is_left = false;
        return add_value(p);
    }
    if (lua_next(p->L, -2) == 0)
        return end_table(p);
    if (!is_next_item(p->L, level))
        return add_pair(p, level);
    level->items++;
    return add_value(p);
}

/* An upvalue that another function of this parcel has, too: *is_joined. */
static enum outcome add_joined(struct ml_packer *p, const void *id, size_t offset, uint32_t number,
                               bool *is_joined)
{
    struct ml_pack_entry *entry = ml_packer_find(p, id);
    *is_joined = entry != NULL && entry->offset != SIZE_MAX;
    if (entry == NULL)
        return NO_MEMORY;
    if (!*is_joined) {
        entry->offset = offset;
        entry->upvalue = number;
        return DONE;
    }
    uint32_t function = ml_packer_number(p, entry->offset);
    uint8_t upvalue = (uint8_t)entry->upvalue;
    return pop(p, ml_packer_add_tag(p, ML_PARCEL_JOINED) &&
                      ml_packer_add(p, &function, sizeof function) &&
                      ml_packer_add(p, &upvalue, sizeof upvalue));
}

/* The next upvalue of a function: values, but no tables, whose other owners would not see what is
 * done to the copy. _ENV is the other runtime's globals, also where the script has put another
 * table there. */
static enum outcome step_function(struct ml_packer *p, struct ml_pack_level *level)
{
    lua_State *L = p->L;
    uint32_t number = ++level->items;
    bool is_one;
    const char *name = lua_getupvalue(L, -1, (int)number);
    if (name == NULL) {
        p->depth--;
        return pop(p, true);
    }
    if (lua_istable(L, -1) && (strcmp(name, "_ENV") == 0 || lua_topointer(L, -1) == p->globals))
        return pop(p, ml_packer_add_tag(p, ML_PARCEL_GLOBALS));
    const void *id = lua_upvalueid(L, -2, (int)number);
    enum outcome outcome = add_joined(p, id, level->offset, number, &is_one);
    if (is_one || outcome != DONE)
        return outcome;
    if (!lua_istable(L, -1))
        return add_value(p);
    outcome = add_by_name(p, &is_one);
    return is_one || outcome != DONE ? outcome : REFUSED;
}

static enum outcome add_all_of(struct ml_packer *p)
{
    enum outcome outcome = add_value(p);
    while (outcome == DONE && p->depth > 0) {
        struct ml_pack_level *level = &p->levels[p->depth - 1];
        outcome = level->kind == ML_PACK_TABLE ? step_table(p, level) : step_function(p, level);
    }
    return outcome;
}

/* ---- the parcel ---- */

static enum outcome add_all(struct ml_packer *p, int first, int count)
{
    enum outcome outcome = done_if(ml_packer_grow(p, 1));
    for (p->root = 0; outcome == DONE && p->root < count; p->root++) {
        lua_pushvalue(p->L, first + p->root);
        outcome = add_all_of(p);
    }
    p->root -= outcome != DONE;
    return outcome;
}

/* What the value on top is, as an error says it. */
static const char *what_is(lua_State *L)
{
    static const char *const names[] = {[LUA_TFUNCTION] = "C function that no module has",
                                        [LUA_TTHREAD] = "coroutine",
                                        [LUA_TLIGHTUSERDATA] = "light userdata"};
    int type = lua_type(L, -1);
    bool has_name = type >= 0 && type < (int)(sizeof names / sizeof *names) && names[type] != NULL;
    return has_name ? names[type] : lua_typename(L, type);
}

/* The error's text. The stack is still as the refused value left it. */
static void explain(struct ml_packer *p, enum outcome outcome, const char *name, int number,
                    char text[ML_PACK_TEXT])
{
    char root[64], path[ML_PACK_TEXT - 128];
    if (outcome == NO_MEMORY || p->root < 0) {
        snprintf(text, ML_PACK_TEXT, "not enough memory");
        return;
    }
    // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): the callers' constants
    snprintf(root, sizeof root, name, number + p->root);
    bool is_upvalue = lua_istable(p->L, -1);
    if (outcome == REFUSED_KEY)
        p->depth--;
    ml_packer_path(p, path, sizeof path);
    snprintf(text, ML_PACK_TEXT, "%s%s %s a %s%s", root, path,
             outcome == REFUSED_KEY ? "has a key that is" : "is", what_is(p->L),
             is_upvalue ? ", which is not copied: make it an argument" : "");
}

struct ml_parcel *ml_pack_try(lua_State *L, int first, int count, const char *name, int number,
                              char text[ML_PACK_TEXT])
{
    int top = lua_gettop(L);
    if (!lua_checkstack(L, 16)) {
        snprintf(text, ML_PACK_TEXT, "not enough memory");
        return NULL;
    }
    struct ml_packer p = {.L = L, .loaded = top + 1};
    lua_pushglobaltable(L);
    p.globals = lua_topointer(L, -1);
    lua_pop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    enum outcome outcome = add_all(&p, first, count);
    if (outcome == DONE) {
        p.parcel->size = p.size;
        p.parcel->count = (uint32_t)count;
    } else {
        explain(&p, outcome, name, number, text);
        if (p.parcel != NULL)
            ml_parcel_release(p.parcel);
        p.parcel = NULL;
    }
    ml_packer_release(&p);
    lua_settop(L, top);
    return p.parcel;
}

struct ml_parcel *ml_pack(lua_State *L, int first, int count, const char *name, int number)
{
    char text[ML_PACK_TEXT];
    struct ml_parcel *parcel = ml_pack_try(L, first, count, name, number, text);
    if (parcel == NULL)
        luaL_error(L, "%s", text);
    return parcel;
}

struct ml_parcel *ml_parcel_of_string(const void *data, size_t size)
{
    struct ml_packer p = {.L = NULL};
    if (ml_packer_grow(&p, 1) && add_long(&p, data, size)) {
        p.parcel->size = p.size;
        p.parcel->count = 1;
        return p.parcel;
    }
    if (p.parcel != NULL)
        ml_parcel_release(p.parcel);
    return NULL;
}

const char *ml_parcel_string(const struct ml_parcel *parcel, size_t *size)
{
    uint64_t length;
    if (parcel->count != 1 || parcel->bytes[0] != ML_PARCEL_STRING)
        return NULL;
    memcpy(&length, parcel->bytes + 1, sizeof length);
    *size = length;
    return parcel->bytes + 1 + sizeof length;
}
