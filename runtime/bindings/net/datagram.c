/*** @submodule moonlet.net */
/* Their methods; net.udp() itself is in bindings/net/datagram_open.c. */
#include "bindings/net/datagram.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_worker.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/net/address.h"
#include "bindings/net/datagram_destination.h"
#include "bindings/net/datagram_options.h"
#include "bindings/net/peers.h"

const char ml_udp_type[] = "net.udp";

struct udp {
    struct ml_datagram datagram;
    int known; /* see ml_push_peer() */
    struct ml_shared_socket shared;
};

static void on_close(struct ml_datagram *d)
{
    ml_shared_socket_close(&((struct udp *)d)->shared);
}

static void close_shared(struct ml_shared_socket *shared)
{
    ml_datagram_close(&ml_container_of(shared, struct udp, shared)->datagram);
}

struct ml_datagram *ml_push_udp(lua_State *L)
{
    struct udp *udp = ml_push_object(L, ml_udp_type, sizeof *udp, ML_PEERS_VALUES);
    ml_datagram_init(&udp->datagram, &ml_lua_of(L)->io);
    udp->datagram.on_close = on_close;
    ml_object_note_source_line(L, udp);
    return &udp->datagram;
}

int ml_udp_share(struct ml_lua *lua, struct ml_datagram *d, const struct ml_address *address,
                 unsigned flags)
{
    struct udp *udp = (struct udp *)d;
    struct ml_control_listen asked = {.kind = ML_SHARE_DATAGRAM,
                                      .is_per_slot = !ml_address_is_local(address),
                                      .flags = flags,
                                      .address = *address};
    int fd;
    int error = ml_lua_worker_listen(lua, &asked, &fd, &udp->shared, NULL);
    if (error != 0)
        return error;
    udp->shared.close = close_shared;
    ml_datagram_adopt(d, fd);
    return 0;
}

struct ml_datagram *ml_test_udp(lua_State *L, int index)
{
    struct udp *udp = ml_test_object(L, index, ml_udp_type);
    return udp != NULL ? &udp->datagram : NULL;
}

static struct udp *check_udp(lua_State *L)
{
    return ml_check_object(L, 1, ml_udp_type);
}

static struct ml_datagram *check_datagram(lua_State *L)
{
    return &check_udp(L)->datagram;
}

static int push_result(lua_State *L, int error)
{
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- sending ---- */

static int send_to(struct ml_datagram *d, const char *data, size_t size, struct ml_destination *to)
{
    int error = ml_destination_reach(d, to);
    return error == 0 ? ml_datagram_send(d, data, size, &to->address, to->deadline) : error;
}

/***
A datagram socket. `<close>` closes it.
@object udp
*/

/***
Sends one datagram. May wait, for a host name or for room.
@function udp:send_to
@tparam string data
@tparam string|Address host a name or a number; or an address, or "unix:/path", in place of host and
port
@tparam[opt] integer port
@tparam[opt] table opts
@tparam[opt] number opts.timeout seconds
@treturn boolean true once the kernel has it; or nil, message, code
*/
static int udp_send_to(lua_State *L)
{
    size_t size;
    struct ml_datagram *d = check_datagram(L);
    const char *data = luaL_checklstring(L, 2, &size);
    struct ml_destination to = ml_check_destination(L, 3);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, send_to(d, data, size, &to));
    return error == 0 ? push_result(L, 0) : ml_push_destination_failure(L, error, &to);
}

/***
Sends one datagram to the address that the socket is connected to. May wait for room.
@function udp:send
@tparam string data
@tparam[opt] number timeout seconds
@treturn boolean true once the kernel has it; or nil, message, code ("ECONNREFUSED": an earlier one
found no receiver)
*/
static int udp_send(lua_State *L)
{
    size_t size;
    struct ml_datagram *d = check_datagram(L);
    const char *data = luaL_checklstring(L, 2, &size);
    ml_time deadline = ml_check_deadline(L, 3);
    ml_blocking_begin(L);
    return push_result(L, ml_blocking_end(L, ml_datagram_send(d, data, size, NULL, deadline)));
}

/* ---- receiving ---- */

