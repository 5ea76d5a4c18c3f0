/*** @submodule moonlet.thread */
#include "bindings/thread/thread_channel.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/core/weak_table.h"
#include "bindings/sync/select_source.h"
#include "bindings/thread/parcel.h"
#include "hub/on/thread_port.h"
#include "hub/state/scope.h"
#include "hub/wait/slice.h"

#include <errno.h>
#include <string.h>

static const char channel_type[] = "thread.channel";

/* Key in the registry: channel -> object, weak. */
static const char objects_key;

/* The largest capacity. */
enum { MOST = 1 << 30 };

struct ml_thread_channel *ml_test_thread_channel(lua_State *L, int index)
{
    const struct ml_port *port = ml_test_object(L, index, channel_type);
    return port != NULL ? port->channel : NULL;
}

static struct ml_port *check_port_at(lua_State *L, int index)
{
    return ml_check_object(L, index, channel_type);
}

static struct ml_port *check_port(lua_State *L)
{
    return check_port_at(L, 1);
}

/* Makes the object of a channel that has none here. */
static void push_new(lua_State *L, struct ml_thread_channel *channel)
{
    ml_open_thread_channel_type(L);
    struct ml_port *port = ml_push_object(L, channel_type, sizeof *port, 0);
    if (ml_port_open(&ml_lua_of(L)->hub, port, channel) != 0)
        luaL_error(L, "not enough memory");
}

void ml_push_thread_channel(lua_State *L, struct ml_thread_channel *channel)
{
    luaL_checkstack(L, 6, NULL);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &objects_key) == LUA_TNIL) {
        ml_push_weak_table(L, "v");
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &objects_key);
        lua_replace(L, -2);
    }
    if (lua_rawgetp(L, -1, channel) == LUA_TNIL) {
        lua_pop(L, 1);
        push_new(L, channel);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, channel);
    }
    lua_remove(L, -2);
}

/* Stack: the channel. */
static int push_protected(lua_State *L)
{
    ml_push_thread_channel(L, lua_touserdata(L, 1));
    return 1;
}

/***
A channel between threads. `#channel` is how many values it holds; `<close>` closes it. Values keep
their order. It is passed to other threads as a value: as an argument or a result of their calls, or
through another channel. Once no other thread has it, waiting in it is as in a channel of
moonlet.channel: a program that waits for nothing else is told of its deadlock.
@object ThreadChannel
*/

/***
Makes a channel between threads.
@function channel
@tparam[opt=0] integer capacity values that it holds; 0: each put meets a get
@treturn ThreadChannel
*/
int ml_thread_channel_make(lua_State *L)
{
    lua_Integer capacity = luaL_optinteger(L, 1, 0);
    luaL_argcheck(L, capacity >= 0, 1, "capacity cannot be negative");
    luaL_argcheck(L, capacity <= MOST, 1, "capacity must be at most 1073741824");
    struct ml_thread_channel *channel = ml_thread_channel_new((uint32_t)capacity);
    if (channel == NULL)
        return luaL_error(L, "not enough memory");
    lua_pushcfunction(L, push_protected);
    lua_pushlightuserdata(L, channel);
    int status = lua_pcall(L, 1, 1, 0);
    ml_thread_channel_release(channel);
    return status == LUA_OK ? 1 : lua_error(L);
}

/* Pushes nil, "closed" or the argument of close(), "CLOSED". */
static int push_closed(lua_State *L, const struct ml_port *port)
{
    const struct ml_message *reason = ml_thread_channel_reason(port->channel);
    luaL_pushfail(L);
    if (reason != NULL)
        ml_unpack(L, ml_parcel_of((struct ml_message *)reason));
    else
        lua_pushstring(L, ml_error_text(ML_ECLOSED));
    lua_pushstring(L, ml_error_name(ML_ECLOSED));
    return 3;
}

static int push_failure(lua_State *L, const struct ml_port *port, int error)
{
    return error == -ML_ECLOSED ? push_closed(L, port) : ml_push_failure(L, error);
}

