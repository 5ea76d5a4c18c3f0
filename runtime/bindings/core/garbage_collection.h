/*
 * Collects garbage because memory is short, where no Lua code may run: on the hub's own stack.
 * Knows nothing of the use of the memory.
 */
#ifndef ML_BINDINGS_CORE_GARBAGE_COLLECTION_H
#define ML_BINDINGS_CORE_GARBAGE_COLLECTION_H

#include "hub/state/hub.h"

/* Collects garbage without calling finalizers, unless that was done a moment ago; returns whether
 * it did. Installed as hub->hooks.collect. */
bool ml_lua_collect(struct ml_hub *hub);

#endif
