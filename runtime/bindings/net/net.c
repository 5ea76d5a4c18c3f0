/*** @submodule moonlet.net */
/* The part of moonlet.net that is written in C: connecting and listening; datagrams are in
 * bindings/net/datagram.c. */
#include "bindings/net/net.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/option.h"
#include "bindings/net/address.h"
#include "bindings/net/connect_target.h"
#include "bindings/net/datagram.h"
#include "bindings/net/datagram_open.h"
#include "bindings/net/inherited.h"
#include "bindings/net/listener.h"
#include "bindings/net/options.h"
#include "bindings/net/pair.h"
#include "bindings/net/resolve.h"
#include "bindings/net/serve.h"
#include "bindings/net/stream.h"
#include "bindings/net/stream_object.h"
#include "bindings/net/tls.h"
#include "bindings/net/tls_info.h"
#include "io/dial.h"
#include "io/listener.h"
#include "io/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- connect ---- */

static int resolve_and_connect(struct ml_io *io, struct ml_stream *s,
                               const struct ml_target *target, int family,
                               const struct ml_socket_options *options, ml_time deadline)
{
    struct ml_addresses addresses;
    struct ml_lookup *rest;
    int error = ml_target_resolve_some(io, target, family, deadline, &addresses, &rest);
    if (error == 0)
        error = ml_dial(s, &addresses, rest, options, deadline);
    ml_addresses_release(&addresses);
    return error;
}

/* Puts TLS over a new connection, if the context at `index` is not nil. Its present configuration
 * counts, which a reload may have changed while the task waited. */
static int secure(lua_State *L, int index, struct ml_stream *s, const char *host, ml_time deadline)
{
    if (lua_isnil(L, index))
        return 0;
    struct ml_tls_config *config = ml_tls_context_config(L, index);
    const char *name;
    if (!ml_tls_server_name(L, index, host, &name))
        return -EINVAL;
    int error = ml_tls_open(s, config, false, name);
    return error == 0 ? ml_tls_handshake(s, deadline) : error;
}

/* Whether there is a name to compare the certificate with. A host whose name no certificate can
 * have is not found; without any host the caller has to give a name. */
static bool can_be_verified(lua_State *L, int context, const struct ml_target *target)
{
    const char *name;
    if (lua_isnil(L, context) ||
        ml_tls_server_name(L, context, target->is_local ? NULL : target->host, &name))
        return true;
    luaL_argcheck(L, !target->is_local, target->options, ml_tls_needs_name);
    return false;
}

/* Pushes the failure of a stream and closes it. */
static int fail_to_connect(lua_State *L, struct ml_stream *s, int error,
                           const struct ml_target *target)
{
    ml_push_target_failure(L, error, ml_tls_error_text(s, error), target);
    ml_stream_close(s);
    return 3;
}

/***
Connects to a server over TCP or in the Unix domain. Of several addresses the next one is tried when
the last has failed, or has not answered for 250 ms, and the first that answers wins (RFC 8305). If
the backlog of a server in the Unix domain is full, waits for room. May wait.
@function connect
@tparam string|Address host a name or a number; or an address, or "unix:/path", in place of host and
port
@tparam[opt] integer port
@tparam[opt] table opts
@tparam[opt] number opts.timeout seconds for the whole call
@tparam[opt] string opts.family "inet" or "inet6"
@tparam[opt=true] boolean opts.nodelay as stream:set_nodelay
@tparam[opt=false] boolean opts.keepalive as stream:set_keepalive(true)
@tparam[opt] string|Address opts.bind local numeric host or address; without a port none is
reserved, and one may serve for several destinations
@tparam[opt] resolver opts.resolver
@tparam[opt=false] boolean|table|Context opts.tls true, the options of net.tls, a context, or
  {context=, server_name=}
@treturn stream or nil, message, code
*/
static int net_connect(lua_State *L)
{
    static const char *const names[] = {"timeout", "family",   "nodelay", "keepalive",
                                        "bind",    "resolver", "tls",     NULL};
    struct ml_target target = ml_check_target(L, 1);
    ml_check_option_names(L, target.options, names);
    int family = ml_family_option(L, target.options);
    ml_time deadline = ml_timeout_option(L, target.options);
    struct ml_socket_options options = ml_check_socket_options(L, target.options);
    target.resolver = ml_resolver_option(L, target.options);
    if (!ml_push_tls_option(L, target.options, false))
        return 3;
    int context = lua_gettop(L) - 1;
    if (!can_be_verified(L, context, &target))
        return ml_push_target_failure(L, -ML_ENOTFOUND, ml_error_text(-ML_ENOTFOUND), &target);
    struct ml_stream *s = ml_push_stream(L);
    ml_stream_keep_host(L, target.is_local ? NULL : target.host);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = resolve_and_connect(&lua->io, s, &target, family, &options, deadline);
    if (error == 0)
        error = secure(L, context, s, target.is_local ? NULL : target.host, deadline);
    if (error == -ECANCELED || error == -ENOMEM)
        ml_stream_close(s);
    error = ml_blocking_end(L, error);
    return error == 0 ? 1 : fail_to_connect(L, s, error, &target);
}

