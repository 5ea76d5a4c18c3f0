/* The module moonlet.sync, and events. */
#ifndef ML_BINDINGS_SYNC_SYNC_H
#define ML_BINDINGS_SYNC_SYNC_H

#include <lua.h>

extern const char ml_event_type[];

/* moonlet.sync.core */
int ml_open_sync(lua_State *L);

#endif
