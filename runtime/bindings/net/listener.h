/* Listeners as scripts see them. */
#ifndef ML_BINDINGS_NET_LISTENER_H
#define ML_BINDINGS_NET_LISTENER_H

#include "io/listener.h"

#include <lua.h>

struct ml_lua;

extern const char ml_listener_type[];

/* Pushes a closed listener with its metatable set. */
struct ml_listener *ml_push_listener(lua_State *L);

/* Opens a closed one that the script has on a socket that this worker shares with the others; may
 * wait. 0 or an error of ml_lua_worker_listen(). */
int ml_listener_share(struct ml_lua *lua, struct ml_listener *listener,
                      const struct ml_address *address, const struct ml_socket_options *options);

/* The same for the listener of that ordinal, from 1 on, that the service manager has passed to the
 * master. name: that it has there, ML_SHARE_NAME bytes; empty: none. */
int ml_listener_inherit(struct ml_lua *lua, struct ml_listener *listener, uint32_t ordinal,
                        const struct ml_socket_options *options, char *name);

/* Accepts without waiting from the listener at `index`: pushes the stream, or returns an error of
 * ml_listener_try() or of TLS with nothing pushed. */
int ml_listener_push_accepted(lua_State *L, int index);

/* Pushes the table of methods of listeners, which stdlib/moonlet/net.lua completes. */
void ml_push_listener_methods(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_listener_type(lua_State *L);

#endif
