/* The public function that has a runtime inspected. */
#include "base/error.h"
#include "bindings/inspect/wire.h"
#include "bindings/thread/thread_channel.h"
#include "hub/on/thread_lone.h"
#include "moonlet.h"
#include "vm/inspector.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How long the inspector has to begin to listen. */
#define PATIENCE (10 * ML_SECOND)

struct listening {
    const char *address;
    struct ml_thread_channel *reply;
    struct ml_parcel *answer;
    int error;
};

/* Stack: a struct listening, a light userdata. Tells the inspector to listen. Raises. */
static int tell(lua_State *L)
{
    const struct listening *listening = lua_touserdata(L, 1);
    lua_settop(L, 0);
    lua_pushliteral(L, "listen");
    ml_push_thread_channel(L, listening->reply);
    lua_pushstring(L, listening->address);
    lua_newtable(L);
    struct ml_parcel *event = ml_pack(L, 1, 4, "value #%d", 1);
    return ml_wire_tell(ml_lua_of(L)->inspect.wire, event) ? 0 : luaL_error(L, "no room");
}

/* Stack: a struct listening, a light userdata. Reads {place, message, code}. Raises. */
static int read_answer(lua_State *L)
{
    struct listening *listening = lua_touserdata(L, 1);
    ml_unpack(L, listening->answer);
    if (lua_rawgeti(L, 2, 1) != LUA_TTABLE) {
        lua_rawgeti(L, 2, 3);
        listening->error = ml_error_number(lua_tostring(L, -1));
        return 0;
    }
    if (lua_getfield(L, -1, "url") == LUA_TSTRING)
        fprintf(stderr, "inspector: %s\n", lua_tostring(L, -1));
    return 0;
}

static int call_aside(struct moonlet *m, lua_CFunction function, struct listening *listening)
{
    lua_State *L = m->lua.aside;
    int top = lua_gettop(L), status = LUA_ERRMEM;
    if (lua_checkstack(L, LUA_MINSTACK)) {
        lua_pushcfunction(L, function);
        lua_pushlightuserdata(L, listening);
        status = lua_pcall(L, 1, 0, 0);
    }
    lua_settop(L, top);
    return status == LUA_OK ? 0 : -ENOMEM;
}

static int listen_at(struct moonlet *m, struct listening *listening)
{
    struct ml_message *message = NULL;
    int error = call_aside(m, tell, listening);
    if (error == 0)
        error =
            ml_thread_channel_get_blocking(listening->reply, &message, ml_clock_now() + PATIENCE);
    if (error != 0)
        return error;
    listening->answer = ml_parcel_of(message);
    error = call_aside(m, read_answer, listening);
    ml_parcel_release(listening->answer);
    return error != 0 ? error : listening->error;
}

int moonlet_inspect_listen(struct moonlet *m, const char *address)
{
    int error = ml_runtime_check_idle(m);
    if (error == 0)
        error = ml_inspectors.start(&m->lua);
    if (error != 0)
        return error;
    struct listening listening = {.address = address != NULL ? address : "",
                                  .reply = ml_thread_channel_new(1)};
    if (listening.reply == NULL)
        return -ENOMEM;
    error = listen_at(m, &listening);
    ml_thread_channel_release(listening.reply);
    return error;
}
