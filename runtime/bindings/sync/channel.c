/***
Channels: values handed from task to task.

@module moonlet.channel
*/
#include "bindings/sync/channel.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"

#include <errno.h>

const char ml_channel_type[] = "channel";

static const struct ml_wait_kind get_kind = {.text = "a value from a channel"};
static const struct ml_wait_kind put_kind = {.text = "room in a channel"};

/* For the two calls that cost most, compiled in one piece. */
#define FLAT __attribute__((flatten))

/* User values. */
enum { IN = 1, OUT = 2, ERROR = 3 };

/* The buffer lies on a Lua stack, which cannot be larger. */
enum { LARGEST_CAPACITY = 500000 };

static lua_State *new_stack(lua_State *L, int user_value, int capacity)
{
    lua_State *stack = lua_newthread(L);
    lua_setiuservalue(L, -2, user_value);
    if (!lua_checkstack(stack, capacity))
        luaL_error(L, "not enough memory");
    return stack;
}

/***
A channel. `#channel` is how many values are buffered. `<close>` closes it.
@object Channel
*/

/***
Makes a channel.
@function new
@tparam[opt=0] integer capacity values that it holds; 0: each put meets a get
@treturn Channel
*/
int ml_channel_new(lua_State *L)
{
    lua_Integer capacity = luaL_optinteger(L, 1, 0);
    luaL_argcheck(L, capacity >= 0, 1, "capacity cannot be negative");
    luaL_argcheck(L, capacity <= LARGEST_CAPACITY, 1, "capacity must be at most 500000");
    struct ml_channel *channel = ml_push_object(L, ml_channel_type, sizeof *channel, 3);
    ml_list_init(&channel->getters);
    ml_list_init(&channel->putters);
    if (capacity > 0) {
        channel->in = new_stack(L, IN, (int)capacity);
        channel->out = new_stack(L, OUT, (int)capacity);
        channel->capacity = (uint32_t)capacity;
    }
    return 1;
}

/*
 * ---- the buffer ----
 *
 * A queue of two stacks: moving a value from one Lua stack to another is the cheapest thing that
 * can be done with it, and leaves nothing behind that keeps it alive.
 */

/* The value on top goes in. */
static inline void store(lua_State *L, struct ml_channel *channel)
{
    lua_xmove(L, channel->in, 1);
    channel->count++;
}

/* `out` is empty: moves the values on `in` there, the newest first. */
static __attribute__((noinline)) void turn_over(struct ml_channel *channel)
{
    for (uint32_t i = 0; i < channel->count; i++)
        lua_xmove(channel->in, channel->out, 1);
    channel->count_out = channel->count;
}

/* Pushes the oldest value. */
static inline void take(lua_State *L, struct ml_channel *channel)
{
    if (channel->count_out == 0)
        turn_over(channel);
    lua_xmove(channel->out, L, 1);
    channel->count_out--;
    channel->count--;
}

/* ---- waiting tasks ---- */

static inline struct ml_waiter *first_of(lua_State *L, struct ml_link *queue)
{
    return ml_list_is_empty(queue) ? NULL : ml_first_waiter(&ml_lua_of(L)->hub, queue);
}

static lua_State *thread_of(lua_State *L, const struct ml_waiter *waiter)
{
    return ml_lua_task_of(ml_waiter_task(&ml_lua_of(L)->hub, waiter))->parked_on;
}

/* Moves the value on top to a waiting task: on top of the stack of its call. */
static inline void deliver(lua_State *L, struct ml_waiter *getter)
{
    lua_xmove(L, thread_of(L, getter), 1);
    ml_waiter_grant(&ml_lua_of(L)->hub, getter);
}

/* Pushes on `to` the value of a task that waits to put it. */
static void collect(lua_State *L, lua_State *to, struct ml_waiter *putter)
{
    lua_State *from = thread_of(L, putter);
    lua_pushvalue(from, putter->value);
    lua_xmove(from, to, 1);
    ml_waiter_grant(&ml_lua_of(L)->hub, putter);
}

