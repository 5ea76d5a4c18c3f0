/* moonlet.channel.select. */
#ifndef ML_BINDINGS_SYNC_SELECT_H
#define ML_BINDINGS_SYNC_SELECT_H

#include <lua.h>

/* channel.select, see there. */
int ml_channel_select(lua_State *L);

#endif
