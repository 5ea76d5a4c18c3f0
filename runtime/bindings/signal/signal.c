/*** @submodule moonlet.signal */
/* Listeners to signals, as scripts see them. */
#include "bindings/signal/signal.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/sync/select_source.h"
#include "hub/wait/slice.h"
#include "system/signal/inbox.h"
#include "system/signal/listener.h"
#include "system/signal/signal_name.h"

#include <errno.h>

static const char listener_type[] = "signal.listener";

/* User value 1 of a listener: number of a signal -> its name, as the script wrote it without "SIG";
 * and the names in their order in one text. */
enum { NAMES = 1, TEXT = 0 };

static struct ml_signal_listener *check_listener(lua_State *L, int index)
{
    return ml_check_object(L, index, listener_type);
}

/* ---- names ---- */

/* Pushes why the value at `index` is no signal to listen to; 0: it is one, and its number. */
static int push_refusal(lua_State *L, int index)
{
    size_t length;
    if (lua_type(L, index) != LUA_TSTRING) {
        lua_pushfstring(L, "the name of a signal expected, got %s", luaL_typename(L, index));
        return 0;
    }
    const char *name = lua_tolstring(L, index, &length);
    int number = ml_signal_number(name, length);
    const char *reason = number != 0 ? ml_signal_refusal(number) : NULL;
    if (number == 0)
        lua_pushfstring(L, "there is no signal '%s'", name);
    else if (reason != NULL)
        lua_pushfstring(L, "nothing can listen to '%s': %s", name, reason);
    return reason == NULL ? number : 0;
}

/* Notes the name at `index`, of the signal `number`, in the table of names on top. */
static void note_name(lua_State *L, int index, int number)
{
    int names = lua_gettop(L);
    if (lua_rawgeti(L, names, number) != LUA_TNIL) {
        lua_settop(L, names);
        return;
    }
    luaL_gsub(L, lua_tostring(L, index), "SIG", "");
    lua_pushvalue(L, -1);
    lua_rawseti(L, names, number);
    lua_rawgeti(L, names, TEXT);
    lua_pushliteral(L, " ");
    lua_pushvalue(L, -3);
    lua_concat(L, 3);
    lua_rawseti(L, names, TEXT);
    lua_settop(L, names);
}

/* Pushes the table of names for the arguments; returns the set of signals. */
static uint64_t check_signals(lua_State *L)
{
    int count = lua_gettop(L);
    uint64_t signals = 0;
    luaL_argcheck(L, count > 0, 1, "the name of a signal expected, got no value");
    lua_newtable(L);
    lua_pushliteral(L, "");
    lua_rawseti(L, -2, TEXT);
    for (int i = 1; i <= count; i++) {
        int number = push_refusal(L, i);
        if (number == 0)
            return (uint64_t)luaL_argerror(L, i, lua_tostring(L, -1));
        signals |= ml_signal_bit(number);
        note_name(L, i, number);
    }
    return signals;
}

/* ---- listening ---- */

static int open_listener(struct ml_lua *lua, struct ml_signal_listener *listener, uint64_t signals)
{
    if (lua->hub.life.is_forked)
        return -ECHILD;
    if (lua->signals == NULL)
        lua->signals = ml_signal_inbox_open(&lua->hub);
    return lua->signals != NULL ? ml_signal_listener_open(listener, lua->signals, signals)
                                : -ENOMEM;
}

/* Stack: names of signals. Pushes a listener. */
static int push_listener(lua_State *L, bool is_noted)
{
    uint64_t signals = check_signals(L);
    struct ml_signal_listener *listener = ml_push_object(L, listener_type, sizeof *listener, 1);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, NAMES);
    if (is_noted)
        ml_object_note_source_line(L, listener);
    int error = open_listener(ml_lua_of(L), listener, signals);
    if (error == -ENOMEM)
        return luaL_error(L, "not enough memory");
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/***
A listener to signals. `<close>` closes it; when the last one to a signal is closed, the signal does
what it did before.
@object Signals
*/

/***
Listens to signals from now on. They no longer do what they do by default: INT and TERM do not
cancel the program's tasks. Each listener, in any runtime of the process, gets every signal. A
signal that comes again before it was fetched is there once, as in the kernel; real-time signals are
all queued, with their values. May fail in a forked child alone.
@function open
@tparam string ... names of signals: "TERM" or "SIGTERM", "RTMIN+3", "RTMAX-1"
@treturn Signals or nil, message, code
*/
static int signal_open(lua_State *L)
{
    return push_listener(L, true);
}

/* core.listen(name): as open(), and nothing is said when the listener is collected while open. */
static int core_listen(lua_State *L)
{
    return push_listener(L, false);
}

/* core.refusal(name) -> why nothing can listen to it; nil: it can. */
static int core_refusal(lua_State *L)
{
    lua_settop(L, 1);
    int number = push_refusal(L, 1);
    if (number != 0)
        lua_pushnil(L);
    return 1;
}

