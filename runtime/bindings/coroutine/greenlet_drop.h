/* The end of greenlets that are out of reach. */
#ifndef ML_BINDINGS_COROUTINE_GREENLET_DROP_H
#define ML_BINDINGS_COROUTINE_GREENLET_DROP_H

#include <lua.h>

struct ml_lua;
struct ml_lua_task;

/* __gc of greenlets; prepares the registry for it. */
int ml_greenlet_gc(lua_State *L);
void ml_greenlet_open_dropped(lua_State *L);

/* Ends the dropped greenlets of the running task, which are children of the running one meanwhile:
 * runs their code, and may wait. Raises the task's cancellation. Does nothing where a switch is not
 * allowed. */
void ml_greenlet_kill_dropped(lua_State *L);

/* The task ends: its dropped greenlets do so in tasks of their own. Never raises. */
void ml_greenlet_orphan(struct ml_lua *lua, struct ml_lua_task *task);

/* Replaces collectgarbage, which ends them as well. Raises. */
void ml_greenlet_open_collectgarbage(lua_State *L);

#endif
