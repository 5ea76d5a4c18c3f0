/*
 * The frame around every call that may park its task: what forbids waiting is an error before,
 * cancellation is raised after. Between the two nothing may raise.
 */
#ifndef ML_BINDINGS_BLOCKING_H
#define ML_BINDINGS_BLOCKING_H

#include "bindings/lua_runtime.h"

/*
 * Begins a call that may park the running task on L. Raises when there is no task, when L is inside
 * a finalizer or task.no_switch, or when L is another task's or suspended. Returns the runtime.
 */
struct ml_lua *ml_blocking_begin(lua_State *L);

/*
 * Ends it. error: what the call returned, 0 or a negated error; raises the cancellation for
 * -ECANCELED and "not enough memory" for -ENOMEM, and returns anything else.
 */
int ml_blocking_end(lua_State *L, int error);

/* Reads a time limit in seconds at `index`: the absolute deadline; none or nil is ML_FOREVER, 0 or
 * less ML_NEVER_WAIT. Raises for what is no number, or NaN. */
ml_time ml_check_deadline(lua_State *L, int index);

/* Reads a span in seconds; a negative one, such as arithmetic on clocks yields, is 0. Raises for
 * what is no number, or NaN. */
ml_time ml_check_span(lua_State *L, int index);

/* Pushes nil, the error's sentence and its name: returns 3. */
int ml_push_failure(lua_State *L, int error);

/* Raises {message=, code=}, which prints as its message, of the message and the code on top of the
 * stack. */
int ml_raise_failure(lua_State *L);

#endif
