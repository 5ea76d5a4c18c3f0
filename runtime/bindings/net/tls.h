/* TLS contexts as scripts see them. */
#ifndef ML_BINDINGS_NET_TLS_H
#define ML_BINDINGS_NET_TLS_H

#include "io/tls_config.h"

#include <lua.h>
#include <stdbool.h>

/*
 * Reads the option `tls` of the options table at `options` (0: there is none) and pushes the
 * context it stands for, nil without, and the server name that came beside a ready-made context, or
 * nil. False: it could not be made, and nil, message, code are pushed instead. Raises for what is
 * no context, table or true. is_server: it must have a certificate.
 */
bool ml_push_tls_option(lua_State *L, int options, bool is_server);

/* The same for a value at `index`, which is the function's argument of that number, or came in it.
 */
bool ml_push_tls_context(lua_State *L, int index, int argument, bool is_server);

/* The configuration of the context at `index`, as it is now. */
struct ml_tls_config *ml_tls_context_config(lua_State *L, int index);

/* Whom a client asks for and verifies, in *name: the name beside the context at `index`, which
 * follows it on the stack, else the context's own, else `host`; NULL: nobody. False: it would
 * verify, and there is no name to compare with. */
bool ml_tls_server_name(lua_State *L, int index, const char *host, const char **name);

/* What is said to a caller then. */
extern const char ml_tls_needs_name[];

/* net.tls, see there. */
int ml_net_tls(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_tls_type(lua_State *L);

#endif