/* ---- fetching ---- */

/* Pushes the name of a signal that the listener at `index` got, and its value. */
static int push_signal(lua_State *L, int index, struct ml_signal signal)
{
    lua_getiuservalue(L, index, NAMES);
    lua_rawgeti(L, -1, signal.number);
    lua_remove(L, -2);
    if (signal.has_value)
        lua_pushinteger(L, signal.value);
    else
        lua_pushnil(L);
    return 2;
}

/* A storm of signals leaves others their turn. */
static int take_turn(lua_State *L, struct ml_hub *hub, ml_time deadline)
{
    if (deadline == ML_NEVER_WAIT)
        return 0;
    ml_slice_spend(hub, 1);
    if (!ml_slice_is_over(hub))
        return 0;
    ml_blocking_begin(L);
    return ml_blocking_end(L, ml_slice_end(hub));
}

static int wait_for_signal(lua_State *L, struct ml_signal_listener *listener,
                           struct ml_signal *signal, ml_time deadline)
{
    ml_blocking_begin_until(L, deadline);
    int error = ml_signal_listener_wait(listener, signal, deadline);
    return ml_blocking_end_until(L, deadline, error);
}

/***
Waits for a signal that was not fetched yet. May wait.
@function Signals:wait
@tparam[opt] number timeout seconds
@treturn string the signal's name, as it was written, without "SIG"; or nil, message, code:
"ETIMEDOUT", or "CLOSED"
@treturn integer the value that the sender gave it (sigqueue, a timer); nil: none
*/
static int listener_wait(lua_State *L)
{
    struct ml_signal_listener *listener = check_listener(L, 1);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_signal signal;
    take_turn(L, ml_blocking_enter(L, deadline), deadline);
    int error = ml_signal_listener_try(listener, &signal);
    if (error == -EAGAIN)
        error = wait_for_signal(L, listener, &signal, deadline);
    return error == 0 ? push_signal(L, 1, signal) : ml_push_failure(L, error);
}

/***
Returns how many real-time signals it has missed because more came than the system would queue, or
because there was no memory. Never waits.
@function Signals:lost
@treturn integer
*/
static int listener_lost(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)ml_signal_listener_lost(check_listener(L, 1)));
    return 1;
}

/***
Closes it: tasks that wait get nil, "closed", "CLOSED", and what was not fetched is dropped.
Idempotent, never waits.
@function Signals:close
*/
static int listener_close(lua_State *L)
{
    ml_signal_listener_close(check_listener(L, 1));
    lua_pushboolean(L, 1);
    return 1;
}

static int listener_tostring(lua_State *L)
{
    const struct ml_signal_listener *listener = check_listener(L, 1);
    const char *names = "";
    if (lua_getiuservalue(L, 1, NAMES) == LUA_TTABLE) {
        lua_rawgeti(L, -1, TEXT);
        names = lua_tostring(L, -1);
    }
    lua_pushfstring(L, "signal.listener%s (%s)", names,
                    listener->inbox != NULL ? "open" : "closed");
    return 1;
}

static int listener_gc(lua_State *L)
{
    struct ml_signal_listener *listener = check_listener(L, 1);
    if (listener->inbox != NULL && ml_object_is_noted(listener))
        ml_warn_unclosed(L, listener);
    ml_signal_listener_close(listener);
    return 0;
}

/* ---- in select ---- */

static int attempt(lua_State *L, int index)
{
    return ml_signal_listener_look(ml_to_object(L, index));
}

static int finish(lua_State *L, int index)
{
    struct ml_signal signal;
    int error = ml_signal_listener_try(ml_to_object(L, index), &signal);
    return error == 0 ? push_signal(L, index, signal) : ml_push_failure(L, error);
}

static int watch(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again)
{
    (void)lua, (void)is_short, (void)again;
    ml_list_insert(&((struct ml_signal_listener *)object)->waiters, &waiter->link);
    return 0;
}

static void unwatch(void *object)
{
    (void)object; /* the choice takes its waiters out */
}

static const struct ml_select_source select_source = {.type = listener_type,
                                                      .attempt = attempt,
                                                      .finish = finish,
                                                      .watch = watch,
                                                      .unwatch = unwatch};

/* ---- the module ---- */

int ml_open_signal(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"wait", listener_wait}, {"lost", listener_lost}, {"close", listener_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", listener_gc},
                                           {"__close", listener_close},
                                           {"__tostring", listener_tostring},
                                           {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"open", signal_open}, {"listen", core_listen}, {"refusal", core_refusal}, {NULL, NULL}};
    ml_open_object_type(L, listener_type, methods, metamethods);
    ml_lua_of(L)->select.sources[ML_SELECT_SIGNAL] = &select_source;
    luaL_newlib(L, functions);
    return 1;
}
