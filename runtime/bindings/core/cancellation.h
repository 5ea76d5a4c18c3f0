/*
 * How a cancellation travels through Lua: as an error that protected calls let through. The hub
 * knows which scopes are cancelled (hub/state/scope.h).
 */
#ifndef ML_BINDINGS_CORE_CANCELLATION_H
#define ML_BINDINGS_CORE_CANCELLATION_H

#include "bindings/core/lua_runtime.h"

/* Raises the cancellation of the running task, and numbers it. */
_Noreturn void ml_cancellation_raise(lua_State *L);

/* The two halves of that, for a cancellation that foreign C code gets first. Pushing may raise for
 * want of memory. */
void ml_cancellation_note(lua_State *L);
void ml_cancellation_push(lua_State *L);

/* The number of the last cancellation that was raised in the running task, 0 without. A protected
 * call reads it at its entry, and later checks whether it has moved. */
intptr_t ml_cancellation_count(lua_State *L);

/* Whether the error on top of L is a cancellation that was raised in the task since `count` was
 * read, or an error that a C library made of one. False for the error that a closing variable put
 * in its place. */
bool ml_cancellation_is_raised(lua_State *L, intptr_t count);

/* After a protected call, whose error is on top of L: raises if a cancellation was raised in the
 * task since `count` was read and one is in force. It raises the cancellation, anew, or the error
 * that a closing variable has put in its place, which must not be lost. */
void ml_cancellation_rethrow(lua_State *L, intptr_t count);

/* The same where the error may have been changed into another: always the cancellation, anew. */
void ml_cancellation_rethrow_anew(lua_State *L, intptr_t count);

/* Whether the value at `index` is a cancellation. */
bool ml_is_cancellation(lua_State *L, int index);

/* Remembers the reason at `index` for the cancellation of the task whose handle is at `task`. */
void ml_cancellation_set_reason(lua_State *L, int task, int index);

/* Creates the metatable of cancellations. */
void ml_cancellation_open(lua_State *L);

#endif
