/*
 * What a Lua task runs: its function, or the closing of what it left behind; and how it is cut
 * short. What becomes of its outcome is bindings/core/task_end.h's.
 */
#ifndef ML_BINDINGS_CORE_TASK_BODY_H
#define ML_BINDINGS_CORE_TASK_BODY_H

#include "bindings/core/hook_records.h"
#include "bindings/core/lua_task.h"

/*
 * lua_resume()s a thread whose body nobody may yield from, with the function and its arguments on
 * its stack, until it has ended; returns how. A yield of some C library is refused at the next step
 * of the code that called it.
 */
int ml_resume_to_the_end(lua_State *L);

/* Installed for ML_HOOK_YIELD. */
extern const struct ml_hook_kind ml_refused_yield;

/* Installed as hub->body. */
void ml_lua_task_body(struct ml_task *task);

/* Installed as hub->prefetch. */
void ml_lua_task_prefetch(const struct ml_task *task);

/* Abandons what the running task does and goes on with its body for another purpose. */
_Noreturn void ml_lua_task_restart(struct ml_lua *lua, enum ml_task_run run);

/* Ends a task that does not run without running it again: nothing of it runs any more, neither its
 * closing variables nor the functions to be called at its end. */
void ml_lua_task_drop(struct ml_lua_task *task);

/* The same for one that cannot go on for want of memory; it has failed, is told, and the functions
 * are called. Installed as hub->starve. */
void ml_lua_task_starve(struct ml_task *task);

/* Prepares the registry. */
void ml_task_body_open(lua_State *L);

#endif
