/* moonlet.worker.core: what a worker's script can ask of its master. */
#ifndef ML_BINDINGS_WORKER_WORKER_H
#define ML_BINDINGS_WORKER_WORKER_H

#include <lua.h>

struct ml_lua;

/* The beats of this worker, if it is one, tell what its servers have done. */
void ml_worker_measure(struct ml_lua *lua);

/* Opens the module: one value on the stack. */
int ml_open_worker(lua_State *L);

#endif
