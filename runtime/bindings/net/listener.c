/*** @submodule moonlet.net */
/* Listeners as scripts see them. */
#include "bindings/net/listener.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_worker.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/net/address.h"
#include "bindings/net/stream_object.h"
#include "bindings/net/tls.h"
#include "bindings/sync/select_source.h"
#include "io/tls.h"

#include <errno.h>
#include <unistd.h>

const char ml_listener_type[] = "net.listener";

/* A listener, and what the master of a worker knows about it. */
struct lua_listener {
    struct ml_listener listener;
    struct ml_shared_socket shared;
};

static void on_close(struct ml_listener *listener)
{
    ml_shared_socket_close(&((struct lua_listener *)listener)->shared);
}

static void close_shared(struct ml_shared_socket *shared)
{
    ml_listener_close(&ml_container_of(shared, struct lua_listener, shared)->listener);
}

struct ml_listener *ml_push_listener(lua_State *L)
{
    struct lua_listener *whole = ml_push_object(L, ml_listener_type, sizeof *whole, 1);
    struct ml_listener *listener = &whole->listener;
    ml_listener_init(listener, &ml_lua_of(L)->io);
    listener->on_close = on_close;
    ml_object_note_source_line(L, listener);
    return listener;
}

static int share(struct ml_lua *lua, struct ml_listener *listener,
                 const struct ml_control_listen *asked, const struct ml_socket_options *options,
                 char *name)
{
    struct lua_listener *whole = (struct lua_listener *)listener;
    int fd;
    int error = ml_lua_worker_listen(lua, asked, &fd, &whole->shared, name);
    if (error != 0)
        return error;
    error = ml_listener_adopt(listener, fd, options);
    if (error != 0) {
        close(fd);
        ml_shared_socket_close(&whole->shared);
    }
    whole->shared.close = close_shared;
    listener->is_shared = true;
    listener->is_spread = whole->shared.is_spread;
    return error;
}

int ml_listener_share(struct ml_lua *lua, struct ml_listener *listener,
                      const struct ml_address *address, const struct ml_socket_options *options)
{
    struct ml_control_listen asked = {.kind = ML_SHARE_STREAM,
                                      .is_per_slot = options->reuseport,
                                      .backlog = options->backlog,
                                      .address = *address};
    return share(lua, listener, &asked, options, NULL);
}

int ml_listener_inherit(struct ml_lua *lua, struct ml_listener *listener, uint32_t ordinal,
                        const struct ml_socket_options *options, char *name)
{
    struct ml_control_listen asked = {.kind = ML_SHARE_INHERITED, .ordinal = ordinal};
    return share(lua, listener, &asked, options, name);
}

static struct ml_listener *check_listener(lua_State *L, int index)
{
    return ml_check_object(L, index, ml_listener_type);
}

/* Puts TLS over an accepted stream if the listener's context, on top of the stack, is not nil. The
 * handshake is made at the first use, so that no peer can hold up the others. */
static int put_tls(lua_State *L, struct ml_stream *s)
{
    if (lua_isnil(L, -1))
        return 0;
    int error = ml_tls_open(s, ml_tls_context_config(L, -1), true, NULL);
    if (error != 0)
        ml_stream_close(s);
    return error;
}

static int accept_with_tls(lua_State *L, struct ml_listener *listener, struct ml_stream *s,
                           ml_time deadline)
{
    int error = ml_listener_accept(listener, s, deadline);
    return error == 0 ? put_tls(L, s) : error;
}

int ml_listener_push_accepted(lua_State *L, int index)
{
    struct ml_stream *s = ml_push_stream(L);
    lua_getiuservalue(L, index, 1);
    ml_lua_worker_serves(ml_lua_of(L));
    int error = ml_listener_try(ml_to_object(L, index), s);
    if (error == 0)
        ml_lua_worker_accepted(ml_lua_of(L));
    error = error == 0 ? put_tls(L, s) : error;
    lua_pop(L, error == 0 ? 1 : 2);
    return error;
}

/* Pushes a stream and accepts into it, so that a connection has an owner from its first moment. The
 * listener is at `index`. */
static int accept_stream(lua_State *L, int index, ml_time deadline)
{
    struct ml_listener *listener = ml_to_object(L, index);
    struct ml_stream *s = ml_push_stream(L);
    lua_getiuservalue(L, index, 1);
    struct ml_lua *lua = ml_blocking_begin(L);
    ml_lua_worker_serves(lua);
    int error = accept_with_tls(L, listener, s, deadline);
    if (error == 0)
        ml_lua_worker_accepted(lua);
    error = ml_blocking_end(L, error);
    lua_pop(L, 1);
    return error;
}