/* Lets other tasks run when this one has used up its slice at the channel. Raises. */
static struct ml_hub *enter(lua_State *L, ml_time deadline)
{
    struct ml_hub *hub = ml_blocking_enter(L, deadline);
    ml_slice_spend(hub, 1);
    if (deadline != ML_NEVER_WAIT && ml_unlikely(ml_slice_is_over(hub))) {
        ml_blocking_begin(L);
        ml_blocking_end(L, ml_slice_end(hub));
    }
    return hub;
}

int ml_thread_channel_get(lua_State *L, int index, struct ml_message **message, ml_time deadline)
{
    struct ml_port *port = check_port_at(L, index);
    struct ml_hub *hub = enter(L, deadline);
    int error = ml_port_get(hub, port, message, ML_NEVER_WAIT);
    if (error != -ETIMEDOUT || deadline == ML_NEVER_WAIT)
        return error;
    ml_blocking_begin(L);
    return ml_blocking_end(L, ml_port_get(hub, port, message, deadline));
}

/***
Waits for a value.
@function ThreadChannel:get
@tparam[opt] number timeout seconds
@return the value; or nil, "closed" (or the argument of close()), "CLOSED" once it is closed and
empty; or nil, "timeout", "ETIMEDOUT"
*/
static int channel_get(lua_State *L)
{
    struct ml_port *port = check_port(L);
    struct ml_message *message = NULL;
    int error = ml_thread_channel_get(L, 1, &message, ml_check_deadline(L, 2));
    if (error != 0)
        return push_failure(L, port, error);
    return ml_unpack_and_release(L, ml_parcel_of(message));
}

/* Nothing may raise while the parcel has no owner. */
int ml_thread_channel_put(lua_State *L, int index, struct ml_parcel *parcel, ml_time deadline)
{
    struct ml_port *port = check_port_at(L, index);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    int error = ml_port_put(hub, port, &parcel->message, ML_NEVER_WAIT);
    bool waits = error == -ETIMEDOUT && deadline != ML_NEVER_WAIT;
    bool may_wait = waits && ml_blocking_try(L);
    if (may_wait)
        error = ml_port_put(hub, port, &parcel->message, deadline);
    if (error != 0)
        ml_parcel_release(parcel);
    if (waits && !may_wait)
        ml_blocking_begin(L); /* raises */
    return may_wait ? ml_blocking_end(L, error) : error;
}

/***
Copies a value and hands it over: waits until there is room for it. Raises an error for a value that
cannot be copied.
@function ThreadChannel:put
@param value anything but nil
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, message, "CLOSED" or "ETIMEDOUT", and no thread has or will get the
value
*/
static int channel_put(lua_State *L)
{
    struct ml_port *port = check_port(L);
    luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a channel cannot carry nil");
    ml_time deadline = ml_check_deadline(L, 3);
    enter(L, deadline);
    int error = ml_thread_channel_put(L, 1, ml_pack(L, 2, 1, "value", 0), deadline);
    if (error != 0)
        return push_failure(L, port, error);
    lua_pushboolean(L, 1);
    return 1;
}

/***
Ends the channel, for all threads: values in it can still be got, then get() fails; put() fails at
once, also in tasks that wait in it. Never waits; harmless on a closed channel.
@function ThreadChannel:close
@param[opt] err the message of get() and put() from now on, instead of "closed"
*/
static int channel_close(lua_State *L)
{
    struct ml_port *port = check_port(L);
    struct ml_parcel *reason = NULL;
    if (!lua_isnoneornil(L, 2))
        reason = ml_pack(L, 2, 1, "value", 0);
    ml_thread_channel_close(port->channel, reason != NULL ? &reason->message : NULL);
    return 0;
}

/* __close gets an error, if any, that is not the channel's. */
static int channel_leave(lua_State *L)
{
    lua_settop(L, 1);
    return channel_close(L);
}

/* Stack: channel, control value. */
static int next_value(lua_State *L)
{
    struct ml_port *port = check_port(L);
    struct ml_message *message = NULL;
    int error = ml_thread_channel_get(L, 1, &message, ML_FOREVER);
    if (error == 0)
        return ml_unpack_and_release(L, ml_parcel_of(message));
    if (ml_thread_channel_reason(port->channel) == NULL)
        return 0;
    push_closed(L, port);
    lua_pop(L, 1);
    return lua_error(L);
}

