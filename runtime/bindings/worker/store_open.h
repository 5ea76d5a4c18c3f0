/* Opening shared stores: that of the process, or, in a worker, that of its master. Knows no value.
 */
#ifndef ML_BINDINGS_WORKER_STORE_OPEN_H
#define ML_BINDINGS_WORKER_STORE_OPEN_H

#include "worker/store.h"

#include <lua.h>

/* The type of the objects, and what they are. */
extern const char ml_store_type[];

struct ml_store_object {
    struct ml_store *store;
};

/* open(name, size, evict): a store; or nil, message, code. stdlib/moonlet/worker/store.lua has
 * checked what it passes; nil for what the caller did not ask for. May wait. */
int ml_worker_store_open(lua_State *L);

#endif
