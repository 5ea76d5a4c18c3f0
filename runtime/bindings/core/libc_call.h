/*
 * Lua's side of the calls of C libraries that interpose/ answers: where a task may wait in one, and
 * how a cancellation reaches the script after the C function has returned.
 */
#ifndef ML_BINDINGS_CORE_LIBC_CALL_H
#define ML_BINDINGS_CORE_LIBC_CALL_H

#include "bindings/core/lua_strand.h"
#include "interpose/libc_call.h"

struct ml_lua;

/* The task was cancelled in a call that could not raise: raises as soon as the C function on top of
 * L returns. */
void ml_libc_call_raise_on_return(lua_State *L);

/* Ends ml_blocking_try() in a call that cannot raise. error: the result of the wait; after
 * -ECANCELED the task raises as above. */
void ml_libc_call_finish(lua_State *L, int error);

/* To be called when a protected call has caught an error and so left C code. `frame`: an address in
 * its own frame. */
void ml_libc_calls_caught(lua_State *L, const void *frame);

/* Installs the functions of this module in `calls`. */
void ml_libc_calls_connect(struct ml_lua *lua, struct ml_libc_calls *calls);

#endif
