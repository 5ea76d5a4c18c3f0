/*
 * The body of a Lua task: its function, or the closing of variables that it left open; and ways to
 * cut it short. The outcome is for bindings/core/task_end.h.
 */
#ifndef ML_BINDINGS_CORE_TASK_BODY_H
#define ML_BINDINGS_CORE_TASK_BODY_H

#include "bindings/core/hook_records.h"
#include "bindings/core/lua_task.h"

/*
 * Calls lua_resume() on a thread, with the function and its arguments on its stack, until it has
 * ended; returns the last status. Its body may not be yielded from: a yield by a C library raises
 * at the next instruction of the code that called the library.
 */
int ml_resume_to_the_end(lua_State *L);

/* Installed for ML_HOOK_YIELD. */
extern const struct ml_hook_kind ml_refused_yield;

/* Installed as hub->hooks.body. */
void ml_lua_task_body(struct ml_task *task);

/* Installed as hub->hooks.prefetch. */
void ml_lua_task_prefetch(const struct ml_task *task);

/* Abandons the running task's calls and runs its body anew, for another purpose. */
_Noreturn void ml_lua_task_restart(struct ml_lua *lua, enum ml_task_run run);

/* Ends a task that does not run without running it again: neither its closing variables nor the
 * functions to be called at its end run. */
void ml_lua_task_drop(struct ml_lua_task *task);

/* The same for a task that cannot go on for want of memory. It has failed, is reported, and the
 * functions are called. Installed as hub->hooks.starve. */
void ml_lua_task_starve(struct ml_task *task);

/* Prepares the registry. */
void ml_task_body_open(lua_State *L);

#endif
