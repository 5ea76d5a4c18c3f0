/* Calls of disks (system/file/call.h) as functions of moonlet.fs make them, on a worker. */
#ifndef ML_BINDINGS_FILE_FILE_CALL_H
#define ML_BINDINGS_FILE_FILE_CALL_H

#include "system/file/call.h"

#include <lua.h>
#include <stdbool.h>

/* Registers what owns a call. Once per state. */
void ml_open_file_calls(lua_State *L);

/* Pushes an object that owns a new call: see ml_file_call_new(). Raises if there is no memory. */
struct ml_file_call *ml_push_file_call(lua_State *L, int (*make)(struct ml_file_call *),
                                       bool changes, const char *path, const char *other,
                                       const char *input, size_t input_size);

/*
 * Has a worker make the call whose owner is on top of the stack, while the task waits. What make()
 * has returned, also an error; -EAGAIN if there is no thread. Raises a cancellation, and -ENOMEM.
 * The owner has the call still, unless there was no thread.
 */
int ml_make_file_call(lua_State *L);

/* Pushes nil, "path: reason", code for a call that failed, whose owner is on top of the stack, and
 * frees it. The path is the one in the call's data, or else those at 1 and at `other` (0: none).
 * Returns 3. */
int ml_push_call_failure(lua_State *L, int error, int other);

/* Frees the call whose owner is at `index`. Idempotent. */
void ml_free_file_call(lua_State *L, int index);

/* Begins a function that may be answered at once: a cancellation point, which counts as a system
 * call, and lets others run when that is due. Raises. Returns the hub. */
struct ml_hub *ml_begin_quickly(lua_State *L);

#endif
