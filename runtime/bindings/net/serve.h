/* One connection of listener:serve() in its task. Knows nothing of listeners and groups, which are
 * stdlib/moonlet/net.lua's. */
#ifndef ML_BINDINGS_NET_SERVE_H
#define ML_BINDINGS_NET_SERVE_H

#include <lua.h>

/*
 * core.serve_one(server, conn): takes conn out of the set server.waiting and calls
 * server.handler(conn). At the end, whatever it is, the metamethod __close of server.guard is
 * called with {conn} and the error. No protected call does this: it would forget where an error was
 * raised.
 *
 * It leaves as few places as it can on the Lua stack below the handler. The collector shortens a
 * stack of 80 places, which most handlers need for a moment, if no more than 26 are in use: with a
 * C function as handler (bindings/http/server.c) it does, which is 480 bytes of an idle connection.
 */
int ml_net_serve_one(lua_State *L);

#endif
