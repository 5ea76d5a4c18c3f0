/*
 * Slow tasks: a warning names a task that has computed for longer than a limit without letting
 * others run, with its calls while it did. Knows no watchdog: vm/preempt.c calls it.
 */
#ifndef ML_VM_SLOW_H
#define ML_VM_SLOW_H

#include "base/clock.h"

#include <lua.h>
#include <stdbool.h>

struct moonlet;
struct ml_task;

/* In a signal handler, while `task` runs, which has computed for so long. *next: when to look
 * again, never if it was told or is about to be. Returns whether ml_slow_tell() is to be called. */
bool ml_slow_look(struct moonlet *m, struct ml_task *task, ml_time computed, ml_time *next);

/* In a hook of the same run of that task: writes the warning. Raises nothing. */
void ml_slow_tell(struct moonlet *m, lua_State *L, lua_Debug *event);

/* Writes how many warnings were left out since the last. */
void ml_slow_close(struct moonlet *m);

#endif