enum ml_channel_outcome ml_channel_try_get(lua_State *L, struct ml_channel *channel)
{
    bool was_buffered = channel->count > 0;
    if (ml_likely(was_buffered))
        take(L, channel);
    struct ml_waiter *putter = first_of(L, &channel->putters);
    if (ml_unlikely(putter != NULL)) {
        collect(L, L, putter);
        if (was_buffered)
            store(L, channel);
        return ML_CHANNEL_DONE;
    }
    if (ml_likely(was_buffered))
        return ML_CHANNEL_DONE;
    return channel->is_closed ? ML_CHANNEL_CLOSED : ML_CHANNEL_MUST_WAIT;
}

enum ml_channel_outcome ml_channel_try_put(lua_State *L, struct ml_channel *channel)
{
    if (ml_unlikely(channel->is_closed))
        return ML_CHANNEL_CLOSED;
    struct ml_waiter *getter = first_of(L, &channel->getters);
    if (getter != NULL)
        deliver(L, getter);
    else if (channel->count < channel->capacity)
        store(L, channel);
    else
        return ML_CHANNEL_MUST_WAIT;
    return ML_CHANNEL_DONE;
}

/* ---- get and put ---- */

int ml_channel_push_closed(lua_State *L, int index)
{
    const struct ml_channel *channel = ml_to_object(L, index);
    index = lua_absindex(L, index);
    luaL_pushfail(L);
    if (channel->has_error)
        lua_getiuservalue(L, index, ERROR);
    else
        lua_pushstring(L, ml_error_text(ML_ECLOSED));
    lua_pushstring(L, ml_error_name(ML_ECLOSED));
    return 3;
}

/* Waits in a queue of the channel at 1. 0: it was served; or an error. */
static inline int wait_in(lua_State *L, const struct ml_wait_kind *kind, struct ml_link *queue,
                          uint16_t value, ml_time deadline)
{
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    struct ml_hub *hub = &ml_blocking_begin(L)->hub;
    int error = ml_wait_granted(hub, kind, 0, queue, value, deadline);
    error = ml_blocking_end(L, error);
    return error == 0 && hub->current->waiter.value == ML_WAITER_CLOSED ? -ML_ECLOSED : error;
}

static int push_failure(lua_State *L, int error)
{
    return error == -ML_ECLOSED ? ml_channel_push_closed(L, 1) : ml_push_failure(L, error);
}

/* Gets from the channel at 1: its value on top, 0, or an error. */
static inline int get(lua_State *L, ml_time deadline)
{
    struct ml_channel *channel = ml_check_object(L, 1, ml_channel_type);
    ml_blocking_enter(L, deadline);
    enum ml_channel_outcome outcome = ml_channel_try_get(L, channel);
    if (ml_likely(outcome == ML_CHANNEL_DONE))
        return 0;
    if (outcome == ML_CHANNEL_CLOSED)
        return -ML_ECLOSED;
    return wait_in(L, &get_kind, &channel->getters, 0, deadline);
}

/***
Waits for a value.
@function Channel:get
@tparam[opt] number timeout seconds
@return the value; or nil, "closed" (or the argument of close()), "CLOSED" once it is closed and
empty; or nil, "timeout", "ETIMEDOUT"
*/
FLAT static int channel_get(lua_State *L)
{
    int error = get(L, ml_check_deadline(L, 2));
    return ml_likely(error == 0) ? 1 : push_failure(L, error);
}

