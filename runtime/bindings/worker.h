/* task.blocking: C functions of the script's on worker threads. */
#ifndef ML_BINDINGS_WORKER_H
#define ML_BINDINGS_WORKER_H

#include <lua.h>

/* The function task.blocking. */
int ml_task_blocking(lua_State *L);

#endif