static int push_accept_failure(lua_State *L, int error)
{
    ml_push_failure(L, error);
    if (error == -EBUSY) {
        lua_pushliteral(L, "another task is accepting on this listener");
        lua_replace(L, -3);
    }
    return 3;
}

/***
A socket that accepts connections. `<close>` closes it.
@object listener
*/

/***
Waits for a connection; while the process has no descriptor left, also for one. May wait.
@function listener:accept
@tparam[opt] number timeout seconds
@treturn stream or nil, message, code
*/
static int listener_accept(lua_State *L)
{
    check_listener(L, 1);
    int error = accept_stream(L, 1, ml_check_deadline(L, 2));
    return error == 0 ? 1 : push_accept_failure(L, error);
}

static int next_accepted(lua_State *L)
{
    int error = accept_stream(L, lua_upvalueindex(1), ML_FOREVER);
    if (error == 0)
        return 1;
    push_accept_failure(L, error);
    if (error == -ML_ECLOSED) {
        lua_pushnil(L);
        return 1;
    }
    return ml_raise_failure(L);
}

/***
Iterates over connections until the listener is closed. Waits as accept() does.
@function listener:accepted
@treturn function():stream an iterator
*/
static int listener_accepted(lua_State *L)
{
    check_listener(L, 1);
    lua_settop(L, 1);
    lua_pushcclosure(L, next_accepted, 1);
    return 1;
}

/***
Returns the local address. Never waits.
@function listener:address
@treturn Address on which it listens; or nil, message, code
*/
static int listener_address(lua_State *L)
{
    struct ml_listener *listener = check_listener(L, 1);
    struct ml_address address;
    int error = ml_fd_is_open(&listener->fd) ? ml_address_of_socket(&address, listener->fd.number)
                                             : -ML_ECLOSED;
    if (error != 0)
        return ml_push_failure(L, error);
    ml_push_address(L, &address);
    return 1;
}

/***
Closes at once; the task that accepts gets nil, "closed", "CLOSED". Idempotent, never waits.
@function listener:close
*/
static int listener_close(lua_State *L)
{
    ml_listener_close(check_listener(L, 1));
    lua_pushboolean(L, 1);
    return 1;
}

static int listener_tostring(lua_State *L)
{
    struct ml_listener *listener = check_listener(L, 1);
    struct ml_address address;
    if (ml_fd_is_open(&listener->fd) && ml_address_of_socket(&address, listener->fd.number) == 0) {
        ml_push_address_text(L, &address);
        lua_pushfstring(L, "net.listener %s (open)", lua_tostring(L, -1));
    } else {
        lua_pushliteral(L, "net.listener (closed)");
    }
    return 1;
}

static int listener_gc(lua_State *L)
{
    struct ml_listener *listener = ml_check_object(L, 1, ml_listener_type);
    if (ml_fd_is_open(&listener->fd))
        ml_warn_unclosed(L, listener);
    ml_listener_close(listener);
    return 0;
}

/* ---- in select ---- */

/* Without a descriptor for a connection the listener is always ready: the next look is after a
 * pause. */
static int watch(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again)
{
    struct ml_listener *listener = object;
    (void)waiter;
    if (!is_short)
        return ml_fd_watch(&listener->fd, ML_FD_READ);
    ml_time later = ml_time_after(ml_hub_now(&lua->hub), ML_LISTENER_PAUSE);
    *again = ml_time_earlier(*again, later);
    return 0;
}

static void unwatch(void *object)
{
    ml_fd_unwatch(&((struct ml_listener *)object)->fd);
}

static const struct ml_select_source select_source = {.type = ml_listener_type,
                                                      .attempt = ml_listener_push_accepted,
                                                      .watch = watch,
                                                      .unwatch = unwatch};

/* Methods without a function here come from stdlib/moonlet/net.lua. */
static const luaL_Reg methods[] = {{"accept", listener_accept},
                                   {"accepted", listener_accepted},
                                   {"address", listener_address},
                                   {"close", listener_close},
                                   {"serve", NULL},
                                   {"stop", NULL},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", listener_gc},
                                       {"__close", listener_close},
                                       {"__tostring", listener_tostring},
                                       {NULL, NULL}};

void ml_open_listener_type(lua_State *L)
{
    ml_open_object_type(L, ml_listener_type, methods, metamethods);
    ml_lua_of(L)->select.sources[ML_SELECT_ACCEPT] = &select_source;
}

void ml_push_listener_methods(lua_State *L)
{
    luaL_getmetatable(L, ml_listener_type);
    lua_getfield(L, -1, "__index");
    lua_remove(L, -2);
}
