/* Mutexes for scripts. */
#ifndef ML_BINDINGS_SYNC_MUTEX_H
#define ML_BINDINGS_SYNC_MUTEX_H

#include <lua.h>

struct ml_lua;
struct ml_task;

extern const char ml_mutex_type[];

/* sync.mutex, see there. */
int ml_sync_mutex(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_mutex_type(lua_State *L);

#endif
