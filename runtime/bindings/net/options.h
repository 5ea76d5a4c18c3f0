/*
 * The options that functions of moonlet.net take in a table, read one by one. Each function raises
 * for a wrong value and names the option. `options` is the index of the table, 0: there is none.
 */
#ifndef ML_BINDINGS_NET_OPTIONS_H
#define ML_BINDINGS_NET_OPTIONS_H

#include "base/clock.h"
#include "io/socket.h"

#include <lua.h>

/* For a function that takes only options: leaves the table alone on the stack, an empty one if
 * there was none. */
void ml_take_options_alone(lua_State *L);

/* AF_INET, AF_INET6, or AF_UNSPEC without the option. */
int ml_family_option(lua_State *L, int options);

/* `timeout`, as an absolute deadline; ML_FOREVER without. */
ml_time ml_timeout_option(lua_State *L, int options);

/* nodelay, keepalive, reuseport, backlog, bind. */
struct ml_socket_options ml_check_socket_options(lua_State *L, int options);

#endif