static int push_receive_failure(lua_State *L, int error)
{
    ml_push_failure(L, error);
    if (error == -EBUSY) {
        lua_pushliteral(L, "another task is receiving on this socket");
        lua_replace(L, -3);
    }
    return 3;
}

/* Pushes the bytes of the next datagram. 0 or an error, nothing pushed. */
static int receive(lua_State *L, struct ml_datagram *d, struct ml_message *message)
{
    ml_time deadline = ml_check_deadline(L, 2);
    ml_lua_worker_serves(ml_blocking_begin(L));
    int error = ml_blocking_end(L, ml_datagram_receive(d, message, deadline));
    if (error != 0)
        return error;
    lua_pushlstring(L, message->data, message->size);
    ml_datagram_drop(d);
    return 0;
}

/***
Waits for the next datagram. May wait.
@function udp:receive_from
@tparam[opt] number timeout seconds
@treturn string data; or nil, message, code
@treturn ?Address of the sender; nil for one of the Unix domain that has no name
@treturn boolean whether it was longer than `max`, and the rest is lost
*/
static int udp_receive_from(lua_State *L)
{
    struct ml_message message;
    struct udp *udp = check_udp(L);
    int error = receive(L, &udp->datagram, &message);
    if (error != 0)
        return push_receive_failure(L, error);
    if (message.from.size > 0)
        ml_push_peer(L, 1, &udp->known, &message.from);
    else
        lua_pushnil(L);
    lua_pushboolean(L, message.is_truncated);
    return 3;
}

/***
As receive_from(), without the sender, which is known for a connected socket. May wait.
@function udp:receive
@tparam[opt] number timeout seconds
@treturn string data; or nil, message, code ("ECONNREFUSED": a datagram that was sent found no
receiver)
@treturn boolean whether it was longer than `max`, and the rest is lost
*/
static int udp_receive(lua_State *L)
{
    struct ml_message message;
    int error = receive(L, check_datagram(L), &message);
    if (error != 0)
        return push_receive_failure(L, error);
    lua_pushboolean(L, message.is_truncated);
    return 2;
}

/* ---- the rest ---- */

static int connect_to(struct ml_datagram *d, struct ml_destination *to)
{
    int error = ml_destination_reach(d, to);
    return error == 0 ? ml_datagram_connect(d, &to->address) : error;
}

/***
From now on `send` sends there, and only datagrams from there are received. Waits only to resolve a
host name.
@function udp:connect
@tparam string|Address host a name or a number; or an address, or "unix:/path", in place of host and
port
@tparam[opt] integer port
@tparam[opt] table opts
@tparam[opt] number opts.timeout seconds
@treturn boolean true; or nil, message, code
*/
static int udp_connect(lua_State *L)
{
    struct ml_datagram *d = check_datagram(L);
    struct ml_destination to = ml_check_destination(L, 2);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, connect_to(d, &to));
    return error == 0 ? push_result(L, 0) : ml_push_destination_failure(L, error, &to);
}

/* join and leave: the group at 2, the interface at 3. */
static int change_membership(lua_State *L, bool join)
{
    struct ml_address group;
    struct ml_interface interface = {0};
    struct ml_datagram *d = check_datagram(L);
    luaL_argcheck(L, ml_to_local_address(L, 2, &group) && !ml_address_is_local(&group), 2,
                  "the numeric address of a multicast group expected");
    const char *name = luaL_optstring(L, 3, NULL);
    int error = name != NULL ? ml_interface_find(&interface, name) : 0;
    if (error != 0)
        return ml_push_net_failure(L, error, name);
    error = ml_datagram_membership(d, &group, &interface, join);
    if (error == 0 || error == -ML_ECLOSED)
        return push_result(L, error);
    return ml_push_net_failure(L, error,
                               lua_pushfstring(L, "multicast group %s", lua_tostring(L, 2)));
}

/***
Joins a multicast group, whose datagrams are received from now on. Never waits.
@function udp:join
@tparam string group a numeric address
@tparam[opt] string interface its name, number or IPv4 address
@treturn boolean true; or nil, message, code
*/
static int udp_join(lua_State *L)
{
    return change_membership(L, true);
}

/***
Leaves a multicast group. Never waits.
@function udp:leave
@tparam string group a numeric address
@tparam[opt] string interface as it was joined
@treturn boolean true; or nil, message, code
*/
static int udp_leave(lua_State *L)
{
    return change_membership(L, false);
}