/***
Hands a value over: waits until a task takes it, or there is room for it.
@function Channel:put
@param value anything but nil
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, message, "CLOSED" or "ETIMEDOUT", and no task has or will get the
value
*/
FLAT static int channel_put(lua_State *L)
{
    struct ml_channel *channel = ml_check_object(L, 1, ml_channel_type);
    luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a channel cannot carry nil");
    ml_time deadline = ML_FOREVER;
    if (lua_gettop(L) != 2) {
        deadline = ml_check_deadline(L, 3);
        lua_settop(L, 2);
    }
    ml_blocking_enter(L, deadline);
    enum ml_channel_outcome outcome = ml_channel_try_put(L, channel);
    int error = 0;
    if (ml_unlikely(outcome == ML_CHANNEL_CLOSED))
        error = -ML_ECLOSED;
    else if (outcome == ML_CHANNEL_MUST_WAIT)
        error = wait_in(L, &put_kind, &channel->putters, 2, deadline);
    if (ml_unlikely(error != 0))
        return push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- the rest ---- */

/***
Ends the channel: buffered values can still be got, then get() fails; put() fails at once, also in
tasks that wait in it. Never waits; harmless on a closed channel.
@function Channel:close
@param[opt] err the message of get() and put() from now on, instead of "closed"
*/
static int channel_close(lua_State *L)
{
    struct ml_channel *channel = ml_check_object(L, 1, ml_channel_type);
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (channel->is_closed)
        return 0;
    channel->is_closed = true;
    if (!lua_isnoneornil(L, 2)) {
        channel->has_error = true;
        lua_pushvalue(L, 2);
        lua_setiuservalue(L, 1, ERROR);
    }
    ml_turn_all_away(hub, &channel->getters);
    ml_turn_all_away(hub, &channel->putters);
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
    lua_settop(L, 1);
    int error = get(L, ML_FOREVER);
    if (ml_likely(error == 0))
        return 1;
    const struct ml_channel *channel = ml_to_object(L, 1);
    if (!channel->has_error)
        return 0;
    lua_getiuservalue(L, 1, ERROR);
    return lua_error(L);
}

/***
Iterates over the values until the channel is closed. Waits as get() does.
@function Channel:values
@treturn function():any an iterator; raises the argument of close()
*/
static int channel_values(lua_State *L)
{
    ml_check_object(L, 1, ml_channel_type);
    lua_pushcfunction(L, next_value);
    lua_pushvalue(L, 1);
    return 2;
}

static lua_Integer count_waiters(lua_State *L, struct ml_link *queue)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    lua_Integer count = 0;
    for (struct ml_link *link = queue->next; link != queue; link = link->next) {
        const struct ml_waiter *waiter = ml_container_of(link, struct ml_waiter, link);
        count += ml_waiter_task(hub, waiter)->state == ML_TASK_WAITING;
    }
    return count;
}

/***
Returns how many tasks wait.
@function Channel:balance
@treturn integer how many wait to put; negative: how many wait to get
*/
static int channel_balance(lua_State *L)
{
    struct ml_channel *channel = ml_check_object(L, 1, ml_channel_type);
    lua_pushinteger(L, count_waiters(L, &channel->putters) - count_waiters(L, &channel->getters));
    return 1;
}

/* #channel: how many values are buffered. */
static int channel_length(lua_State *L)
{
    const struct ml_channel *channel = ml_check_object(L, 1, ml_channel_type);
    lua_pushinteger(L, channel->count);
    return 1;
}

static int channel_tostring(lua_State *L)
{
    const struct ml_channel *channel = ml_check_object(L, 1, ml_channel_type);
    lua_pushfstring(L, "channel: %p (%d of %d buffered, %s)", (const void *)channel,
                    (int)channel->count, (int)channel->capacity,
                    channel->is_closed ? "closed" : "open");
    return 1;
}

void ml_open_channel_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"get", channel_get},         {"put", channel_put},
                                       {"close", channel_close},     {"values", channel_values},
                                       {"balance", channel_balance}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__close", channel_leave},
                                           {"__len", channel_length},
                                           {"__tostring", channel_tostring},
                                           {NULL, NULL}};
    ml_open_object_type(L, ml_channel_type, methods, metamethods);
}
