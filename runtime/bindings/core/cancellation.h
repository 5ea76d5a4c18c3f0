/*
 * How a cancellation travels through Lua: as an error that protected calls let through. Which
 * scopes are cancelled is the hub's knowledge (hub/state/scope.h).
 */
#ifndef ML_BINDINGS_CORE_CANCELLATION_H
#define ML_BINDINGS_CORE_CANCELLATION_H

#include "bindings/core/lua_runtime.h"

/* Raises the cancellation of the running task, and numbers it. */
_Noreturn void ml_cancellation_raise(lua_State *L);

/* The two halves of that, for a cancellation of which C code of others is told first. Pushing may
 * raise for want of memory. */
void ml_cancellation_note(lua_State *L);
void ml_cancellation_push(lua_State *L);

/* The number of the last cancellation that was raised in the running task, 0 without. A protected
 * call takes it at its entry and looks whether it has moved. */
intptr_t ml_cancellation_count(lua_State *L);

/* Whether the error on top of L is a cancellation that was raised in the task since `count` was
 * taken, or what a C library made of one; not the error that a closing variable put in its place.
 */
bool ml_cancellation_is_raised(lua_State *L, intptr_t count);

/* After a protected call, whose error is on top of L: raises if a cancellation was raised in the
 * task since `count` was taken and one is in force. The cancellation, anew; or the error of a
 * closing variable, if that has put one in its place: it is not to be lost. */
void ml_cancellation_rethrow(lua_State *L, intptr_t count);

/* The same where the error may have been made into something else: always the cancellation, anew.
 */
void ml_cancellation_rethrow_anew(lua_State *L, intptr_t count);

/* Whether the value at `index` is a cancellation. */
bool ml_is_cancellation(lua_State *L, int index);

/* Remembers the reason at `index` for the cancellation of the task whose handle is at `task`. */
void ml_cancellation_set_reason(lua_State *L, int task, int index);

/* Creates the metatable of cancellations. */
void ml_cancellation_open(lua_State *L);

#endif
