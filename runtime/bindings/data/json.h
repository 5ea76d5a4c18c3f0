/* JSON for Lua values (RFC 8259), as scripts see it. */
#ifndef ML_BINDINGS_DATA_JSON_H
#define ML_BINDINGS_DATA_JSON_H

#include <lua.h>

/* moonlet.json. */
int ml_open_json(lua_State *L);

#endif
