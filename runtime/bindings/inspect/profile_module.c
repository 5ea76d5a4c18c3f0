#include "bindings/inspect/profile_module.h"

#include "bindings/core/failure.h"
#include "bindings/inspect/profile_collector.h"
#include "bindings/inspect/profile_names.h"
#include "http/encoder.h"

#include <lauxlib.h>
#include <string.h>

/* ---- results ---- */

static void set_text(lua_State *L, const char *field, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

static void set_number(lua_State *L, const char *field, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, lua_Integer number)
{
    lua_pushinteger(L, number);
    lua_setfield(L, -2, field);
}

/* Pushes the name of a frame, nil: it has none. */
static void push_name(lua_State *L, const struct ml_profile_frame *frame,
                      struct ml_profile_names names)
{
    const char *name = frame->name[0] != '\0' ? frame->name : NULL;
    bool is_looked_up = frame->function != NULL && names.index != 0;
    if (is_looked_up &&
        lua_rawgetp(names.L, names.index, (void *)(uintptr_t)frame->function) == LUA_TSTRING)
        name = lua_tostring(names.L, -1);
    /* It stays in the table of names. */
    if (is_looked_up)
        lua_pop(names.L, 1);
    lua_pushstring(L, name);
}

/* Pushes {kind, name, source, line}. */
static void push_frame(lua_State *L, const struct ml_profile_frame *frame,
                       struct ml_profile_names names)
{
    static const char *const kinds[] = {[ML_PROFILE_LUA] = "lua",
                                        [ML_PROFILE_C] = "c",
                                        [ML_PROFILE_MARK] = "mark",
                                        [ML_PROFILE_TASK] = "task"};
    lua_createtable(L, 0, 4);
    set_text(L, "kind", kinds[frame->kind]);
    push_name(L, frame, names);
    lua_setfield(L, -2, "name");
    if (frame->kind != ML_PROFILE_LUA)
        return;
    set_text(L, "source", frame->source);
    set_integer(L, "line", frame->line);
}

static void push_frames(lua_State *L, const struct ml_profile_store *store,
                        struct ml_profile_names names)
{
    lua_createtable(L, (int)store->frame_count, 0);
    for (uint32_t i = 0; i < store->frame_count; i++) {
        push_frame(L, &store->frames[i], names);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* Whether a place is that of the function with which the runtime begins a task: one of C without a
 * name, and nothing called it. frames: index of their table. */
static bool is_bottom(lua_State *L, const struct ml_profile_store *store, uint32_t place,
                      int frames)
{
    const struct ml_profile_call *call = &store->calls[place];
    enum ml_profile_frame_kind below = store->frames[store->calls[call->parent].frame].kind;
    bool is_outermost = call->parent == 0 || below == ML_PROFILE_TASK;
    if (!is_outermost || store->frames[call->frame].kind != ML_PROFILE_C)
        return false;
    lua_rawgeti(L, frames, (lua_Integer)call->frame + 1);
    bool has_name = lua_getfield(L, -1, "name") != LUA_TNIL;
    lua_pop(L, 2);
    return !has_name;
}

/* The frames from the root to a place in the tree. */
static void push_stack(lua_State *L, const struct ml_profile_store *store, uint32_t place,
                       int frames)
{
    int depth = 0;
    for (uint32_t i = place; i != 0; i = store->calls[i].parent)
        depth += i == place || !is_bottom(L, store, i, frames);
    lua_createtable(L, depth, 2);
    for (uint32_t i = place; i != 0; i = store->calls[i].parent) {
        if (i != place && is_bottom(L, store, i, frames))
            continue;
        lua_pushinteger(L, (lua_Integer)store->calls[i].frame + 1);
        lua_rawseti(L, -2, depth--);
    }
    set_number(L, "seconds", ml_time_to_seconds(store->calls[place].time));
    set_integer(L, "samples", store->calls[place].samples);
}

/* frames: index of their table. */
static void push_stacks(lua_State *L, const struct ml_profile_store *store, int frames)
{
    lua_Integer count = 0;
    lua_newtable(L);
    for (uint32_t i = 1; i < store->call_count; i++) {
        if (store->calls[i].time == 0)
            continue;
        push_stack(L, store, i, frames);
        lua_rawseti(L, -2, ++count);
    }
}

void ml_profile_push(lua_State *L, const struct ml_lua *lua, struct ml_profile_names names)
{
    struct ml_profile_result result;
    luaL_checkstack(L, 16, NULL);
    if (!ml_profile_get(lua, &result)) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 8);
    set_text(L, "mode", result.options->is_wall ? "wall" : "cpu");
    set_integer(L, "hz", result.options->hz);
    set_number(L, "seconds", ml_time_to_seconds(result.duration));
    set_integer(L, "samples", (lua_Integer)result.samples);
    push_frames(L, result.store, names);
    push_stacks(L, result.store, lua_gettop(L));
    lua_setfield(L, -3, "stacks");
    lua_setfield(L, -2, "frames");
}

/* ---- functions ---- */

/* core.start(mode, hz, by_task, lines) -> true, or nil, message, code. */
static int core_start(lua_State *L)
{
    struct ml_profile_options options = {.is_wall = strcmp(luaL_checkstring(L, 1), "wall") == 0,
                                         .hz = (unsigned)luaL_checkinteger(L, 2),
                                         .by_task = lua_toboolean(L, 3),
                                         .has_lines = lua_toboolean(L, 4)};
    luaL_argcheck(L, options.hz >= 1 && options.hz <= ML_PROFILE_MOST_HZ, 2, "out of range");
    int error = ml_profile_start(L, &options);
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, true);
    return 1;
}

static int push_result(lua_State *L)
{
    ml_profile_push_names(L);
    ml_profile_push(L, ml_lua_of(L), (struct ml_profile_names){L, lua_gettop(L)});
    return 1;
}

/* core.stop() -> what was measured; nil: no profile was under way. */
static int core_stop(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    ml_profile_halt(lua);
    lua_pushcfunction(L, push_result);
    int status = lua_pcall(L, 0, 1, 0);
    ml_profile_discard(lua);
    return status == LUA_OK ? 1 : lua_error(L);
}

/* core.discard(): ends a profile without a result. */
static int core_discard(lua_State *L)
{
    ml_profile_discard(ml_lua_of(L));
    return 0;
}

/* core.is_on() -> whether a profile is under way. */
static int core_is_on(lua_State *L)
{
    lua_pushboolean(L, ml_lua_of(L)->profile != NULL);
    return 1;
}

/* core.knows_collector() -> whether samples name the garbage collector. */
static int core_knows_collector(lua_State *L)
{
    lua_pushboolean(L, ml_profile_knows_collector());
    return 1;
}

/* ---- gzip ---- */

/* Encodes all of the text into the buffer. 0 or a negated errno. */
static int encode(struct ml_encoder *encoder, const char *text, size_t size, luaL_Buffer *buffer)
{
    enum { ROOM = 4096 };
    struct ml_coding_step step = {.in = text, .in_size = size};
    int error;
    do {
        step.out = luaL_prepbuffsize(buffer, ROOM);
        step.out_size = ROOM;
        error = ml_encoder_feed(encoder, &step, ML_CODING_END);
        luaL_addsize(buffer, ROOM - step.out_size);
    } while (error == 1);
    return error;
}

/* Stack: text, light userdata: encoder -> the coded text. */
static int run_encoder(lua_State *L)
{
    size_t size;
    const char *text = lua_tolstring(L, 1, &size);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    int error = encode(lua_touserdata(L, 2), text, size, &buffer);
    if (error != 0)
        return luaL_error(L, "cannot compress: error %d", -error);
    luaL_pushresult(&buffer);
    return 1;
}

/* core.gzip(text) -> text, or nil, message, code: there is no zlib. */
static int core_gzip(lua_State *L)
{
    enum { LEVEL = 6 };
    struct ml_encoder *encoder;
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    int error = ml_encoder_new(&ml_lua_of(L)->io, ML_CODING_GZIP, LEVEL, &encoder);
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushcfunction(L, run_encoder);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, encoder);
    int status = lua_pcall(L, 2, 1, 0);
    ml_encoder_free(encoder);
    return status == LUA_OK ? 1 : lua_error(L);
}

int ml_open_inspect_profile(lua_State *L)
{
    static const luaL_Reg functions[] = {{"start", core_start},
                                         {"stop", core_stop},
                                         {"discard", core_discard},
                                         {"is_on", core_is_on},
                                         {"knows_collector", core_knows_collector},
                                         {"gzip", core_gzip},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