/***
Iterates over the values until the channel is closed. Waits as get() does.
@function ThreadChannel:values
@treturn function():any an iterator; raises the argument of close()
*/
static int channel_values(lua_State *L)
{
    check_port(L);
    lua_pushcfunction(L, next_value);
    lua_pushvalue(L, 1);
    return 2;
}

static int channel_length(lua_State *L)
{
    lua_pushinteger(L, ml_thread_channel_state(check_port(L)->channel).count);
    return 1;
}

static int channel_tostring(lua_State *L)
{
    const struct ml_port *port = check_port(L);
    struct ml_thread_channel_state state = ml_thread_channel_state(port->channel);
    lua_pushfstring(L, "thread channel: %p (%I of %I buffered, %s)", (const void *)port->channel,
                    (LUAI_UACINT)state.count, (LUAI_UACINT)state.capacity,
                    state.is_closed ? "closed" : "open");
    return 1;
}

static int channel_collect(lua_State *L)
{
    struct ml_port *port = check_port(L);
    if (port->channel != NULL)
        ml_port_close(port);
    return 0;
}

/* ---- in select ---- */

static int attempt_get(lua_State *L, int index)
{
    struct ml_message *message = NULL;
    const struct ml_port *port = ml_to_object(L, index);
    int error = ml_thread_channel_try_get(port->channel, &message);
    if (error == 0)
        ml_unpack_and_release(L, ml_parcel_of(message));
    return error;
}

static int attempt_put(lua_State *L, int index)
{
    const struct ml_port *port = ml_to_object(L, index);
    struct ml_parcel *parcel = ml_pack(L, index + 1, 1, "value", 0);
    int error = ml_thread_channel_try_put(port->channel, &parcel->message);
    if (error != 0)
        ml_parcel_release(parcel);
    return error;
}

static int fail(lua_State *L, int index, int error)
{
    return push_failure(L, ml_to_object(L, index), error);
}

static int watch_getters(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                         ml_time *again)
{
    struct ml_port *port = object;
    (void)lua, (void)is_short, (void)again;
    ml_port_watch(port, &port->getters, waiter);
    return 0;
}

static int watch_putters(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                         ml_time *again)
{
    struct ml_port *port = object;
    (void)lua, (void)is_short, (void)again;
    ml_port_watch(port, &port->putters, waiter);
    return 0;
}

static void unwatch_getters(void *object)
{
    struct ml_port *port = object;
    ml_port_unwatch(port, &port->getters);
}

static void unwatch_putters(void *object)
{
    struct ml_port *port = object;
    ml_port_unwatch(port, &port->putters);
}

static bool is_external(void *object)
{
    return ml_port_is_shared(object);
}

static void install_sources(struct ml_lua *lua)
{
    static const struct ml_select_source get_source = {.type = channel_type,
                                                       .attempt = attempt_get,
                                                       .fail = fail,
                                                       .watch = watch_getters,
                                                       .unwatch = unwatch_getters,
                                                       .is_external = is_external};
    static const struct ml_select_source put_source = {.type = channel_type,
                                                       .attempt = attempt_put,
                                                       .fail = fail,
                                                       .watch = watch_putters,
                                                       .unwatch = unwatch_putters,
                                                       .is_external = is_external};
    lua->select.sources[ML_SELECT_THREAD_GET] = &get_source;
    lua->select.sources[ML_SELECT_THREAD_PUT] = &put_source;
}

void ml_open_thread_channel_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"get", channel_get},
                                       {"put", channel_put},
                                       {"close", channel_close},
                                       {"values", channel_values},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__close", channel_leave},
                                           {"__gc", channel_collect},
                                           {"__len", channel_length},
                                           {"__tostring", channel_tostring},
                                           {NULL, NULL}};
    bool is_open = luaL_getmetatable(L, channel_type) != LUA_TNIL;
    lua_pop(L, 1);
    if (!is_open)
        ml_open_object_type(L, channel_type, methods, metamethods);
    install_sources(ml_lua_of(L));
}
