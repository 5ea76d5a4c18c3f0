/* Shared stores, as Lua sees them. */
#ifndef ML_BINDINGS_WORKER_STORE_H
#define ML_BINDINGS_WORKER_STORE_H

#include <lua.h>

/* The module moonlet.worker.store.core. */
int ml_open_worker_store(lua_State *L);

#endif
