#include "bindings/inspect/inspector.h"

#include "base/error.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/inspect/wire.h"
#include "bindings/net/listener.h"
#include "bindings/thread/outcome.h"
#include "bindings/thread/thread_channel.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

static struct ml_wire *check_wire(lua_State *L)
{
    struct ml_wire *wire = ml_lua_of(L)->inspect.inspected;
    if (wire == NULL)
        luaL_error(L, "this is no inspector");
    return wire;
}

/* send(reply, may_wait, seconds, name, ...) -> true, or nil, message, code. Asks for a call of the
 * agent's function; its outcome goes to the channel `reply` within that time. */
static int send_request(lua_State *L)
{
    struct ml_wire *wire = check_wire(L);
    struct ml_thread_channel *reply = ml_test_thread_channel(L, 1);
    luaL_argcheck(L, reply != NULL, 1, "a thread channel expected");
    ml_time deadline = ml_check_deadline(L, 3);
    luaL_checkstring(L, 4);
    struct ml_parcel *call = ml_pack(L, 4, lua_gettop(L) - 3, "argument #%d", 1);
    struct ml_request *request = ml_request_new(call, reply, deadline, lua_toboolean(L, 2));
    int error = request != NULL ? ml_wire_add(wire, request) : -ENOMEM;
    if (request == NULL)
        ml_parcel_release(call);
    else if (error != 0)
        ml_request_finish(request, NULL);
    return ml_push_outcome(L, error);
}

/* receive(reply, seconds) -> true, results..., or false, error, traceback or nil; or nil, message,
 * code: no answer has come. */
static int receive(lua_State *L)
{
    struct ml_message *message = NULL;
    int error = ml_thread_channel_get(L, 1, &message, ml_check_deadline(L, 2));
    return error == 0 ? ml_outcome_push(L, ml_parcel_of(message)) : ml_push_failure(L, error);
}

/* events() -> the channel of events. It is closed when the inspected runtime ends. */
static int events(lua_State *L)
{
    ml_push_thread_channel(L, check_wire(L)->events);
    return 1;
}

/* next_event(channel, seconds) -> kind, ...; nil: none has come. */
static int next_event(lua_State *L)
{
    struct ml_message *message = NULL;
    luaL_checkany(L, 1);
    int error = ml_thread_channel_get(L, 1, &message, ml_check_deadline(L, 2));
    return error == 0 ? ml_unpack_and_release(L, ml_parcel_of(message)) : ml_push_failure(L, error);
}

/* lost() -> how many events were dropped. */
static int lost(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)atomic_load(&check_wire(L)->lost));
    return 1;
}

/* ---- a program that does not answer ---- */

/* poke() -> true; or nil, message, code. Code that computes serves requests at its next
 * instruction. */
static int poke(lua_State *L)
{
    return ml_push_outcome(
        L, ml_wire_visit(check_wire(L), ml_lua_of(L)->inspect.inspectors->poke, NULL));
}

/* look() -> what the program's thread does: {computes=, call=, frames={...}}; or nil, message,
 * code. */
static int look(lua_State *L)
{
    struct ml_hang hang = {0};
    int error = ml_wire_visit(check_wire(L), ml_lua_of(L)->inspect.inspectors->look, &hang);
    if (error != 0)
        return ml_push_failure(L, error);
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, hang.computes);
    lua_setfield(L, -2, "computes");
    if (hang.call[0] != '\0') {
        lua_pushstring(L, hang.call);
        lua_setfield(L, -2, "call");
    }
    lua_createtable(L, hang.count, 0);
    for (int i = 0; i < hang.count; i++) {
        lua_pushstring(L, hang.frames[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "frames");
    return 1;
}

/* interrupt() -> true; or nil, message, code. The program is to end as by SIGTERM. */
static int interrupt(lua_State *L)
{
    return ml_push_outcome(
        L, ml_wire_visit(check_wire(L), ml_lua_of(L)->inspect.inspectors->interrupt, NULL));
}

/* ---- sockets ---- */

/* The descriptor of the listener that is the first argument; -1: it is closed. */
static int descriptor_of(lua_State *L)
{
    const struct ml_listener *listener = ml_check_object(L, 1, ml_listener_type);
    return ml_fd_is_open(&listener->fd) ? listener->fd.number : -1;
}

/* hold(listener): a fork of the program is to close it. Nothing, where no program is inspected from
 * here, as in `moonlet --attach`. */
static int hold(lua_State *L)
{
    struct ml_wire *wire = ml_lua_of(L)->inspect.inspected;
    int fd = descriptor_of(L);
    if (fd >= 0 && wire != NULL)
        ml_wire_hold(wire, fd);
    return 0;
}

/* let_go(listener): it is about to be closed. */
static int let_go(lua_State *L)
{
    struct ml_wire *wire = ml_lua_of(L)->inspect.inspected;
    int fd = descriptor_of(L);
    if (fd >= 0 && wire != NULL)
        ml_wire_let_go(wire, fd);
    return 0;
}

/* ---- who is who ---- */

static int pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

static int uid(lua_State *L)
{
    lua_pushinteger(L, geteuid());
    return 1;
}

/* secret() -> 128 random bits, as hexadecimal digits. Raises. */
static int secret(lua_State *L)
{
    enum { BYTES = 16 };
    unsigned char bytes[BYTES];
    char digits[2 * BYTES + 1];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return luaL_error(L, "no random numbers");
    for (int i = 0; i < BYTES; i++)
        snprintf(digits + (ptrdiff_t)2 * i, 3, "%02x", bytes[i]);
    lua_pushstring(L, digits);
    return 1;
}

/* equal(a, b): compares two strings in a time that tells nothing of where they differ. */
static int equal(lua_State *L)
{
    size_t size, other;
    const char *a = luaL_checklstring(L, 1, &size), *b = luaL_checklstring(L, 2, &other);
    unsigned char difference = size != other;
    for (size_t i = 0; i < size && i < other; i++)
        difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
    lua_pushboolean(L, difference == 0);
    return 1;
}

int ml_open_inspector(lua_State *L)
{
    static const luaL_Reg functions[] = {{"send", send_request},
                                         {"receive", receive},
                                         {"events", events},
                                         {"next_event", next_event},
                                         {"lost", lost},
                                         {"poke", poke},
                                         {"look", look},
                                         {"interrupt", interrupt},
                                         {"pid", pid},
                                         {"uid", uid},
                                         {"secret", secret},
                                         {"equal", equal},
                                         {"hold", hold},
                                         {"let_go", let_go},
                                         {NULL, NULL}};
    ml_open_thread_channel_type(L);
    ml_failure_push_type(L);
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
