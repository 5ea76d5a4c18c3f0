/* What the files of moonlet.sync share: the types of its objects, and what their waits return. */
#ifndef ML_BINDINGS_SYNC_SYNC_TYPES_H
#define ML_BINDINGS_SYNC_SYNC_TYPES_H

#include "bindings/core/lua_runtime.h"

extern const char ml_mutex_type[];

/* Functions of the module, documented where they are defined. */
int ml_sync_mutex(lua_State *L);
int ml_sync_semaphore(lua_State *L);

/* Create the metatables; stack unchanged. */
void ml_open_mutex_type(lua_State *L);
void ml_open_semaphore_type(lua_State *L);

/* Pushes nil, "timeout", "ETIMEDOUT", or true. */
static inline int ml_push_outcome(lua_State *L, int error)
{
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

#endif
