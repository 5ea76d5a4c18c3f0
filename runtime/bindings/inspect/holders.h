/*
 * The tasks that have to act before a waiting task can go on: the one that holds what it waits for,
 * or the members of the group whose end it waits for. Waits for channels, queues, semaphores and
 * the like are nobody's to end. Changes nothing.
 */
#ifndef ML_BINDINGS_INSPECT_HOLDERS_H
#define ML_BINDINGS_INSPECT_HOLDERS_H

#include "bindings/core/lua_runtime.h"

struct ml_group;

/* The one that `task` waits for, as it is now; NULL: none, or not known. Never the task itself. */
struct ml_task *ml_holder_of(struct ml_lua *lua, const struct ml_task *task);

/* The group whose members the task waits for; NULL: none. */
struct ml_group *ml_awaited_group(const struct ml_task *task);

#endif
