/* Values out of a parcel, without recursion. */
#include "base/check.h"
#include "bindings/core/failure.h"
#include "bindings/data/json_values.h"
#include "bindings/thread/parcel.h"
#include "bindings/thread/thread_channel.h"

#include <lauxlib.h>
#include <string.h>

/* Where the next value goes. */
enum place { ITEM, KEY, VALUE, UPVALUE };

/* A table or function that is not complete. It stands on the Lua stack, and a key above it that has
 * no value yet. */
struct level {
    uint32_t next; /* the last item, or upvalue, that was set */
    uint32_t upvalues;
    enum place place;
};

/* Levels that need no memory of Lua's. */
enum { FEW_LEVELS = 32 };

struct unpacker {
    lua_State *L;
    const char *next;
    struct level *levels;
    uint32_t depth;
    int shared; /* the index of the table of what is named again */
    int cache;  /* of the first string that is named again, less 1 */
};

static inline void read_bytes(struct unpacker *u, void *data, size_t size)
{
    memcpy(data, u->next, size);
    u->next += size;
}

static inline enum ml_parcel_tag read_tag(struct unpacker *u)
{
    return (enum ml_parcel_tag)(unsigned char)*u->next++;
}

/* ---- tables and functions ---- */

static struct level *push_level(struct unpacker *u, enum place place)
{
    struct level *level = &u->levels[u->depth++];
    *level = (struct level){.place = place};
    return level;
}

/* The value on top is named again later. */
static void share(struct unpacker *u, uint32_t number)
{
    if (number == 0)
        return;
    lua_pushvalue(u->L, -1);
    lua_rawseti(u->L, u->shared, number);
}

static void set_metatable(lua_State *L, enum ml_parcel_tag tag)
{
    if (tag == ML_PARCEL_ARRAY) {
        ml_json_open_types(L);
        ml_json_push_array_type(L);
    } else {
        ml_failure_push_type(L);
    }
    lua_setmetatable(L, -2);
}

static void begin_table(struct unpacker *u, enum ml_parcel_tag tag)
{
    struct ml_parcel_table header;
    read_bytes(u, &header, sizeof header);
    lua_createtable(u->L, (int)header.items, (int)header.keyed);
    if (ml_unlikely(tag != ML_PARCEL_TABLE))
        set_metatable(u->L, tag);
    share(u, header.number);
    push_level(u, ITEM);
}

struct code {
    const char *bytes;
    size_t size;
};

static const char *read_code(lua_State *L, void *data, size_t *size)
{
    struct code *code = data;
    (void)L;
    *size = code->size;
    code->size = 0;
    return code->bytes;
}

/* Whether it is complete: it has no upvalues. */
static bool begin_function(struct unpacker *u)
{
    struct ml_parcel_function header;
    read_bytes(u, &header, sizeof header);
    struct code code = {u->next, header.size};
    if (lua_load(u->L, read_code, &code, "=thread", "b") != LUA_OK)
        lua_error(u->L);
    u->next += header.size;
    share(u, header.number);
    if (header.upvalues == 0)
        return true;
    push_level(u, UPVALUE)->upvalues = header.upvalues;
    return false;
}

/* ---- strings and names ---- */

static void push_long(struct unpacker *u)
{
    uint64_t size;
    read_bytes(u, &size, sizeof size);
    lua_pushlstring(u->L, u->next, size);
    u->next += size;
}

static inline void push_short(struct unpacker *u)
{
    unsigned place = (unsigned char)u->next[0], size = (unsigned char)u->next[1];
    lua_pushlstring(u->L, u->next + 2, size);
    lua_copy(u->L, -1, u->cache + 1 + (int)place);
    u->next += 2 + size;
}

static void push_string(struct unpacker *u)
{
    switch (read_tag(u)) {
    case ML_PARCEL_SHORT:
        push_short(u);
        break;
    case ML_PARCEL_CACHED:
        lua_pushvalue(u->L, u->cache + 1 + (unsigned char)*u->next++);
        break;
    default:
        push_long(u);
    }
}

