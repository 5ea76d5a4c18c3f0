/* Requests of an HTTP client, as they are sent: methods of an exchange. */
#ifndef ML_BINDINGS_HTTP_CLIENT_SEND_H
#define ML_BINDINGS_HTTP_CLIENT_SEND_H

#include <lua.h>

int ml_client_exchange_send(lua_State *L);
int ml_client_exchange_connect(lua_State *L);
int ml_client_exchange_write(lua_State *L);
int ml_client_exchange_end_body(lua_State *L);

#endif
