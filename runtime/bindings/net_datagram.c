#include "bindings/net_datagram.h"

#include "base/error.h"
#include "bindings/blocking.h"
#include "bindings/net_datagram_options.h"
#include "bindings/net_options.h"
#include "bindings/net_peers.h"
#include "bindings/net_target.h"
#include "bindings/net_types.h"

#include <string.h>

const char ml_udp_type[] = "net.udp";

struct udp {
    struct ml_datagram datagram;
    int known; /* see ml_push_peer() */
};

struct ml_datagram *ml_push_udp(lua_State *L)
{
    struct udp *udp = ml_push_object(L, ml_udp_type, sizeof *udp, ML_PEERS_VALUES);
    ml_datagram_init(&udp->datagram, &ml_lua_of(L)->io);
    ml_object_note_place(L, udp);
    return &udp->datagram;
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

/* ---- targets ---- */

static bool choose(const struct ml_addresses *found, int family, struct ml_address *chosen)
{
    for (size_t i = 0; i < found->count; i++) {
        if (found->items[i].any.sa_family == family) {
            *chosen = found->items[i];
            return true;
        }
    }
    return false;
}

/* The address of a target that a socket of `family` can reach; one of IPv6 reaches IPv4, too. May wait for a
 * name. */
static int find_target(struct ml_io *io, int family, const struct ml_target *target,
                       ml_time deadline, struct ml_address *found)
{
    struct ml_addresses all;
    int wanted = family == AF_INET ? AF_INET : AF_UNSPEC;
    int error = ml_target_resolve(io, target, wanted, deadline, &all);
    if (error == 0 && !choose(&all, family, found))
        *found = all.items[0];
    ml_addresses_release(&all);
    return error;
}

/* A target, from index on, and when to give up reaching it. Its address is known already unless it is a
 * name. */
struct destination {
    struct ml_address address; /* size 0: to be asked for */
    struct ml_target target;   /* host NULL: not needed */
    ml_time deadline;
};

static struct destination check_destination(lua_State *L, int index)
{
    struct destination to = {.deadline = ML_FOREVER};
    if (ml_to_address(L, index, &to.address) && lua_isnoneornil(L, index + 1))
        return to;
    to.target = ml_check_target(L, index);
    to.deadline = ml_timeout_option(L, to.target.options);
    to.address.size = 0;
    if (ml_to_local_address(L, index, &to.address) && !to.target.is_local)
        ml_address_set_port(&to.address, to.target.port);
    return to;
}

static int reach(struct ml_datagram *d, struct destination *to)
{
    return to->address.size > 0
               ? 0
               : find_target(d->io, d->family, &to->target, to->deadline, &to->address);
}

/* Of a call that had to do with a destination. */
static int push_destination_result(lua_State *L, int error, const struct destination *to)
{
    if (error == 0 || error == -ML_ECLOSED || error == -ETIMEDOUT)
        return push_result(L, error);
    if (to->target.host != NULL)
        return ml_push_target_failure(L, error, ml_error_text(error), &to->target);
    ml_push_address_text(L, &to->address);
    return ml_push_net_failure(L, error, lua_tostring(L, -1));
}

/* ---- opening ---- */

/* Where net.udp() binds. */
struct local_end {
    struct ml_address address; /* size 0: `host` is to be resolved first */
    const char *host;
    uint16_t port;
    int family; /* AF_UNSPEC: that of the address */
};

static int family_option(lua_State *L)
{
    lua_getfield(L, 1, "family");
    bool is_local = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "unix") == 0;
    lua_pop(L, 1);
    return is_local ? AF_UNIX : ml_family_option(L, 1);
}

static uint16_t port_option(lua_State *L)
{
    int is_integer = 1;
    bool is_there = lua_getfield(L, 1, "port") != LUA_TNIL;
    lua_Integer port = is_there ? lua_tointegerx(L, -1, &is_integer) : 0;
    luaL_argcheck(L, is_integer && port >= 0 && port <= 65535, 1,
                  "option 'port' must be an integer from 0 to 65535");
    lua_pop(L, 1);
    return (uint16_t)port;
}

/* Every address of the family; in the Unix domain none, for which the kernel makes up an abstract name. */
static struct ml_address any_address(int family)
{
    struct ml_address address = {.any.sa_family = family == AF_UNSPEC ? AF_INET : family};
    address.size = family == AF_UNIX    ? sizeof(sa_family_t)
                   : family == AF_INET6 ? sizeof address.inet6
                                        : sizeof address.inet;
    return address;
}

/* The host, at `index`. */
static void read_host(lua_State *L, int index, struct local_end *end)
{
    if (lua_isnil(L, index)) {
        end->address = any_address(end->family);
    } else if (!ml_to_local_address(L, index, &end->address)) {
        end->address.size = 0;
        luaL_argcheck(L, lua_type(L, index) == LUA_TSTRING, 1,
                      "option 'host' must be a string or an address");
        end->host = lua_tostring(L, index);
        luaL_argcheck(L, strncmp(end->host, "unix:", 5) != 0, 1,
                      "option 'host': the path is empty, too long or has a zero byte");
        if (strcmp(end->host, "*") == 0)
            end->address = any_address(AF_INET);
    }
}

/* The options `host`, which stays on the stack at 2, `port` and `family`. */
static struct local_end check_local_end(lua_State *L)
{
    struct local_end end = {.family = family_option(L), .port = port_option(L)};
    lua_getfield(L, 1, "host");
    read_host(L, 2, &end);
    bool is_local = end.address.size > 0 && ml_address_is_local(&end.address);
    luaL_argcheck(L, !is_local || end.port == 0, 1, "a Unix-domain socket has no port");
    if (!is_local && end.address.size > 0 && end.port > 0)
        ml_address_set_port(&end.address, end.port);
    return end;
}