/* Stack: a name -> the module, which is loaded if it was not. */
static void find_module(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_getglobal(L, "require");
        lua_pushvalue(L, -4);
        lua_call(L, 1, 1);
        lua_replace(L, -2);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void ml_push_member(lua_State *L)
{
    lua_pushvalue(L, -2);
    find_module(L);
    lua_pushvalue(L, -2);
    if (!lua_istable(L, -2) || lua_gettable(L, -2) == LUA_TNIL)
        luaL_error(L, "module '%s' has no '%s' in this thread", lua_tostring(L, -4),
                   lua_tostring(L, -3));
    lua_replace(L, -4);
    lua_pop(L, 2);
}

/* ---- any value ---- */

static void push_integer(struct unpacker *u)
{
    lua_Integer value;
    read_bytes(u, &value, sizeof value);
    lua_pushinteger(u->L, value);
}

static void push_number(struct unpacker *u)
{
    lua_Number value;
    read_bytes(u, &value, sizeof value);
    lua_pushnumber(u->L, value);
}

static void push_seen(struct unpacker *u)
{
    uint32_t number;
    read_bytes(u, &number, sizeof number);
    lua_rawgeti(u->L, u->shared, number);
}

static void push_channel(struct unpacker *u)
{
    struct ml_thread_channel *channel;
    read_bytes(u, &channel, sizeof channel);
    ml_push_thread_channel(u->L, channel);
}

static void push_null(lua_State *L)
{
    ml_json_open_types(L);
    ml_json_push_null(L);
}

static void push_by_name(struct unpacker *u, enum ml_parcel_tag tag)
{
    push_string(u);
    if (tag == ML_PARCEL_MODULE) {
        find_module(u->L);
        return;
    }
    push_string(u);
    ml_push_member(u->L);
}

/* Pushes a value that is complete; false: it has become a level. */
static inline bool push_value(struct unpacker *u, enum ml_parcel_tag tag)
{
    switch (tag) {
    case ML_PARCEL_NIL:
        lua_pushnil(u->L);
        return true;
    case ML_PARCEL_FALSE:
    case ML_PARCEL_TRUE:
        lua_pushboolean(u->L, tag == ML_PARCEL_TRUE);
        return true;
    case ML_PARCEL_BYTE:
        lua_pushinteger(u->L, (signed char)*u->next++);
        return true;
    case ML_PARCEL_INTEGER:
        push_integer(u);
        return true;
    case ML_PARCEL_NUMBER:
        push_number(u);
        return true;
    case ML_PARCEL_SHORT:
        push_short(u);
        return true;
    case ML_PARCEL_CACHED:
        lua_pushvalue(u->L, u->cache + 1 + (unsigned char)*u->next++);
        return true;
    case ML_PARCEL_STRING:
        push_long(u);
        return true;
    case ML_PARCEL_TABLE:
    case ML_PARCEL_ARRAY:
    case ML_PARCEL_FAILURE:
        begin_table(u, tag);
        return false;
    case ML_PARCEL_FUNCTION:
        return begin_function(u);
    case ML_PARCEL_SEEN:
        push_seen(u);
        return true;
    case ML_PARCEL_GLOBALS:
        lua_pushglobaltable(u->L);
        return true;
    case ML_PARCEL_CHANNEL:
        push_channel(u);
        return true;
    case ML_PARCEL_NULL:
        push_null(u->L);
        return true;
    default:
        push_by_name(u, tag);
        return true;
    }
}

/* The value on top is complete: stores it where it belongs, and what is complete by that. */
static inline void store(struct unpacker *u)
{
    while (u->depth > 0) {
        struct level *level = &u->levels[u->depth - 1];
        switch (level->place) {
        case ITEM:
            lua_rawseti(u->L, -2, ++level->next);
            return;
        case KEY:
            level->place = VALUE;
            return;
        case VALUE:
            lua_rawset(u->L, -3);
            level->place = KEY;
            return;
        case UPVALUE:
            lua_setupvalue(u->L, -2, (int)++level->next);
            if (level->next < level->upvalues)
                return;
            u->depth--;
        }
    }
}

/* The upvalue of the function on top is that of another one. */
static void join_upvalue(struct unpacker *u)
{
    struct level *level = &u->levels[u->depth - 1];
    push_seen(u);
    int upvalue = (unsigned char)*u->next++;
    lua_upvaluejoin(u->L, -2, (int)++level->next, -1, upvalue);
    lua_pop(u->L, 1);
    if (level->next < level->upvalues)
        return;
    u->depth--;
    store(u);
}

static void step(struct unpacker *u)
{
    enum ml_parcel_tag tag = read_tag(u);
    if (ml_unlikely(tag == ML_PARCEL_END)) {
        u->depth--;
        store(u);
    } else if (ml_unlikely(tag == ML_PARCEL_KEYED)) {
        u->levels[u->depth - 1].place = KEY;
    } else if (ml_unlikely(tag == ML_PARCEL_JOINED)) {
        join_upvalue(u);
    } else if (push_value(u, tag)) {
        store(u);
    }
}

static void unpack_one(struct unpacker *u)
{
    do
        step(u);
    while (u->depth > 0);
}

/* Levels, what is shared, and the cache, each if the parcel needs it. */
static void prepare(struct unpacker *u, const struct ml_parcel *parcel)
{
    lua_State *L = u->L;
    uint64_t room = 2 * (uint64_t)parcel->depth + parcel->count + ML_PARCEL_CACHE + LUA_MINSTACK;
    luaL_checkstack(L, room < INT32_MAX ? (int)room : INT32_MAX, "values nested too deep");
    if (parcel->depth > FEW_LEVELS)
        u->levels = lua_newuserdatauv(L, parcel->depth * sizeof *u->levels, 0);
    if (parcel->shared > 0) {
        lua_createtable(L, (int)parcel->shared, 0);
        u->shared = lua_gettop(L);
    }
    u->cache = lua_gettop(L);
    if (parcel->uses_cache)
        lua_settop(L, u->cache + ML_PARCEL_CACHE);
}

int ml_unpack(lua_State *L, const struct ml_parcel *parcel)
{
    struct level few[FEW_LEVELS];
    struct unpacker u = {.L = L, .next = parcel->bytes, .levels = few};
    int top = lua_gettop(L);
    prepare(&u, parcel);
    int first = lua_gettop(L) + 1, count = (int)parcel->count;
    for (int i = 0; i < count; i++)
        unpack_one(&u);
    for (int i = 0; i < count && first > top + 1; i++)
        lua_copy(L, first + i, top + 1 + i);
    lua_settop(L, top + count);
    return count;
}

/* Stack: the parcel. */
static int unpack_protected(lua_State *L)
{
    const struct ml_parcel *parcel = lua_touserdata(L, 1);
    return ml_unpack(L, parcel);
}

int ml_unpack_and_release(lua_State *L, struct ml_parcel *parcel)
{
    int count = (int)parcel->count;
    if (!lua_checkstack(L, count + 4)) {
        ml_parcel_release(parcel);
        return luaL_error(L, "stack overflow (too many values)");
    }
    lua_pushcfunction(L, unpack_protected);
    lua_pushlightuserdata(L, parcel);
    int status = lua_pcall(L, 1, LUA_MULTRET, 0);
    ml_parcel_release(parcel);
    return status == LUA_OK ? count : lua_error(L);
}
