/* The module moonlet.channel. */
#ifndef ML_BINDINGS_SYNC_CHANNEL_MODULE_H
#define ML_BINDINGS_SYNC_CHANNEL_MODULE_H

#include <lua.h>

/* moonlet.channel */
int ml_open_channel(lua_State *L);

#endif
