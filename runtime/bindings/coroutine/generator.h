/*
 * A generator: a Lua thread that is resumed and yields as a strand of the running task. Also
 * reports the state of any thread, and falls back on Lua's own lua_resume() for those that a C
 * library runs. Knows nothing of coroutine.*'s error conventions.
 */
#ifndef ML_BINDINGS_COROUTINE_GENERATOR_H
#define ML_BINDINGS_COROUTINE_GENERATOR_H

#include "bindings/core/lua_runtime.h"

/* The results of ml_generator_status(), compared by address. */
extern const char ml_generator_running[], ml_generator_normal[], ml_generator_suspended[],
    ml_generator_dead[];

/* The state of `thread`, seen from code that runs on L. */
const char *ml_generator_status(lua_State *L, lua_State *thread);

/* Whether a yield on `thread` works. */
bool ml_generator_is_yieldable(lua_State *thread);

/*
 * Resumes `thread` with the `count` values on top of L, which are popped. Returns the count of
 * values that it yielded or returned, now on L; or -1 with the error there instead.
 */
int ml_generator_resume(lua_State *L, lua_State *thread, int count);

/*
 * lua_resume() of a suspended thread, for C code: its yield returns the `count` values on top of
 * `thread`. LUA_YIELD or LUA_OK with *results values on top of it, or another status with an error
 * there.
 */
int ml_generator_go_on(lua_State *thread, int count, int *results);

/* Raises unless the running strand, whose thread L is, may leave by a yield. */
void ml_generator_check_yield(lua_State *L);

/* Ends a suspended or dead thread and closes its variables; lua_resetthread()'s status. */
int ml_generator_close(lua_State *thread);

/* Installed as hub->hooks.strand_body: runs a generator or a greenlet. */
void ml_strand_body(struct ml_strand *strand);

#endif
