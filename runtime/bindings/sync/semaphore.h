/* Semaphores for scripts. */
#ifndef ML_BINDINGS_SYNC_SEMAPHORE_H
#define ML_BINDINGS_SYNC_SEMAPHORE_H

#include <lua.h>

extern const char ml_semaphore_type[];

/* sync.semaphore, see there. */
int ml_sync_semaphore(lua_State *L);

/* Creates the metatables; stack unchanged. */
void ml_open_semaphore_type(lua_State *L);

#endif