/* ---- listen ---- */

/* How to listen. */
struct listening {
    struct ml_lua *lua;
    struct ml_listener *listener;
    const struct ml_socket_options *options;
    bool is_shared; /* with the other workers */
};

static int listen_at(const struct listening *how, const struct ml_address *address)
{
    if (!how->is_shared)
        return ml_listener_open(how->listener, address, how->options);
    struct ml_address whole = *address;
    int error = ml_address_make_absolute(&whole);
    return error == 0 ? ml_listener_share(how->lua, how->listener, &whole, how->options) : error;
}

/* Tries the addresses of one family, or of all others, in turn. */
static int listen_family(const struct listening *how, const struct ml_addresses *addresses,
                         bool is_inet)
{
    int error = -ML_ENOTFOUND;
    for (size_t i = 0; i < addresses->count && error != 0; i++)
        if ((addresses->items[i].any.sa_family == AF_INET) == is_inet)
            error = listen_at(how, &addresses->items[i]);
    return error;
}

/* For a name, listens on one of its addresses, an IPv4 one if it has any, as in Go: most clients
 * look for "localhost" there. */
static int listen_any(const struct listening *how, const struct ml_addresses *addresses)
{
    int error = listen_family(how, addresses, true);
    return error == -ML_ENOTFOUND ? listen_family(how, addresses, false) : error;
}

/***
Listens for connections over TCP or in the Unix domain. Waits only to resolve a host name.
@function listen
@tparam string|Address host a local address; "unix:/path", without a port; or a name (of its
addresses an IPv4 one if there is one); "*": all of IPv4; "::": all of IPv6
@tparam[opt] integer port 0: one that the system chooses, see listener:address()
@tparam[opt] table opts
@tparam[opt] string opts.family "inet" or "inet6"
@tparam[opt] integer opts.backlog connections that may wait to be accepted
@tparam[opt=false] boolean opts.reuseport connections are spread over the listeners on a port; in a
worker (moonlet.worker) over the workers, each of which has a queue of its own
@tparam[opt=false] boolean opts.exclusive in a worker: the socket is its own; otherwise all workers
share it
@tparam[opt=true] boolean opts.nodelay of the accepted streams
@tparam[opt=false] boolean opts.keepalive of the accepted streams
@tparam[opt] table|Context opts.tls the options of net.tls with a certificate, or a context; an
accepted stream makes the handshake at its first use
@treturn listener or nil, message, code
*/
static int net_listen(lua_State *L)
{
    static const char *const names[] = {"family",    "nodelay", "keepalive", "backlog",
                                        "reuseport", "tls",     "exclusive", NULL};
    struct ml_target target = ml_check_target(L, 1);
    ml_check_option_names(L, target.options, names);
    int family = ml_family_option(L, target.options);
    struct ml_socket_options options = ml_check_socket_options(L, target.options);
    if (!ml_push_tls_option(L, target.options, true))
        return 3;
    lua_pop(L, 1);
    struct ml_listener *listener = ml_push_listener(L);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    if (!target.is_local && strcmp(target.host, "*") == 0)
        target.host = "0.0.0.0";
    bool is_exclusive = ml_boolean_option(L, target.options, "exclusive", false);
    struct ml_addresses addresses;
    struct ml_lua *lua = ml_blocking_begin(L);
    struct listening how = {.lua = lua,
                            .listener = listener,
                            .options = &options,
                            .is_shared = lua->worker != NULL && !is_exclusive};
    int error = ml_target_resolve(&lua->io, &target, family, ML_FOREVER, &addresses);
    if (error == 0)
        error = listen_any(&how, &addresses);
    ml_addresses_release(&addresses);
    error = ml_blocking_end(L, error);
    return error == 0 ? 1 : ml_push_target_failure(L, error, ml_error_text(error), &target);
}

static const luaL_Reg functions[] = {{"connect", net_connect},
                                     {"listen", net_listen},
                                     {"pair", ml_net_pair},
                                     {"memory_pair", ml_net_memory_pair},
                                     {"tls", ml_net_tls},
                                     {"resolve", ml_net_resolve},
                                     {"resolver", ml_net_resolver},
                                     {"udp", ml_net_udp},
                                     {"inherited", ml_net_inherited},
                                     {"accepted_from", ml_net_accepted_from},
                                     {"serve_one", ml_net_serve_one},
                                     {NULL, NULL}};

int ml_open_net(lua_State *L)
{
    ml_open_address_type(L);
    ml_open_stream_type(L);
    ml_open_listener_type(L);
    ml_open_tls_type(L);
    ml_open_tls_question_type(L);
    ml_open_resolver_type(L);
    ml_open_udp_type(L);
    luaL_newlib(L, functions);
    ml_push_listener_methods(L);
    lua_setfield(L, -2, "listener_methods");
    return 1;
}