static int resolve_end(struct ml_io *io, struct local_end *end)
{
    struct ml_target target = {.host = end->host, .port = end->port};
    int error = 0;
    if (end->address.size == 0)
        error = find_target(io, end->family == AF_INET6 ? AF_INET6 : AF_INET, &target, ML_FOREVER,
                            &end->address);
    if (error != 0)
        return error;
    bool is_family = end->family == AF_UNSPEC || end->family == end->address.any.sa_family;
    return is_family ? 0 : -ML_ENOTFOUND;
}

static int open_end(struct ml_datagram *d, struct local_end *end,
                    const struct ml_udp_options *options, const char **what)
{
    int error = resolve_end(d->io, end);
    if (error == 0)
        error = ml_datagram_open(d, end->address.any.sa_family);
    if (error == 0)
        error = ml_udp_options_apply(options, d, what);
    if (error == 0) {
        *what = NULL;
        error = ml_datagram_bind(d, &end->address);
    }
    if (error != 0)
        ml_datagram_close(d);
    return error;
}

static int push_open_failure(lua_State *L, int error, const struct local_end *end, const char *what)
{
    if (what == NULL && end->address.size > 0) {
        ml_push_address_text(L, &end->address);
        what = lua_tostring(L, -1);
    }
    return ml_push_net_failure(L, error, what != NULL ? what : end->host);
}

/***
Opens a datagram socket, UDP or in the Unix domain, bound to a local address. Waits only to resolve a host name.
@function udp
@tparam[opt] table opts host (a local address, a name, "unix:/path", "unix:@name"; default: every address), port
(default: one that the system chooses), family ("inet", the default; "inet6", which reaches IPv4, too, unless the
host is an IPv6 address other than "::"; "unix"), max (bytes taken of a datagram, at most and by default 65536), and what udp:set() takes
@treturn udp or nil, message, code
*/
int ml_net_udp(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *what = NULL;
    struct local_end end = check_local_end(L);
    struct ml_udp_options options = ml_check_udp_options(L, 1);
    struct ml_datagram *d = ml_push_udp(L);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, open_end(d, &end, &options, &what));
    return error == 0 ? 1 : push_open_failure(L, error, &end, what);
}

/* ---- sending ---- */

static int send_to(struct ml_datagram *d, const char *data, size_t size, struct destination *to)
{
    int error = ml_datagram_is_open(d) ? reach(d, to) : -ML_ECLOSED;
    return error == 0 ? ml_datagram_send(d, data, size, &to->address, to->deadline) : error;
}

/***
Sends one datagram. May wait, for a host name or for room.
@function udp:send_to
@tparam string data
@tparam string host a name or a number; or an address, or "unix:/path", in place of host and port
@tparam integer port
@tparam[opt] table opts timeout (seconds)
@treturn boolean true once the kernel has it; or nil, message, code
*/
static int udp_send_to(lua_State *L)
{
    size_t size;
    struct ml_datagram *d = check_datagram(L);
    const char *data = luaL_checklstring(L, 2, &size);
    struct destination to = check_destination(L, 3);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, send_to(d, data, size, &to));
    return push_destination_result(L, error, &to);
}

/***
Sends one datagram to where the socket is connected. May wait for room.
@function udp:send
@tparam string data
@tparam[opt] number timeout seconds
@treturn boolean true once the kernel has it; or nil, message, code ("ECONNREFUSED": nobody was there for an earlier one)
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
    ml_blocking_begin(L);
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
The same, without the sender: of a connected socket it is known.
@function udp:receive
@tparam[opt] number timeout seconds
@treturn string data; or nil, message, code ("ECONNREFUSED": nobody was there for what was sent)
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

static int connect_to(struct ml_datagram *d, struct destination *to)
{
    int error = ml_datagram_is_open(d) ? reach(d, to) : -ML_ECLOSED;
    return error == 0 ? ml_datagram_connect(d, &to->address) : error;
}

/***
From now on `send` sends there, and only datagrams from there are received. Waits only to resolve a host name.
@function udp:connect
@tparam string host a name or a number; or an address, or "unix:/path", in place of host and port
@tparam integer port
@tparam[opt] table opts timeout (seconds)
@treturn boolean true; or nil, message, code
*/
static int udp_connect(lua_State *L)
{
    struct ml_datagram *d = check_datagram(L);
    struct destination to = check_destination(L, 2);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, connect_to(d, &to));
    return push_destination_result(L, error, &to);
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
Receives what is sent to a multicast group, too. Never waits.
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
No longer.
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
@tparam table opts broadcast (sending to broadcast addresses is allowed), ttl, multicast_ttl, multicast_loop (what is sent
to a group is received on this machine, too), multicast_interface (name, number or IPv4 address), receive_buffer,
send_buffer (bytes), max; and before it is bound, that is with net.udp(), reuse (the port may be in use, as for several
receivers of a group) and reuseport (datagrams are spread over the sockets on a port)
@treturn boolean true; or nil, message, code
*/
static int udp_set(lua_State *L)
{
    const char *name = NULL;
    struct ml_datagram *d = check_datagram(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct ml_udp_options options = ml_check_udp_options(L, 2);
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
@function udp:address
@treturn Address to which it is bound; or nil, message, code
*/
static int udp_address(lua_State *L)
{
    return push_asked(L, ml_address_of_socket);
}

/***
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
    struct udp *udp = ml_to_object(L, 1);
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
