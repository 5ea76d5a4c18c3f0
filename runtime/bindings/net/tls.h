/* TLS contexts as scripts see them. */
#ifndef ML_BINDINGS_NET_TLS_H
#define ML_BINDINGS_NET_TLS_H

#include "io/tls_config.h"

#include <lua.h>
#include <stdbool.h>

/*
 * Reads the option `tls` of the options table at `options` (0: there is none). Pushes its context,
 * nil without, and the server name beside a ready-made context, or nil. False: the context could
 * not be made, and nil, message, code are pushed instead. Raises for a value that is no context,
 * table or true. is_server: it must have a certificate.
 */
bool ml_push_tls_option(lua_State *L, int options, bool is_server);

/* The same for a value at `index`, which is the function's argument of that number, or inside it.
 */
bool ml_push_tls_context(lua_State *L, int index, int argument, bool is_server);

/* The present configuration of the context at `index`. */
struct ml_tls_config *ml_tls_context_config(lua_State *L, int index);

/* The name that a client asks for and verifies, in *name: the name beside the context at `index`,
 * which follows it on the stack; otherwise the context's own; otherwise `host`. NULL: none. False:
 * it would verify, and there is no name to compare with. */
bool ml_tls_server_name(lua_State *L, int index, const char *host, const char **name);

/* The message in that case. */
extern const char ml_tls_needs_name[];

/* net.tls, see there. */
int ml_net_tls(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_tls_type(lua_State *L);

#endif