/***
Sets options of the socket. Never waits.
@function udp:set
@tparam table opts
@tparam[opt] boolean opts.broadcast sending to broadcast addresses is allowed
@tparam[opt] integer opts.ttl
@tparam[opt] integer opts.multicast_ttl
@tparam[opt] boolean opts.multicast_loop datagrams to a group are received on this machine, too
@tparam[opt] string|integer opts.multicast_interface name, number or IPv4 address
@tparam[opt] integer opts.receive_buffer bytes
@tparam[opt] integer opts.send_buffer bytes
@tparam[opt] integer opts.max bytes taken of a datagram, at most 65536
@tparam[opt] boolean opts.reuse before it is bound, that is with net.udp(): the port may be in use,
as for several receivers of a group
@tparam[opt] boolean opts.reuseport before it is bound: datagrams are spread over the sockets on a
port
@treturn boolean true; or nil, message, code
*/
static int udp_set(lua_State *L)
{
    const char *name = NULL;
    struct ml_datagram *d = check_datagram(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct ml_udp_options options = ml_check_udp_options(L, 2, false);
    int error = ml_udp_options_apply(&options, d, &name);
    if (error == 0 || name == NULL)
        return push_result(L, error);
    return ml_push_net_failure(L, error, lua_pushfstring(L, "option '%s'", name));
}

typedef int ask_address(struct ml_address *address, int fd);

static int push_asked(lua_State *L, ask_address *ask)
{
    struct ml_datagram *d = check_datagram(L);
    struct ml_address address;
    int error = ml_datagram_is_open(d) ? ask(&address, d->fd.number) : -ML_ECLOSED;
    if (error != 0)
        return ml_push_failure(L, error);
    ml_push_address(L, &address);
    return 1;
}

/***
Returns the local address. Never waits.
@function udp:address
@treturn Address to which it is bound; or nil, message, code
*/
static int udp_address(lua_State *L)
{
    return push_asked(L, ml_address_of_socket);
}

/***
Returns the remote address. Never waits.
@function udp:peer
@treturn Address to which it is connected; or nil, message, code ("ENOTCONN")
*/
static int udp_peer(lua_State *L)
{
    return push_asked(L, ml_address_of_peer);
}

/***
Closes at once. Tasks that wait in it get nil, "closed", "CLOSED". Idempotent, never waits.
@function udp:close
*/
static int udp_close(lua_State *L)
{
    ml_datagram_close(check_datagram(L));
    lua_pushboolean(L, 1);
    return 1;
}

static int udp_tostring(lua_State *L)
{
    struct ml_datagram *d = check_datagram(L);
    struct ml_address address;
    if (!ml_datagram_is_open(d) || ml_address_of_socket(&address, d->fd.number) != 0) {
        lua_pushliteral(L, "net.udp (closed)");
        return 1;
    }
    lua_pushliteral(L, "net.udp ");
    ml_push_address_text(L, &address);
    if (ml_address_of_peer(&address, d->fd.number) == 0) {
        lua_pushliteral(L, " -> ");
        ml_push_address_text(L, &address);
    }
    lua_pushliteral(L, " (open)");
    lua_concat(L, lua_gettop(L) - 1);
    return 1;
}

static int udp_gc(lua_State *L)
{
    struct udp *udp = ml_check_object(L, 1, ml_udp_type);
    if (ml_datagram_is_open(&udp->datagram))
        ml_warn_unclosed(L, udp);
    ml_datagram_close(&udp->datagram);
    return 0;
}

static const luaL_Reg methods[] = {{"receive_from", udp_receive_from},
                                   {"send_to", udp_send_to},
                                   {"receive", udp_receive},
                                   {"send", udp_send},
                                   {"connect", udp_connect},
                                   {"join", udp_join},
                                   {"leave", udp_leave},
                                   {"set", udp_set},
                                   {"address", udp_address},
                                   {"peer", udp_peer},
                                   {"close", udp_close},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", udp_gc}, {"__close", udp_close}, {"__tostring", udp_tostring}, {NULL, NULL}};

void ml_open_udp_type(lua_State *L)
{
    ml_open_object_type(L, ml_udp_type, methods, metamethods);
}
