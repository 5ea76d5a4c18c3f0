/*
 * Tasks of C code whose owner must learn that they have ended, though they might not have begun: a
 * task may be cancelled before its first run, and for want of memory it may have none.
 */
#ifndef ML_BINDINGS_CORE_JOB_H
#define ML_BINDINGS_CORE_JOB_H

#include <lua.h>

/* Both find the task's arguments from index 1 on. */
struct ml_lua_job {
    void (*run)(lua_State *L);
    /* In place of it: the task ends and has not begun. Neither waits nor raises; may run on the
     * stack of the scheduler. */
    void (*drop)(lua_State *L);
};

/* The function for ml_lua_spawn(). Its arguments: a light userdata, the static struct ml_lua_job,
 * and those of the two functions. */
int ml_job_body(lua_State *L);

/* The task of this thread ends: if it is a job that has not begun, drops it. Once. */
void ml_job_drop_unbegun(lua_State *L);

#endif
