/*
 * Traces and metrics of a host's: what moonlet.inspect gives to scripts, on the state aside, where
 * nothing waits.
 */
#include "moonlet.h"

#include "base/error.h"
#include "hub/state/scope.h"
#include "vm/moonlet_state.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* A call of a function of moonlet.inspect. */
struct call {
    const char *function;
    void (*push)(lua_State *L, const struct call *call); /* pushes its one argument */
    size_t size;
    double seconds;
    const char *format;
    char **text; /* of the result; NULL: none is wanted */
    size_t *text_size;
    int error;
};

/* Pushes moonlet.inspect; nil: scripts of this runtime do not have it. */
static void push_module(lua_State *L)
{
    static const char name[] = "moonlet.inspect";
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    if (lua_getfield(L, -1, name) == LUA_TNIL)
        return;
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, name);
}

/* The text on top of the stack. */
static int copy_text(lua_State *L, const struct call *call)
{
    const char *from = lua_tolstring(L, -1, call->text_size);
    *call->text = from != NULL ? malloc(*call->text_size + 1) : NULL;
    if (*call->text == NULL)
        return -ENOMEM;
    memcpy(*call->text, from, *call->text_size + 1);
    return 0;
}

/* Stack: a struct call, a light userdata. Raises. */
static int run(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    push_module(L);
    if (lua_isnil(L, -1)) {
        call->error = -EPERM;
        return 0;
    }
    lua_getfield(L, -1, call->function);
    call->push(L, call);
    lua_call(L, 1, 3);
    if (lua_isnil(L, -3)) {
        call->error = ml_error_number(lua_tostring(L, -1));
        return 0;
    }
    lua_settop(L, -3);
    call->error = call->text != NULL ? copy_text(L, call) : 0;
    return 0;
}

static int run_aside(struct moonlet *m, struct call *call)
{
    lua_State *L = m->lua.aside;
    struct ml_hub *hub = &m->lua.hub;
    int top = lua_gettop(L), status = LUA_ERRMEM;
    struct ml_scope *scope = NULL;
    if (hub->current != NULL &&
        (scope = ml_scope_open(hub, ML_SCOPE_NO_SWITCH, ML_FOREVER)) == NULL)
        return -ENOMEM;
    if (lua_checkstack(L, LUA_MINSTACK)) {
        lua_pushcfunction(L, run);
        lua_pushlightuserdata(L, call);
        status = lua_pcall(L, 1, 0, 0);
    }
    lua_settop(L, top);
    if (scope != NULL)
        ml_scope_close(hub, scope);
    return status == LUA_OK ? call->error : status == LUA_ERRMEM ? -ENOMEM : -EINVAL;
}

static int run_checked(struct moonlet *m, struct call *call)
{
    int error = ml_runtime_check(m);
    if (error == 0 && call->text != NULL && call->text_size == NULL)
        error = -EINVAL;
    return error == 0 ? run_aside(m, call) : error;
}

static void push_size(lua_State *L, const struct call *call)
{
    lua_newtable(L);
    if (call->size == 0)
        return;
    lua_pushinteger(L, (lua_Integer)call->size);
    lua_setfield(L, -2, "size");
}

static void push_seconds(lua_State *L, const struct call *call)
{
    if (call->seconds > 0)
        lua_pushnumber(L, call->seconds);
    else
        lua_pushnil(L);
}

static void push_format(lua_State *L, const struct call *call)
{
    lua_pushstring(L, call->format);
}

int moonlet_inspect_trace_start(struct moonlet *m, size_t size)
{
    struct call call = {.function = "trace_start", .push = push_size, .size = size};
    return run_checked(m, &call);
}

int moonlet_inspect_trace_last(struct moonlet *m, double seconds, char **text, size_t *size)
{
    struct call call = {.function = "trace_last",
                        .push = push_seconds,
                        .seconds = seconds,
                        .text = text,
                        .text_size = size};
    if (text == NULL)
        return -EINVAL;
    int error = run_checked(m, &call);
    return error == -EINVAL && size != NULL ? -ENODATA : error;
}

int moonlet_inspect_trace_stop(struct moonlet *m)
{
    struct call call = {.function = "trace_stop", .push = push_seconds};
    return run_checked(m, &call);
}

int moonlet_inspect_metrics(struct moonlet *m, const char *format, char **text, size_t *size)
{
    struct call call = {.function = "metrics",
                        .push = push_format,
                        .format = format != NULL ? format : "prometheus",
                        .text = text,
                        .text_size = size};
    return text != NULL ? run_checked(m, &call) : -EINVAL;
}
