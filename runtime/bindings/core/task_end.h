/*
 * The end of a Lua task: reports its error, keeps its outcome, calls the functions that wait for
 * its end, and disposes of its thread. Knows nothing of how it ran.
 */
#ifndef ML_BINDINGS_CORE_TASK_END_H
#define ML_BINDINGS_CORE_TASK_END_H

#include "bindings/core/lua_task.h"

/* Has the function at 2 called with the Task at 1 when that ends. */
void ml_lua_task_add_exit(lua_State *L, struct ml_lua_task *task);

/* Moves the value on top of the state aside into the Task, as its result or error. */
void ml_lua_task_keep(struct ml_lua *lua, struct ml_lua_task *task);

/* Its function has ended with lua_resume()'s status, and `results` values on its thread. No
 * register of this is to be saved in the first frame of the task. */
__attribute__((noinline)) void ml_lua_task_conclude(struct ml_lua_task *task, int status,
                                                    int results);

/* The task computes no more: its handle keeps the outcome, which is set, and so many results. */
void ml_lua_task_detach(struct ml_lua *lua, struct ml_lua_task *task, int results);

#endif
