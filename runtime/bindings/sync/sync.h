/* What others need of moonlet.sync. */
#ifndef ML_BINDINGS_SYNC_SYNC_H
#define ML_BINDINGS_SYNC_SYNC_H

#include "bindings/core/lua_runtime.h"
#include "hub/on/primitives.h"

extern const char ml_event_type[], ml_semaphore_type[];

/* A task has ended: mutexes that it still holds are unlocked, each with a warning. */
void ml_sync_release_all(struct ml_lua *lua, struct ml_task *task);

#endif
