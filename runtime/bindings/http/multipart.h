/* The module moonlet.http.multipart.core: the reader of multipart bodies. */
#ifndef ML_BINDINGS_HTTP_MULTIPART_H
#define ML_BINDINGS_HTTP_MULTIPART_H

#include <lua.h>

int ml_open_http_multipart(lua_State *L);

#endif
